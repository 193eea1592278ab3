@ What makes lanes, and sums, for the DSP extension; behind dsp.s.

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

@ s0 * s1 + s2, rounded once.
kiln_function kiln_fma
    vfma.f32 s2, s0, s1
    vmov.f32 s0, s2
    bx lr
.endif
