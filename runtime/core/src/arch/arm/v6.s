@ The inner loops for Armv6-M, registers by hand; v6.rs says what each does.

@ Four int8 values of a column by those of four channels.
.macro kiln_step
    ldmia r1!, {r2}
    mov r0, r8
    ldmia r0!, {r4-r7}
    mov r8, r0
    sxtb r3, r2
    sxtb r0, r4
    muls r0, r3, r0
    add r9, r0
    sxtb r0, r5
    muls r0, r3, r0
    add r10, r0
    sxtb r0, r6
    muls r0, r3, r0
    add r11, r0
    sxtb r0, r7
    muls r0, r3, r0
    add r12, r0
    asrs r2, #8
    sxtb r3, r2
    asrs r4, #8
    sxtb r0, r4
    muls r0, r3, r0
    add r9, r0
    asrs r5, #8
    sxtb r0, r5
    muls r0, r3, r0
    add r10, r0
    asrs r6, #8
    sxtb r0, r6
    muls r0, r3, r0
    add r11, r0
    asrs r7, #8
    sxtb r0, r7
    muls r0, r3, r0
    add r12, r0
    asrs r2, #8
    sxtb r3, r2
    asrs r4, #8
    sxtb r0, r4
    muls r0, r3, r0
    add r9, r0
    asrs r5, #8
    sxtb r0, r5
    muls r0, r3, r0
    add r10, r0
    asrs r6, #8
    sxtb r0, r6
    muls r0, r3, r0
    add r11, r0
    asrs r7, #8
    sxtb r0, r7
    muls r0, r3, r0
    add r12, r0
    asrs r2, #8
    asrs r4, #8
    muls r4, r2, r4
    add r9, r4
    asrs r5, #8
    muls r5, r2, r5
    add r10, r5
    asrs r6, #8
    muls r6, r2, r6
    add r11, r6
    asrs r7, #8
    muls r7, r2, r7
    add r12, r7
.endm

@ The same by weights of two a 16-bit value, 256 a + b, with accumulators 256 times as large: dsp.s has the
@ arithmetic. The word at 24 is a mask.
.macro kiln_step_twos
    ldmia r1!, {r2}
    mov r0, r8
    ldmia r0!, {r4-r7}
    mov r8, r0
    sxtb r3, r2
    sxth r0, r4
    muls r0, r3, r0
    add r9, r0
    sxth r0, r5
    muls r0, r3, r0
    add r10, r0
    sxth r0, r6
    muls r0, r3, r0
    add r11, r0
    sxth r0, r7
    muls r0, r3, r0
    add r12, r0
    ldr r0, [sp, #24]
    eors r2, r0
    sxth r3, r2
    sxtb r0, r4
    muls r0, r3, r0
    add r9, r0
    sxtb r0, r5
    muls r0, r3, r0
    add r10, r0
    sxtb r0, r6
    muls r0, r3, r0
    add r11, r0
    sxtb r0, r7
    muls r0, r3, r0
    add r12, r0
    asrs r2, r2, #16
    asrs r4, r4, #16
    sxtb r0, r4
    muls r0, r2, r0
    add r9, r0
    asrs r5, r5, #16
    sxtb r0, r5
    muls r0, r2, r0
    add r10, r0
    asrs r6, r6, #16
    sxtb r0, r6
    muls r0, r2, r0
    add r11, r0
    asrs r7, r7, #16
    sxtb r0, r7
    muls r0, r2, r0
    add r12, r0
    movs r0, #127
    uxtb r3, r2
    subs r3, r0, r3
    muls r4, r3, r4
    add r9, r4
    muls r5, r3, r5
    add r10, r5
    muls r6, r3, r6
    add r11, r6
    muls r7, r3, r7
    add r12, r7
.endm

@ To the four accumulators in r0: as many rows of lanes as the first word on the stack says, to which r1 points,
@ as many bytes behind their starts as the second, r3 taps of each, by the weights in r2.
@
@ r0 lanes, r1 weights, r2 a product, r3 four values, r4 r5 weights, r6 a weight, r7 taps left, r8-r11
@ accumulators, r12 rows, lr bytes behind their starts.
.section .text.kiln_taps,"ax",%progbits
.balign 4
.global kiln_taps
.type kiln_taps,%function
.thumb_func
kiln_taps:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    mov r12, r1
    mov r1, r2
    ldr r4, [sp, #36]
    ldr r5, [sp, #40]
    mov lr, r5
    push {r0, r3, r4}
    ldmia r0!, {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
1:  mov r4, r12
    ldmia r4!, {r0}
    mov r12, r4
    add r0, lr
    ldr r7, [sp, #4]
2:  ldmia r0!, {r3}
    ldmia r1!, {r4, r5}
    sxtb r2, r3
    sxth r6, r4
    muls r2, r6, r2
    add r8, r2
    lsrs r3, r3, #8
    sxtb r2, r3
    sxth r6, r5
    muls r2, r6, r2
    add r9, r2
    lsrs r3, r3, #8
    sxtb r2, r3
    asrs r4, r4, #16
    muls r2, r4, r2
    add r10, r2
    lsrs r3, r3, #8
    sxtb r2, r3
    asrs r5, r5, #16
    muls r2, r5, r2
    add r11, r2
    subs r7, #1
    bne 2b
    ldr r7, [sp, #8]
    subs r7, #1
    str r7, [sp, #8]
    bne 1b
    pop {r0, r1, r2}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    stmia r0!, {r4-r7}
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
.text

@ Lanes of two columns, at r0: from the r2 pairs of fours at r1, one's and the other's, of each two values
@ one word, -(x0 + 65536 x1). The fours may lie in the second half of the lanes.
@
@ r2 r3 fours, r4-r7 lanes, r12 pairs left.
.section .text.kiln_widen,"ax",%progbits
.balign 4
.global kiln_widen
.type kiln_widen,%function
.thumb_func
kiln_widen:
    push {r4-r7, lr}
    mov r12, r2
1:  ldmia r1!, {r2, r3}
    asrs r7, r3, #24
    lsls r7, r7, #16
    asrs r6, r2, #24
    adds r7, r7, r6
    negs r7, r7
    mov lr, r7
    .irp lane, r4, r5, r6
    sxtb r7, r3
    lsls r7, r7, #16
    sxtb \lane, r2
    adds r7, r7, \lane
    negs \lane, r7
    asrs r2, r2, #8
    asrs r3, r3, #8
    .endr
    mov r7, lr
    stmia r0!, {r4-r7}
    mov r7, r12
    subs r7, #1
    mov r12, r7
    bne 1b
    pop {r4-r7, pc}

@ Two taps of two columns by the weights in r6, which are shifted by `shift` first.
.macro kiln_two shift
    ldmia r0!, {r4, r5}
.if \shift
    asrs r6, r6, #8
.endif
    sxtb r7, r6
    muls r4, r7, r4
    asrs r6, r6, #8
.if \shift
    muls r5, r6, r5
.else
    sxtb r7, r6
    muls r5, r7, r5
.endif
    adds r4, r4, r5
    adds r2, r2, r4
    add r4, r9
    asrs r4, r4, #16
    adds r3, r3, r4
.endm

@ Rounds the accumulator in \acc by the factor in r5 (its lower half) and r6 (its upper one), adds the zero
@ point and saturates: equation (5).
.macro kiln_fixed acc
    uxth r0, \acc
    asrs r1, \acc, #16
    movs r4, r0
    muls r4, r5, r4
    lsrs r4, r4, #16
    muls r0, r6, r0
    adds r0, r0, r4
    lsrs r4, r0, #16
    uxth r0, r0
    movs r7, r1
    muls r7, r5, r7
    adds r7, r7, r0
    muls r1, r6, r1
    adds r1, r1, r4
    asrs r7, r7, #16
    adcs r1, r7
    add r1, r11
    sxtb \acc, r1
    cmp \acc, r1
    beq 9f
    asrs r1, r1, #31
    movs \acc, #127
    eors \acc, r1
9:
.endm

@ Two columns, all channels. Words of what r0 points to: 0 columns, 1 biases, 2 weights, 3 factors, 4 output,
@ 5 its end, 6 from the first column's output to the second's, 7 bytes from biases to multipliers, 8 from a
@ channel's last weights back to the next one's, 9 bytes between factors, 10 the channel, 11 zero point, 12 end
@ of the columns, 13 bytes of weights of the fours by which a round is short, 14 where the loop is entered.
@
@ A lane is of two columns, minus their values: products of two taps fit in its halves, whatever they are, and
@ with 32768 added the lower one has no sign. r0 columns, r1 weights, r2 sum of all, r3 of its upper halves, r4 r5
@ lanes, r6 r7 weights, r8 end of the columns, r9 32768, r10 the words, r11 zero point.
.section .text.kiln_pair,"ax",%progbits
.balign 4
.global kiln_pair
.type kiln_pair,%function
.thumb_func
kiln_pair:
    push {r3-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    mov r10, r0
    ldr r1, [r0, #48]
    mov r8, r1
    ldr r1, [r0, #44]
    mov r11, r1
    movs r1, #1
    lsls r1, r1, #15
    mov r9, r1
    adr r1, 2f
    adds r1, #1
    ldr r2, [r0, #56]
    adds r1, r1, r2
    str r1, [r0, #56]
1:  mov r7, r10
    ldr r0, [r7]
    ldr r1, [r7, #8]
    ldr r4, [r7, #52]
    subs r1, r1, r4
    movs r2, #0
    movs r3, #0
    ldr r4, [r7, #56]
    bx r4
    .balign 4
2:
    .irp at, 0, 16, 32, 48
    ldr r6, [r1, #\at]
    kiln_two 0
    kiln_two 1
    .endr
    adds r1, #64
    cmp r0, r8
    bne 2b
    mov r7, r10
    lsls r4, r3, #16
    subs r2, r2, r4
    ldr r5, [r7, #4]
    ldmia r5!, {r4}
    str r5, [r7, #4]
    subs r2, r4, r2
    subs r3, r4, r3
    ldr r5, [r7, #40]
    adds r5, #1
    str r5, [r7, #40]
    lsls r5, r5, #30
    beq 3f
    ldr r5, [r7, #32]
    subs r1, r1, r5
    adds r1, #16
3:  subs r1, #12
    str r1, [r7, #8]
    ldr r6, [r7, #12]
    ldr r5, [r6]
    ldr r0, [r7, #36]
    adds r6, r6, r0
    str r6, [r7, #12]
    cmp r5, #0
    beq 6f
    lsrs r6, r5, #16
    uxth r5, r5
    kiln_fixed r3
    kiln_fixed r2
4:  mov r7, r10
    ldr r0, [r7, #16]
    ldr r1, [r7, #20]
    ldr r4, [r7, #24]
    strb r3, [r0, r4]
    strb r2, [r0]
    adds r0, #1
    str r0, [r7, #16]
    cmp r0, r1
    bhs 5f
    b 1b
5:  pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r3-r7, pc}
6:  sub sp, #16
    mov r0, r11
    str r0, [sp]
    str r2, [sp, #8]
    str r3, [sp, #12]
    ldr r1, [r7, #4]
    ldr r2, [r7, #28]
    adds r1, r1, r2
    subs r1, #4
    movs r2, #2
    movs r3, #2
    add r0, sp, #8
    bl kiln_exact
    ldr r2, [sp, #8]
    ldr r3, [sp, #12]
    add sp, #16
    b 4b

@ One column, all fours of channels. Words as above, but 6, 8, 10 and 13.
@
@ r0 a weight or a product, r1 column, r2 its four, r3 a value, r4-r7 weights, r8 where they are,
@ r9-r12 accumulators, lr the column's end. Then r2 an accumulator, r8 four times its number, r11 zero point.
.macro kiln_points name, twos
.section .text.\name,"ax",%progbits
.balign 4
.global \name
.type \name,%function
.thumb_func
\name:
    push {r3-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    sub sp, #32
    str r0, [sp, #16]
.if \twos
    ldr r1, =0x007f007f
    str r1, [sp, #24]
.endif
    ldr r1, [r0, #48]
    mov lr, r1
    adr r1, 2f
    adds r1, #1
    ldr r2, [r0, #56]
    adds r1, r1, r2
    str r1, [r0, #56]
1:  ldr r7, [sp, #16]
    ldr r0, [r7, #4]
    ldmia r0!, {r3-r6}
    mov r9, r3
    mov r10, r4
    mov r11, r5
    mov r12, r6
    str r0, [r7, #4]
    ldr r1, [r7, #8]
    mov r8, r1
    ldr r1, [r7]
    ldr r0, [r7, #56]
    bx r0
    .balign 4
2:
    .rept 4
.if \twos
    kiln_step_twos
.else
    kiln_step
.endif
    .endr
    cmp r1, lr
    beq 3f
    b 2b
3:  mov r4, r9
    mov r5, r10
    mov r6, r11
    mov r7, r12
.if \twos
    asrs r4, r4, #8
    asrs r5, r5, #8
    asrs r6, r6, #8
    asrs r7, r7, #8
.endif
    mov r0, sp
    stmia r0!, {r4-r7}
    ldr r7, [sp, #16]
    mov r1, r8
    str r1, [r7, #8]
    ldr r0, [r7, #44]
    mov r11, r0
    mov r0, lr
    str r0, [sp, #20]
    ldr r0, [r7, #12]
    ldmia r0!, {r2-r5}
    orrs r2, r3
    orrs r2, r4
    orrs r2, r5
    beq 8f
    movs r0, #0
4:  mov r8, r0
    mov r1, sp
    ldr r2, [r1, r0]
    ldr r1, [r7, #12]
    ldr r5, [r1, r0]
    cmp r5, #0
    beq 6f
    lsrs r6, r5, #16
    uxth r5, r5
    kiln_fixed r2
5:  ldr r7, [sp, #16]
    ldr r1, [r7, #16]
    strb r2, [r1]
    adds r1, #1
    str r1, [r7, #16]
    mov r0, r8
    adds r0, #4
    cmp r0, #16
    bne 4b
10: ldr r0, [r7, #12]
    ldr r2, [r7, #36]
    adds r0, r0, r2
    str r0, [r7, #12]
    ldr r0, [sp, #20]
    mov lr, r0
    ldr r0, [r7, #20]
    cmp r1, r0
    bhs 7f
    b 1b
6:  sub sp, #8
    mov r1, r11
    str r1, [sp]
    ldr r1, [r7, #4]
    subs r1, #16
    adds r1, r1, r0
    ldr r2, [r7, #28]
    adds r1, r1, r2
    add r2, sp, #8
    adds r0, r0, r2
    movs r2, #1
    movs r3, #1
    bl kiln_exact
    add sp, #8
    mov r0, r8
    mov r1, sp
    ldr r2, [r1, r0]
    b 5b
8:  sub sp, #8
    mov r1, r11
    str r1, [sp]
    ldr r1, [r7, #4]
    subs r1, #16
    ldr r2, [r7, #28]
    adds r1, r1, r2
    movs r2, #4
    movs r3, #1
    add r0, sp, #8
    bl kiln_exact
    add sp, #8
    mov r0, sp
    ldmia r0!, {r2-r5}
    ldr r7, [sp, #16]
    ldr r1, [r7, #16]
    strb r2, [r1]
    strb r3, [r1, #1]
    strb r4, [r1, #2]
    strb r5, [r1, #3]
    adds r1, #4
    str r1, [r7, #16]
    b 10b
7:  add sp, #32
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r3-r7, pc}
.if \twos
    .ltorg
.endif
.endm
kiln_points kiln_points_bytes, 0
kiln_points kiln_points_twos, 1
.purgem kiln_points
.purgem kiln_step_twos
.purgem kiln_step
.purgem kiln_two
.purgem kiln_fixed
.text
