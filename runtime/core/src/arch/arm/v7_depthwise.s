@ Depthwise convolutions for Armv7-M; behind v7.s, and the last.

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

@ r0 values, r1 weights, r2 a weight, r3 a value, r4-r7 and r8-r11 accumulators of two columns, r12
@ where rows lie, lr their end.
kiln_function kiln_depthwise_pairs
    kiln_frame
1:  ldr r1, [sp, #12]
    ldm r1, {r4-r7}
    ldr r1, [sp, #16]
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    mov r12, sp
    add lr, sp, #12
2:  ldr r0, [r12]
    .irp tap, 0, 1, 2
    ldrsh r2, [r1, #8 * \tap + 0]
    ldrsb r3, [r0, #4 * \tap + 0]
    mla r4, r3, r2, r4
    ldrsb r3, [r0, #4 * \tap + 4]
    mla r8, r3, r2, r8
    ldrsh r2, [r1, #8 * \tap + 4]
    ldrsb r3, [r0, #4 * \tap + 1]
    mla r5, r3, r2, r5
    ldrsb r3, [r0, #4 * \tap + 5]
    mla r9, r3, r2, r9
    ldrsh r2, [r1, #8 * \tap + 2]
    ldrsb r3, [r0, #4 * \tap + 2]
    mla r6, r3, r2, r6
    ldrsb r3, [r0, #4 * \tap + 6]
    mla r10, r3, r2, r10
    ldrsh r2, [r1, #8 * \tap + 6]
    ldrsb r3, [r0, #4 * \tap + 3]
    mla r7, r3, r2, r7
    ldrsb r3, [r0, #4 * \tap + 7]
    mla r11, r3, r2, r11
    .endr
    adds r0, #8
    adds r1, #24
    str r0, [r12], #4
    cmp r12, lr
    bne 2b
    ldr r12, [sp, #24]
    ldm r12, {r0-r3}
    cbz r0, 3f
    cbz r1, 3f
    cbz r2, 3f
    cbnz r3, 4f
3:  b 7f
4:  ldr lr, [sp, #36]
    mov r1, #0x80000000
    .irp n, 4, 5, 6, 7
    ldr r3, [r12], #4
    smull r2, r\n, r\n, r3
    adds r2, r1
    adc r\n, lr
    ssat r\n, #8, r\n
    .endr
    sub r12, #16
    .irp n, 8, 9, 10, 11
    ldr r3, [r12], #4
    smull r2, r\n, r\n, r3
    adds r2, r1
    adc r\n, lr
    ssat r\n, #8, r\n
    .endr
5:  bfi r4, r5, #8, #8
    bfi r4, r6, #16, #8
    bfi r4, r7, #24, #8
    bfi r8, r9, #8, #8
    bfi r8, r10, #16, #8
    bfi r8, r11, #24, #8
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
    bls 1b
    kiln_next_fours 0, 4, 8
    bne 1b
    kiln_return
7:  ldr r0, [sp, #12]
    ldr r1, [sp, #32]
    ldr lr, [sp, #36]
    add r12, r0, r1
    mov r1, #0x80000000
    push {r4-r11}
    ldr r3, [r12], #4
    kiln_factor r3, r0, r2, 8f
    kiln_near r4, r3, r2, r1, lr, 8f
    kiln_near r8, r3, r2, r1, lr, 8f
    ldr r3, [r12], #4
    kiln_factor r3, r0, r2, 8f
    kiln_near r5, r3, r2, r1, lr, 8f
    kiln_near r9, r3, r2, r1, lr, 8f
    ldr r3, [r12], #4
    kiln_factor r3, r0, r2, 8f
    kiln_near r6, r3, r2, r1, lr, 8f
    kiln_near r10, r3, r2, r1, lr, 8f
    ldr r3, [r12], #4
    kiln_factor r3, r0, r2, 8f
    kiln_near r7, r3, r2, r1, lr, 8f
    kiln_near r11, r3, r2, r1, lr, 8f
    add sp, #32
    b 5b
8:  pop {r4-r11}
    ldr r0, [sp, #12]
    ldr r1, [sp, #32]
    ldr r12, [sp, #36]
    add r1, r0
    kiln_call_exact r12, 8, 1, r4, r5, r6, r7, r8, r9, r10, r11
    b 5b

@ r0 values, r1 weights, r2 a weight, r3 a value, r4-r7 accumulators, r8 taps left, r9 where in the
@ rows, r10 rows, r11 rows left.
kiln_function kiln_depthwise
    kiln_frame
    movs r1, #0
    mov r9, r1
1:  ldr r1, [sp, #12]
    ldrd r10, r11, [sp]
    ldm r1, {r4-r7}
    ldr r1, [sp, #16]
2:  ldr r0, [r10], #4
    ldr r8, [sp, #8]
    add r0, r9
3:  ldrsh r2, [r1, #4]
    ldrsb r3, [r0, #1]
    subs r8, #1
    mla r5, r3, r2, r5
    ldrsh r2, [r1, #2]
    ldrsb r3, [r0, #2]
    mla r6, r3, r2, r6
    ldrsh r2, [r1, #6]
    ldrsb r3, [r0, #3]
    mla r7, r3, r2, r7
    ldrsh r2, [r1], #8
    ldrsb r3, [r0], #4
    mla r4, r3, r2, r4
    bne 3b
    subs r11, #1
    bne 2b
    ldr r12, [sp, #24]
    ldm r12, {r0-r3}
    cbz r0, 4f
    cbz r1, 4f
    cbz r2, 4f
    cbnz r3, 5f
4:  b 7f
5:  ldr lr, [sp, #36]
    mov r1, #0x80000000
    .irp n, 4, 5, 6, 7
    ldr r3, [r12], #4
    smull r2, r\n, r\n, r3
    adds r2, r1
    adc r\n, lr
    ssat r\n, #8, r\n
    .endr
6:  bfi r4, r5, #8, #8
    bfi r4, r6, #16, #8
    bfi r4, r7, #24, #8
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
    ldr lr, [sp, #36]
    add r12, r0, r1
    mov r1, #0x80000000
    push {r4-r7}
    ldr r3, [r12], #4
    kiln_factor r3, r0, r2, 8f
    kiln_near r4, r3, r2, r1, lr, 8f
    ldr r3, [r12], #4
    kiln_factor r3, r0, r2, 8f
    kiln_near r5, r3, r2, r1, lr, 8f
    ldr r3, [r12], #4
    kiln_factor r3, r0, r2, 8f
    kiln_near r6, r3, r2, r1, lr, 8f
    ldr r3, [r12], #4
    kiln_factor r3, r0, r2, 8f
    kiln_near r7, r3, r2, r1, lr, 8f
    add sp, #16
    b 6b
8:  pop {r4-r7}
    ldr r0, [sp, #12]
    ldr r1, [sp, #32]
    ldr r12, [sp, #36]
    add r1, r0
    kiln_call_exact r12, 4, 1, r4, r5, r6, r7
    b 6b

.purgem kiln_function
.purgem kiln_frame
.purgem kiln_return
.purgem kiln_entry
.purgem kiln_fixed
.purgem kiln_call_exact
.purgem kiln_factor
.purgem kiln_near
.purgem kiln_next_fours
.text
