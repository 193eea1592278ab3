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
    add r1, sp, #40
    ldm r1, {r1-r5}
    add r5, r3
    strb r11, [r5, r2]
    strb r10, [r5, r1]
    strb r9, [r5]
    strb r8, [r3, r2]
    strb r7, [r3, r1]
    strb r6, [r3]
    adds r3, #2
    str r3, [sp, #48]
    ldrd r1, r2, [sp, #16]
    add r0, r1
    strd r2, r1, [sp, #16]
    cmp r3, r4
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
@ With \bytes = 2 weights are 256 a + b of each two, and accumulators 256 times as large. With values x and y
@ above them, x (256 a + b) + b (256 y + 127 - x) is 256 (a x + b y) + 127 b, whose last term is in what they start
@ with; 127 - x is of 8 bits, x with all but the sign flipped.
@
@ r0 weights, r1 the column, r2-r5 weights of four channels, r6 r7 lanes of the column, lr lanes of a
@ weight, r8-r11 accumulators, r12 the column's end.
.macro kiln_twos acc, weights
    sxtb16 lr, \weights
    smlad \acc, r7, \weights, \acc
    smlad \acc, r6, lr, \acc
.endm

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
.if \bytes == 2
    ldr r6, [r1], #4
    sxtb16 r7, r6
    eor r6, r6, #0x007f007f
    kiln_twos r8, r2
    kiln_twos r9, r3
    kiln_twos r10, r4
    kiln_twos r11, r5
.else
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
.endif
    .endr
    cmp r1, r12
    bne 2b
.if \bytes == 2
    asr r8, r8, #8
    asr r9, r9, #8
    asr r10, r10, #8
    asr r11, r11, #8
.endif
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
kiln_points kiln_point_twos, 2, 62, 4
