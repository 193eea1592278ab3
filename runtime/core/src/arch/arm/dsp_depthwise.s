@ Depthwise convolutions for the DSP extension; behind dsp.s, and the last.

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

.purgem kiln_function
.purgem kiln_frame
.purgem kiln_return
.purgem kiln_points
.purgem kiln_entry
.purgem kiln_next_fours
.text
