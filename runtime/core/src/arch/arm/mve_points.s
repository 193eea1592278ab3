
@ All channels of some columns of up to 16, 32, 48 or 64 taps, whose weights stay in registers. Words at r0: as of
@ kiln_vector_windows, but 9 bytes from a column to the next, 14 which bytes of the last weights are there, 16 where
@ fours of a channel's weights are.
@
@ r0 output, r1 columns, r9 bytes to the next, r10 bytes to the next four outputs, r11 the words, r12 the channel,
@ q0 values, q1-q4 weights.
.macro kiln_vector_points name, vectors
kiln_vector_function \name
    push {r4-r11, lr}
    vpush {d8-d15}
    mov r11, r0
    movs r7, #0
    mov r12, r7
    ldrd r9, r10, [r11, #36]
    add r0, r11, #64
    vldrw.u32 q5, [r0], #16
    vldrw.u32 q7, [r0]
    ldr r5, [r11, #28]
1:  ldr r0, [r11, #8]
    and r1, r12, #3
    add r0, r0, r1, lsl #2
    ldrd r1, r2, [r11, #56]
    lsr r3, r12, #2
    mla r0, r3, r2, r0
.if \vectors > 1
    vldrw.u32 q1, [r0, q5]
    adds r0, #64
.endif
.if \vectors > 2
    vldrw.u32 q2, [r0, q5]
    adds r0, #64
.endif
.if \vectors > 3
    vldrw.u32 q3, [r0, q5]
    adds r0, #64
.endif
    vmsr p0, r1
    vpst
    vldrwt.u32 q\vectors, [r0, q5]
    ldr r1, [r11, #12]
    ldr r3, [r1, r12, lsl #2]
    ldrd r1, r2, [r11, #16]
    mul r2, r12, r2
    ldr r4, [r1, r2]
    ldr lr, [r11, #48]
    vmsr p0, lr
    ldr lr, [r11, #44]
    ldrd r1, r0, [r11]
    add r0, r12
    cmp r4, #0
    beq 4f
    vdup.32 q6, r4
    cmp lr, #0
    beq 3f
2:  kiln_vector_columns_of \vectors
    kiln_vector_outputs 1
    le lr, 2b
3:  kiln_vector_last 2b
    b 7f
4:  ldr r4, [r11, #24]
    ldr r4, [r4, r12, lsl #2]
    vdup.32 q6, r4
    cmp lr, #0
    beq 6f
5:  kiln_vector_columns_of \vectors
    kiln_vector_outputs 0
    le lr, 5b
6:  kiln_vector_last 5b
7:  add r12, #1
    ldr r1, [r11, #32]
    cmp r12, r1
    blo 1b
    vpop {d8-d15}
    pop {r4-r11, pc}
.endm

@ Accumulators of four columns.
.macro kiln_vector_columns_of vectors
    .irp sum, r2, r4, r6, r8
    vldrb.u8 q0, [r1]
    vmladav.s8 \sum, q0, q1
.if \vectors > 1
    vldrb.u8 q0, [r1, #16]
    vmladava.s8 \sum, q0, q2
.endif
.if \vectors > 2
    vldrb.u8 q0, [r1, #32]
    vmladava.s8 \sum, q0, q3
.endif
.if \vectors > 3
    vldrb.u8 q0, [r1, #48]
    vmladava.s8 \sum, q0, q4
.endif
    add r1, r9
    .endr
.endm
kiln_vector_points kiln_vector_points_16, 1
kiln_vector_points kiln_vector_points_32, 2
kiln_vector_points kiln_vector_points_48, 3
kiln_vector_points kiln_vector_points_64, 4
