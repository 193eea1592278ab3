@ The inner loops for Armv7-M without the DSP extension, registers by hand; dsp.s has the same with it
@ and says what the words of the frames are.
@
@ Lanes are int8 values as they are: of each four of taps a word of each column.

.macro kiln_function name
    .section .text.\name,"ax",%progbits
    .balign 4
    .global \name
    .type \name,%function
    .thumb_func
\name:
.endm

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

@ Equation (5): r5 is lost, r1 is 2^31, r4 the zero point.
.macro kiln_fixed acc, factor
    smull r5, \acc, \acc, \factor
    adds r5, r1
    adc \acc, r4
    ssat \acc, #8, \acc
.endm

@ Equation (3): accumulators in `regs` go through memory. r1 multipliers, \zero the zero point, \size
@ bytes of accumulators and of r0 and r1, which are kept.
.macro kiln_call_exact zero, count, each, regs:vararg
    push {r0, r1, \regs}
    add r0, sp, #8
    movs r2, #\count
    movs r3, #\each
    str \zero, [sp, #-8]!
    bl kiln_exact
    add sp, #8
    pop {r0, r1, \regs}
.endm

@ Of the bits of a multiplier from 2^-13 on and below 1/2 its upper 32 bits below the point, cut off; else
@ to \slow. \t and \u are lost.
.macro kiln_factor m, t, u, slow
    lsr \t, \m, #23
    rsb \t, #126
    lsl \m, \m, #8
    orr \m, #0x80000000
    sub \u, \t, #1
    cmp \u, #13
    bhs \slow
    lsr \m, \m, \t
.endm

@ Equation (3) where no tie is near: by that factor, half and the zero point; to \slow where one is within
@ 2^-9. Products below 2^9 have accumulators of no more than 2^22, so that what the factor lacks is worth less than
@ 2^-10, and what floats round less than 2^-13; from 2^9 on all is beyond the limits. \t is lost.
.macro kiln_near acc, factor, t, half, zero, slow
    smull \t, \acc, \acc, \factor
    adds \t, \half
    adc \acc, \zero
    add \t, #0x00800000
    cmp \t, #0x01000000
    blo \slow
    ssat \acc, #8, \acc
.endm

@ r0 weights, r1 columns, both a four before the next, r2 r3 weights of two channels, r4 r5 r12 values
@ of three columns, r6-r8 and r9-r11 accumulators.
kiln_function kiln_dense
    kiln_frame
    kiln_entry 2f, 176, 2
    ldrd r0, r1, [sp]
    subs r0, #12
    str r0, [sp]
    ldr r0, [sp, #8]
    subs r0, #12
    str r0, [sp, #8]
    ldr r0, [sp, #60]
    subs r0, #16
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
    .rept 2
    ldrsb r4, [r1, #12]!
    ldrsb r2, [r0, #16]!
    ldrsb r5, [r1, #4]
    ldrsb r12, [r1, #8]
    ldrsb r3, [r0, #4]
    mla r6, r4, r2, r6
    mla r7, r5, r2, r7
    mla r8, r12, r2, r8
    mla r9, r4, r3, r9
    mla r10, r5, r3, r10
    mla r11, r12, r3, r11
    .irp tap, 1, 2, 3
    ldrsb r4, [r1, #\tap]
    ldrsb r2, [r0, #\tap]
    ldrsb r5, [r1, #4 + \tap]
    ldrsb r12, [r1, #8 + \tap]
    ldrsb r3, [r0, #4 + \tap]
    mla r6, r4, r2, r6
    mla r7, r5, r2, r7
    mla r8, r12, r2, r8
    mla r9, r4, r3, r9
    mla r10, r5, r3, r10
    mla r11, r12, r3, r11
    .endr
    .endr
    ldr lr, [sp, #8]
    cmp r1, lr
    bne 2b
    ldr r1, [sp, #24]
    ldrd r2, r3, [r1]
    ldr r4, [sp, #28]
    add r1, r4
    str r1, [sp, #24]
    ldr r4, [sp, #36]
    mov r1, #0x80000000
    cbz r2, 3f
    cbnz r3, 4f
3:  b 6f
4:  kiln_fixed r6, r2
    kiln_fixed r7, r2
    kiln_fixed r8, r2
    kiln_fixed r9, r3
    kiln_fixed r10, r3
    kiln_fixed r11, r3
5:  ldr r5, [sp, #48]
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
    ldr r1, [sp, #52]
    cmp r5, r1
    blo 1b
    kiln_return
6:  ldr r1, [sp, #12]
    ldr r2, [sp, #32]
    add r1, r2
    ldrd r2, r3, [r1, #-8]
    kiln_factor r2, r5, r12, 8f
    kiln_factor r3, r5, r12, 8f
    push {r6-r11}
    mov r1, #0x80000000
    kiln_near r6, r2, r5, r1, r4, 7f
    kiln_near r7, r2, r5, r1, r4, 7f
    kiln_near r8, r2, r5, r1, r4, 7f
    kiln_near r9, r3, r5, r1, r4, 7f
    kiln_near r10, r3, r5, r1, r4, 7f
    kiln_near r11, r3, r5, r1, r4, 7f
    add sp, #24
    b 5b
7:  pop {r6-r11}
8:  ldr r1, [sp, #12]
    ldr r2, [sp, #32]
    add r1, r2
    subs r1, #8
    kiln_call_exact r4, 6, 3, r6, r7, r8, r9, r10, r11
    b 5b

@ r0 weights, r1 column, both a four before the next, r2 r3 r5 r12 weights of four channels, r4 a value,
@ r8-r11 accumulators.
kiln_function kiln_point
    kiln_frame
    kiln_entry 2f, 144, 4
    ldr r0, [sp]
    subs r0, #4
    str r0, [sp]
    ldr r0, [sp, #8]
    subs r0, #4
    str r0, [sp, #8]
    ldr r0, [sp, #60]
    subs r0, #16
1:  ldr r1, [sp, #12]
    ldm r1!, {r8-r11}
    str r1, [sp, #12]
    ldr r1, [sp]
    ldr pc, [sp, #4]
    .balign 4
2:
    .rept 4
    ldrsb r4, [r1, #4]!
    ldrsb r2, [r0, #16]!
    ldrsb r3, [r0, #4]
    ldrsb r5, [r0, #8]
    ldrsb r12, [r0, #12]
    mla r8, r4, r2, r8
    mla r9, r4, r3, r9
    mla r10, r4, r5, r10
    mla r11, r4, r12, r11
    .irp tap, 1, 2, 3
    ldrsb r4, [r1, #\tap]
    ldrsb r2, [r0, #\tap]
    ldrsb r3, [r0, #4 + \tap]
    ldrsb r5, [r0, #8 + \tap]
    ldrsb r12, [r0, #12 + \tap]
    mla r8, r4, r2, r8
    mla r9, r4, r3, r9
    mla r10, r4, r5, r10
    mla r11, r4, r12, r11
    .endr
    .endr
    ldr lr, [sp, #8]
    cmp r1, lr
    bne 2b
    ldr r12, [sp, #24]
    ldm r12, {r2, r3, r6, r7}
    ldr r4, [sp, #28]
    add r12, r4
    str r12, [sp, #24]
    ldr r4, [sp, #36]
    mov r1, #0x80000000
    cbz r2, 3f
    cbz r3, 3f
    cbz r6, 3f
    cbnz r7, 4f
3:  b 6f
4:  kiln_fixed r8, r2
    kiln_fixed r9, r3
    kiln_fixed r10, r6
    kiln_fixed r11, r7
5:  ldr r5, [sp, #48]
    strb r9, [r5, #1]
    strb r10, [r5, #2]
    strb r11, [r5, #3]
    strb r8, [r5], #4
    str r5, [sp, #48]
    ldr r1, [sp, #52]
    cmp r5, r1
    blo 1b
    kiln_return
6:  ldr r1, [sp, #12]
    ldr r2, [sp, #32]
    add r1, r2
    subs r1, #16
    ldm r1, {r2, r3, r6, r7}
    kiln_factor r2, r5, r12, 8f
    kiln_factor r3, r5, r12, 8f
    kiln_factor r6, r5, r12, 8f
    kiln_factor r7, r5, r12, 8f
    push {r8-r11}
    mov r1, #0x80000000
    kiln_near r8, r2, r5, r1, r4, 7f
    kiln_near r9, r3, r5, r1, r4, 7f
    kiln_near r10, r6, r5, r1, r4, 7f
    kiln_near r11, r7, r5, r1, r4, 7f
    add sp, #16
    b 5b
7:  pop {r8-r11}
8:  ldr r1, [sp, #12]
    ldr r2, [sp, #32]
    add r1, r2
    subs r1, #16
    kiln_call_exact r4, 4, 1, r8, r9, r10, r11
    b 5b
