@ The inner loop for Armv6-M, registers by hand.

@ Four int8 values of a column by those of four channels.
.macro kiln_step
    ldr r2, [r1]
    add r1, lr
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

@ To the four accumulators in r0: r3 fours of the column at r1, as many bytes apart as the word on the stack
@ says, by the weights in r2.
@
@ r0 a weight or a product, r1 column, r2 its four, r3 a value, r4-r7 weights, r8 where they are,
@ r9-r12 accumulators, lr bytes between fours.
.section .text.kiln_four,"ax",%progbits
.balign 4
.global kiln_four
.type kiln_four,%function
.thumb_func
kiln_four:
    push {r4-r7, lr}
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    ldr r4, [sp, #36]
    mov lr, r4
    mov r8, r2
    push {r0, r3}
    ldmia r0!, {r4-r7}
    mov r9, r4
    mov r10, r5
    mov r11, r6
    mov r12, r7
    movs r4, #3
    ands r4, r3
    push {r4}
    b 2f
1:  subs r0, #1
    str r0, [sp]
    kiln_step
2:  ldr r0, [sp]
    cmp r0, #0
    bne 1b
    add sp, #4
    ldr r0, [sp, #4]
    lsrs r0, r0, #2
    str r0, [sp, #4]
    bne 3f
    b 4f
3:  kiln_step
    kiln_step
    kiln_step
    kiln_step
    ldr r0, [sp, #4]
    subs r0, #1
    str r0, [sp, #4]
    beq 4f
    b 3b
4:  pop {r0, r1}
    mov r4, r9
    mov r5, r10
    mov r6, r11
    mov r7, r12
    stmia r0!, {r4-r7}
    pop {r4-r7}
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r4-r7, pc}
.purgem kiln_step

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
