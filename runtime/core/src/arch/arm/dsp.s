@ The inner loops for Arm's DSP extension, registers by hand; dsp.rs says what each does.
@
@ Two int8 values become two 16-bit lanes by SXTB16, two products are added by SMLAD. A word of four
@ values goes to lanes (0, 2) and (1, 3). Loops are entered so far behind their start that whole rounds
@ are left.
@
@ Channels with factors are rounded by SMMLAR, which adds the zero point too, and SSAT: equation (5).
@ If one of those that go together has none: by the FPU, equation (3), or where there is none by a call.
@ What is not there, a column or a second channel, is written over one that is, before that.

.if kiln_v8
.cpu cortex-m33
.endif
.if kiln_fpu
.fpu fpv4-sp-d16
.endif

.macro kiln_function name
    .section .text.\name,"ax",%progbits
    .balign 4
    .global \name
    .type \name,%function
    .thumb_func
\name:
.endm

@ Seventeen words from r0 on to the stack.
.macro kiln_frame
    push {r4-r11, lr}
    sub sp, #68
    mov r12, sp
    ldm r0!, {r1-r8}
    stm r12!, {r1-r8}
    ldm r0, {r1-r9}
    stm r12, {r1-r9}
.endm

.macro kiln_return
    add sp, #68
    pop {r4-r11, pc}
.endm

@ To the word at 4, which holds the number of fours: where the loop is entered, `size` bytes for each
@ four that is not there.
.macro kiln_entry loop, size, unroll
    ldr r1, [sp, #4]
    rsbs r1, #0
    and r1, #\unroll - 1
    movw r2, #\size
    mul r1, r2
    adr r2, \loop
    add r1, r2
    orr r1, #1
    str r1, [sp, #4]
.endm

@ From a row of four channels, whose next output would be r0, to that of the next four; eq behind the
@ last. \rows are words of the frame that hold rows of lanes.
.macro kiln_next_fours rows:vararg
.ifnb \rows
    ldr r2, [sp, #20]
    .irp row, \rows
    ldr r1, [sp, #\row]
    add r1, r2
    str r1, [sp, #\row]
    .endr
.endif
    ldrd r1, r2, [sp, #12]
    ldr r4, [sp, #64]
    adds r1, #16
    add r2, r4
    strd r1, r2, [sp, #12]
    ldrd r1, r2, [sp, #24]
    add r1, r2
    str r1, [sp, #24]
    ldr r1, [sp, #44]
    adds r3, #4
    add r0, r1
    strd r0, r3, [sp, #48]
    ldr r1, [sp, #56]
    subs r1, #1
    str r1, [sp, #56]
.endm

@ Three columns, all pairs of channels. Words of the frame: 0 columns, 1 fours, 2 end of the columns,
@ 3 biases, 4 and 5 what is added to the weights behind a pair, in turns, 6 factors, 7 bytes between
@ those of pairs, 8 bytes from biases to multipliers, 9 zero point, 10 and 11 from the first column's
@ output to the second's and third's, 12 output, 13 its end, 14 from the first channel's output to the second's, 15
@ weights.
@
@ r0 weights, r1 columns, r2 r3 weights of two channels, r4 r5 r12 lanes of three columns, lr lanes of
@ a weight, r6-r8 and r9-r11 accumulators of two channels.
kiln_function kiln_dense
    kiln_frame
    kiln_entry 2f, 76, 8
    ldr r0, [sp, #60]
1:  ldr r1, [sp, #12]
    ldrd r6, r9, [r1], #8
    str r1, [sp, #12]
    mov r7, r6
    mov r8, r6
    mov r10, r9
    mov r11, r9
    ldr r1, [sp]
    ldr pc, [sp, #4]
    .balign 4
2:
    .rept 8
    ldrd r2, r3, [r0], #16
    ldm r1!, {r4, r5, r12}
    sxtb16 lr, r2
    smlad r6, r4, lr, r6
    smlad r7, r5, lr, r7
    smlad r8, r12, lr, r8
    sxtb16 lr, r3
    smlad r9, r4, lr, r9
    smlad r10, r5, lr, r10
    smlad r11, r12, lr, r11
    ldm r1!, {r4, r5, r12}
    sxtb16 lr, r2, ror #8
    smlad r6, r4, lr, r6
    smlad r7, r5, lr, r7
    smlad r8, r12, lr, r8
    sxtb16 lr, r3, ror #8
    smlad r9, r4, lr, r9
    smlad r10, r5, lr, r10
    smlad r11, r12, lr, r11
    .endr
    ldr lr, [sp, #8]
    cmp r1, lr
    bne 2b
    ldrd r1, r4, [sp, #24]
    ldrd r2, r3, [r1]
    add r1, r4
    str r1, [sp, #24]
    ldr r4, [sp, #36]
    cbz r2, 3f
    cbnz r3, 4f
3:  b 6f
4:  smmlar r6, r6, r2, r4
    smmlar r7, r7, r2, r4
    smmlar r8, r8, r2, r4
    smmlar r9, r9, r3, r4
    smmlar r10, r10, r3, r4
    smmlar r11, r11, r3, r4
5:  ssat r6, #8, r6
    ssat r7, #8, r7
    ssat r8, #8, r8
    ssat r9, #8, r9
    ssat r10, #8, r10
    ssat r11, #8, r11
    ldrd r5, r12, [sp, #48]
    ldrd r1, r2, [sp, #40]
    ldr r3, [sp, #56]
    add r4, r5, r3
    strb r11, [r4, r2]
    strb r10, [r4, r1]
    strb r9, [r4]
    strb r8, [r5, r2]
    strb r7, [r5, r1]
    strb r6, [r5]
    adds r5, #2
    str r5, [sp, #48]
    ldrd r1, r2, [sp, #16]
    add r0, r1
    strd r2, r1, [sp, #16]
    cmp r5, r12
    blo 1b
    kiln_return
6:  ldr r1, [sp, #12]
    ldr r2, [sp, #32]
    add r1, r2
    sub r1, #8
.if kiln_fpu
    vldmia r1, {s0-s1}
    vmov s2, s3, r6, r7
    vmov s4, s5, r8, r9
    vmov s6, s7, r10, r11
    .irp n, 2, 3, 4, 5, 6, 7
    vcvt.f32.s32 s\n, s\n
    .endr
    .irp n, 2, 3, 4
    vmul.f32 s\n, s\n, s0
    .endr
    .irp n, 5, 6, 7
    vmul.f32 s\n, s\n, s1
    .endr
    .irp n, 2, 3, 4, 5, 6, 7
    vcvtr.s32.f32 s\n, s\n
    .endr
    vmov r6, r7, s2, s3
    vmov r8, r9, s4, s5
    vmov r10, r11, s6, s7
    qadd r6, r6, r4
    qadd r7, r7, r4
    qadd r8, r8, r4
    qadd r9, r9, r4
    qadd r10, r10, r4
    qadd r11, r11, r4
.else
    push {r0, r1, r6-r11}
    add r0, sp, #8
    movs r2, #6
    movs r3, #3
    str r4, [sp, #-8]!
    bl kiln_exact
    add sp, #8
    pop {r0, r1, r6-r11}
.endif
    b 5b

@ One column, all fours of channels. Words as above, but 4, 5, 10, 11 and 14. The column is lanes or, with
@ \bytes, values as they are, at any address.
@
@ r0 weights, r1 the column, r2-r5 weights of four channels, r6 r7 lanes of the column, lr lanes of a
@ weight, r8-r11 accumulators, r12 the column's end.
.macro kiln_points name, bytes, size, unroll
kiln_function \name
    kiln_frame
    kiln_entry 2f, \size, \unroll
    ldr r0, [sp, #60]
1:  ldr r1, [sp, #12]
    ldm r1!, {r8-r11}
    str r1, [sp, #12]
    ldr r1, [sp]
    ldr r12, [sp, #8]
    ldr pc, [sp, #4]
    .balign 4
2:
    .rept \unroll
    ldm r0!, {r2-r5}
.if \bytes
    ldr r6, [r1], #4
    sxtb16 r7, r6, ror #8
    sxtb16 r6, r6
.else
    ldm r1!, {r6, r7}
.endif
    sxtb16 lr, r2
    smlad r8, r6, lr, r8
    sxtb16 lr, r2, ror #8
    smlad r8, r7, lr, r8
    sxtb16 lr, r3
    smlad r9, r6, lr, r9
    sxtb16 lr, r3, ror #8
    smlad r9, r7, lr, r9
    sxtb16 lr, r4
    smlad r10, r6, lr, r10
    sxtb16 lr, r4, ror #8
    smlad r10, r7, lr, r10
    sxtb16 lr, r5
    smlad r11, r6, lr, r11
    sxtb16 lr, r5, ror #8
    smlad r11, r7, lr, r11
    .endr
    cmp r1, r12
    bne 2b
    ldrd r1, r6, [sp, #24]
    ldm r1, {r2-r5}
    add r1, r6
    str r1, [sp, #24]
    ldr r6, [sp, #36]
    cbz r2, 3f
    cbz r3, 3f
    cbz r4, 3f
    cbnz r5, 4f
3:  b 6f
4:  smmlar r8, r8, r2, r6
    smmlar r9, r9, r3, r6
    smmlar r10, r10, r4, r6
    smmlar r11, r11, r5, r6
5:  ssat r8, #8, r8
    ssat r9, #8, r9
    ssat r10, #8, r10
    ssat r11, #8, r11
    ldrd r5, r1, [sp, #48]
    strb r9, [r5, #1]
    strb r10, [r5, #2]
    strb r11, [r5, #3]
    strb r8, [r5], #4
    str r5, [sp, #48]
    cmp r5, r1
    blo 1b
    kiln_return
6:  ldr r1, [sp, #12]
    ldr r2, [sp, #32]
    add r1, r2
    sub r1, #16
.if kiln_fpu
    vldmia r1, {s0-s3}
    vmov s4, s5, r8, r9
    vmov s6, s7, r10, r11
    .irp n, 4, 5, 6, 7
    vcvt.f32.s32 s\n, s\n
    .endr
    vmul.f32 s4, s4, s0
    vmul.f32 s5, s5, s1
    vmul.f32 s6, s6, s2
    vmul.f32 s7, s7, s3
    .irp n, 4, 5, 6, 7
    vcvtr.s32.f32 s\n, s\n
    .endr
    vmov r8, r9, s4, s5
    vmov r10, r11, s6, s7
    qadd r8, r8, r6
    qadd r9, r9, r6
    qadd r10, r10, r6
    qadd r11, r11, r6
.else
    push {r0, r1, r8-r11}
    add r0, sp, #8
    movs r2, #4
    movs r3, #1
    str r6, [sp, #-8]!
    bl kiln_exact
    add sp, #8
    pop {r0, r1, r8-r11}
.endif
    b 5b
.endm
kiln_points kiln_point, 0, 68, 8
kiln_points kiln_point_bytes, 1, 78, 4

@ Rows of bytes, by fours. Words at r0: to, from, bytes of a row, rows, bytes to the next row, the same of
@ where they go.
kiln_function kiln_copy
    push {r4-r8, lr}
    ldm r0, {r0-r3, r12, lr}
1:  mov r4, r0
    mov r5, r1
    mov r6, r2
2:  ldr r7, [r5], #4
    subs r6, #4
    str r7, [r4], #4
    bhi 2b
    add r0, lr
    add r1, r12
    subs r3, #1
    bne 1b
    pop {r4-r8, pc}

@ Rows of fours of three columns to lanes. Words at r0: to, from, bytes to the next column, fours of a
@ row, rows, bytes to the next row.
kiln_function kiln_three
    push {r4-r11, lr}
    ldm r0, {r0-r3, r12, lr}
1:  push {r1, r3}
2:  ldr r5, [r1, r2]
    ldr r6, [r1, r2, lsl #1]
    ldr r4, [r1], #4
    sxtb16 r7, r4, ror #8
    sxtb16 r8, r5, ror #8
    sxtb16 r9, r6, ror #8
    sxtb16 r4, r4
    sxtb16 r5, r5
    sxtb16 r6, r6
    subs r3, #1
    stm r0!, {r4-r9}
    bne 2b
    pop {r1, r3}
    add r1, lr
    subs r12, #1
    bne 1b
    pop {r4-r11, pc}

@ r2 fours from r1 to lanes in r0: the second r3 bytes behind the first, the next fours twice that.
@ Gives the next place.
kiln_function kiln_one
    push {r4, r5, lr}
    lsls r12, r3, #1
    lsrs r4, r2, #1
    bcc 1f
    ldr r5, [r1], #4
    sxtb16 lr, r5
    sxtb16 r5, r5, ror #8
    str lr, [r0]
    str r5, [r0, r3]
    add r0, r12
    cbz r4, 2f
1:  ldr r5, [r1], #4
    sxtb16 lr, r5
    sxtb16 r5, r5, ror #8
    str lr, [r0]
    str r5, [r0, r3]
    add r0, r12
    ldr r5, [r1], #4
    sxtb16 lr, r5
    sxtb16 r5, r5, ror #8
    str lr, [r0]
    str r5, [r0, r3]
    add r0, r12
    subs r4, #1
    bne 1b
2:  pop {r4, r5, pc}

@ Fours of channels of pixels to lanes. Words at r0: to, from, pixels, fours, bytes behind a pixel's fours,
@ bytes between the lanes of fours.
kiln_function kiln_lanes
    push {r4-r8, lr}
    ldm r0, {r0-r3, r12, lr}
1:  mov r4, r3
    mov r5, r0
2:  ldr r6, [r1], #4
    sxtb16 r7, r6, ror #8
    sxtb16 r6, r6
    subs r4, #1
    strd r6, r7, [r5]
    add r5, lr
    bne 2b
    adds r0, #8
    add r1, r12
    subs r2, #1
    bne 1b
    pop {r4-r8, pc}

@ A row of depthwise outputs, three by three taps, two columns and four channels at a time, all fours
@ of channels. Words of the frame: 0 to 2 rows of lanes, 3 biases, 4 weights, 5 bytes to the rows of
@ the next channels, 6 factors, 7 bytes between those of fours, 8 bytes from biases to multipliers, 9 zero point,
@ 10 bytes between pixels, 11 bytes to the next channels' output, 12 output, 13 its last pixel, 14 fours of
@ channels, 16 bytes of weights of one of them.
@
@ r0 lanes, r1 weights, r2 r3 lanes of weights, r12 lr of values, r4-r7 and r8-r11 accumulators. Of a last column
@ without a partner what is in r8-r11 goes nowhere.
kiln_function kiln_depthwise_pairs
    kiln_frame
1:  ldr r1, [sp, #12]
    ldm r1, {r4-r7}
    ldr r1, [sp, #16]
    .irp row, 0, 4, 8
    ldr r0, [sp, #\row]
    ldm r1!, {r2, r3}
.if \row == 0
    ldrd r12, lr, [r0, #8]
    smlabb r8, r12, r2, r4
    smlabb r9, lr, r3, r5
    smlatt r10, r12, r2, r6
    smlatt r11, lr, r3, r7
.endif
    ldrd r12, lr, [r0], #8
    smlabb r4, r12, r2, r4
    smlabb r5, lr, r3, r5
    smlatt r6, r12, r2, r6
    smlatt r7, lr, r3, r7
    ldrd r12, lr, [r0], #8
.if \row
    smlabb r8, r12, r2, r8
    smlabb r9, lr, r3, r9
    smlatt r10, r12, r2, r10
    smlatt r11, lr, r3, r11
.endif
    ldm r1!, {r2, r3}
    smlabb r4, r12, r2, r4
    smlabb r5, lr, r3, r5
    smlatt r6, r12, r2, r6
    smlatt r7, lr, r3, r7
    ldrd r12, lr, [r0]
    smlabb r8, r12, r2, r8
    smlabb r9, lr, r3, r9
    smlatt r10, r12, r2, r10
    smlatt r11, lr, r3, r11
    ldm r1!, {r2, r3}
    smlabb r4, r12, r2, r4
    smlabb r5, lr, r3, r5
    smlatt r6, r12, r2, r6
    smlatt r7, lr, r3, r7
    ldrd r12, lr, [r0, #8]
    str r0, [sp, #\row]
    smlabb r8, r12, r2, r8
    smlabb r9, lr, r3, r9
    smlatt r10, r12, r2, r10
    smlatt r11, lr, r3, r11
    .endr
2:  ldr r12, [sp, #24]
    ldr lr, [sp, #36]
    ldm r12, {r0-r3}
    cbz r0, 3f
    cbz r1, 3f
    cbz r2, 3f
    cbnz r3, 4f
3:  b 7f
4:  smmlar r4, r4, r0, lr
    smmlar r5, r5, r1, lr
    smmlar r6, r6, r2, lr
    smmlar r7, r7, r3, lr
    smmlar r8, r8, r0, lr
    smmlar r9, r9, r1, lr
    smmlar r10, r10, r2, lr
    smmlar r11, r11, r3, lr
5:  ssat r4, #8, r4
    ssat r5, #8, r5
    ssat r6, #8, r6
    ssat r7, #8, r7
    ssat r8, #8, r8
    ssat r9, #8, r9
    ssat r10, #8, r10
    ssat r11, #8, r11
    bfi r4, r5, #8, #8
    bfi r6, r7, #8, #8
    pkhbt r4, r4, r6, lsl #16
    bfi r8, r9, #8, #8
    bfi r10, r11, #8, #8
    pkhbt r8, r8, r10, lsl #16
    ldr r0, [sp, #48]
    ldr r1, [sp, #40]
    ldr r3, [sp, #52]
    cmp r0, r3
    it ne
    strne r8, [r0, r1]
    str r4, [r0]
    add r0, r0, r1, lsl #1
    str r0, [sp, #48]
    cmp r0, r3
    blo 1b
    beq 8f
    kiln_next_fours 0, 4, 8
    bne 1b
    kiln_return
8:  ldr r1, [sp, #12]
    ldm r1, {r4-r7}
    ldr r1, [sp, #16]
    .irp row, 0, 4, 8
    ldr r0, [sp, #\row]
    .irp column, 0, 8, 16
    ldm r1!, {r2, r3}
    ldrd r12, lr, [r0, #\column]
    smlabb r4, r12, r2, r4
    smlabb r5, lr, r3, r5
    smlatt r6, r12, r2, r6
    smlatt r7, lr, r3, r7
    .endr
    adds r0, #16
    str r0, [sp, #\row]
    .endr
    b 2b
7:  ldr r0, [sp, #12]
    ldr r1, [sp, #32]
    add r1, r0
.if kiln_fpu
    vldmia r1, {s0-s3}
    vmov s4, s5, r4, r5
    vmov s6, s7, r6, r7
    vmov s8, s9, r8, r9
    vmov s10, s11, r10, r11
    .irp n, 4, 5, 6, 7, 8, 9, 10, 11
    vcvt.f32.s32 s\n, s\n
    .endr
    .irp n, 4, 8
    vmul.f32 s\n, s\n, s0
    .endr
    .irp n, 5, 9
    vmul.f32 s\n, s\n, s1
    .endr
    .irp n, 6, 10
    vmul.f32 s\n, s\n, s2
    .endr
    .irp n, 7, 11
    vmul.f32 s\n, s\n, s3
    .endr
    .irp n, 4, 5, 6, 7, 8, 9, 10, 11
    vcvtr.s32.f32 s\n, s\n
    .endr
    vmov r4, r5, s4, s5
    vmov r6, r7, s6, s7
    vmov r8, r9, s8, s9
    vmov r10, r11, s10, s11
    .irp n, 4, 5, 6, 7, 8, 9, 10, 11
    qadd r\n, r\n, lr
    .endr
.else
    push {r4-r11}
    mov r0, sp
    movs r2, #8
    movs r3, #1
    str lr, [sp, #-8]!
    bl kiln_exact
    add sp, #8
    pop {r4-r11}
.endif
    b 5b

@ A row of depthwise outputs, any kernel, four channels at a time, all fours of channels. Words of the
@ frame as above, but 0 the kernel's rows of lanes, 1 their number, 2 taps of each, 15 bytes of lanes
@ between outputs.
@
@ r0 lanes, r1 weights, r2 r3 lanes of weights, r12 lr of values, r4-r7 accumulators, r8 taps left,
@ r9 where in the rows, r10 rows, r11 rows left.
kiln_function kiln_depthwise
    kiln_frame
    movs r9, #0
1:  ldr r1, [sp, #12]
    ldrd r10, r11, [sp]
    ldm r1, {r4-r7}
    ldr r1, [sp, #16]
2:  ldr r0, [r10], #4
    ldr r8, [sp, #8]
    add r0, r9
3:  ldrd r12, lr, [r0], #8
    ldm r1!, {r2, r3}
    subs r8, #1
    smlabb r4, r12, r2, r4
    smlabb r5, lr, r3, r5
    smlatt r6, r12, r2, r6
    smlatt r7, lr, r3, r7
    bne 3b
    subs r11, #1
    bne 2b
    ldr r12, [sp, #24]
    ldr lr, [sp, #36]
    ldm r12, {r0-r3}
    cbz r0, 4f
    cbz r1, 4f
    cbz r2, 4f
    cbnz r3, 5f
4:  b 7f
5:  smmlar r4, r4, r0, lr
    smmlar r5, r5, r1, lr
    smmlar r6, r6, r2, lr
    smmlar r7, r7, r3, lr
6:  ssat r4, #8, r4
    ssat r5, #8, r5
    ssat r6, #8, r6
    ssat r7, #8, r7
    bfi r4, r5, #8, #8
    bfi r6, r7, #8, #8
    pkhbt r4, r4, r6, lsl #16
    ldr r0, [sp, #48]
    ldr r1, [sp, #40]
    ldr r3, [sp, #52]
    ldr r2, [sp, #60]
    str r4, [r0]
    add r0, r1
    add r9, r2
    str r0, [sp, #48]
    cmp r0, r3
    bls 1b
    ldr r2, [sp, #20]
    add r9, r2
    kiln_next_fours
    bne 1b
    kiln_return
7:  ldr r0, [sp, #12]
    ldr r1, [sp, #32]
    add r1, r0
.if kiln_fpu
    vldmia r1, {s0-s3}
    vmov s4, s5, r4, r5
    vmov s6, s7, r6, r7
    .irp n, 4, 5, 6, 7
    vcvt.f32.s32 s\n, s\n
    .endr
    vmul.f32 s4, s4, s0
    vmul.f32 s5, s5, s1
    vmul.f32 s6, s6, s2
    vmul.f32 s7, s7, s3
    .irp n, 4, 5, 6, 7
    vcvtr.s32.f32 s\n, s\n
    .endr
    vmov r4, r5, s4, s5
    vmov r6, r7, s6, s7
    .irp n, 4, 5, 6, 7
    qadd r\n, r\n, lr
    .endr
.else
    push {r4-r7}
    mov r0, sp
    movs r2, #4
    movs r3, #1
    str lr, [sp, #-8]!
    bl kiln_exact
    add sp, #8
    pop {r4-r7}
.endif
    b 6b

@ Sums of two tensors. Words at r0: a, b, output, fours, factors of a and of b, what is added, shift.
kiln_function kiln_sum
    push {r4-r11, lr}
    ldm r0, {r1-r7}
    ldr r0, [r0, #28]
    pkhbt r5, r5, r6, lsl #16
1:  ldr r8, [r1], #4
    ldr r9, [r2], #4
    sxtb16 r10, r8
    sxtb16 r11, r9
    sxtb16 r8, r8, ror #8
    sxtb16 r9, r9, ror #8
    pkhbt r12, r10, r11, lsl #16
    pkhtb r10, r11, r10, asr #16
    pkhbt r11, r8, r9, lsl #16
    pkhtb r8, r9, r8, asr #16
    smlad r12, r12, r5, r7
    smlad r10, r10, r5, r7
    smlad r11, r11, r5, r7
    smlad r8, r8, r5, r7
    asr r12, r12, r0
    asr r10, r10, r0
    asr r11, r11, r0
    asr r8, r8, r0
    ssat r12, #8, r12
    ssat r10, #8, r10
    ssat r11, #8, r11
    ssat r8, #8, r8
    bfi r12, r11, #8, #8
    bfi r10, r8, #8, #8
    pkhbt r12, r12, r10, lsl #16
    subs r4, #1
    str r12, [r3], #4
    bne 1b
    pop {r4-r11, pc}

@ Sums of four channels over a row of pixels. r0 from, r1 pixels, r2 bytes between them, r3 sums in the
@ order of channels, to which they are added: no more than 255 pixels.
kiln_function kiln_row_sums
    push {r4-r7, lr}
    movs r4, #0
    movs r5, #0
1:  ldr r6, [r0]
    add r0, r2
    subs r1, #1
    sxtab16 r4, r4, r6
    sxtab16 r5, r5, r6, ror #8
    bne 1b
    ldm r3, {r0, r1, r2, r6}
    sxtah r0, r0, r4
    sxtah r1, r1, r5
    add r2, r2, r4, asr #16
    add r6, r6, r5, asr #16
    stm r3, {r0, r1, r2, r6}
    pop {r4-r7, pc}

.if kiln_fpu
@ Sums of two tensors by floats, equation (8). Words at r0: a, b, output, fours; floats: ratios, and what is
@ added.
kiln_function kiln_float_sum
    push {r4-r9, lr}
    add r5, r0, #16
    ldm r0, {r1-r4}
    vldmia r5, {s13-s15}
    mov r9, #0x80808080
1:  ldr r5, [r1], #4
    ldr r6, [r2], #4
    eor r5, r9
    eor r6, r9
    uxtb r7, r5
    uxtb r8, r5, ror #8
    uxtb r0, r5, ror #16
    lsrs r5, r5, #24
    vmov s0, s1, r7, r8
    vmov s2, s3, r0, r5
    uxtb r7, r6
    uxtb r8, r6, ror #8
    uxtb r0, r6, ror #16
    lsrs r6, r6, #24
    vmov s4, s5, r7, r8
    vmov s6, s7, r0, r6
    .irp n, 0, 1, 2, 3, 4, 5, 6, 7
    vcvt.f32.u32 s\n, s\n
    .endr
    .irp n, 8, 9, 10, 11
    vmov.f32 s\n, s15
    .endr
    vfma.f32 s8, s4, s14
    vfma.f32 s9, s5, s14
    vfma.f32 s10, s6, s14
    vfma.f32 s11, s7, s14
    vfma.f32 s8, s0, s13
    vfma.f32 s9, s1, s13
    vfma.f32 s10, s2, s13
    vfma.f32 s11, s3, s13
    .irp n, 8, 9, 10, 11
    vcvtr.s32.f32 s\n, s\n
    .endr
    vmov r5, r6, s8, s9
    vmov r7, r8, s10, s11
    usat r5, #8, r5
    usat r6, #8, r6
    usat r7, #8, r7
    usat r8, #8, r8
    bfi r5, r6, #8, #8
    bfi r7, r8, #8, #8
    pkhbt r5, r5, r7, lsl #16
    eor r5, r9
    subs r4, #1
    str r5, [r3], #4
    bne 1b
    pop {r4-r9, pc}
.endif

.purgem kiln_function
.purgem kiln_frame
.purgem kiln_return
.purgem kiln_points
.purgem kiln_entry
.purgem kiln_next_fours
.text
