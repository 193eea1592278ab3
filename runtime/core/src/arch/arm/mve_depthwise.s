
@ Four rows of bytes to fours of one of each. Words at r0: to, bytes, four rows, what each goes on by with 16
@ bytes. Up to 60 bytes more are written.
kiln_vector_function kiln_vector_rows
    push {r4-r10, lr}
    ldm r0, {r0-r9}
1:  vctp.8 r1
    vpstttt
    vldrbt.u8 q0, [r2]
    vldrbt.u8 q1, [r3]
    vldrbt.u8 q2, [r4]
    vldrbt.u8 q3, [r5]
    add r2, r6
    add r3, r7
    add r4, r8
    add r5, r9
    vst40.8 {q0, q1, q2, q3}, [r0]
    vst41.8 {q0, q1, q2, q3}, [r0]
    vst42.8 {q0, q1, q2, q3}, [r0]
    vst43.8 {q0, q1, q2, q3}, [r0]!
    subs r1, #16
    bgt 1b
    pop {r4-r10, pc}

@ Four outputs of one channel from r0 on, the next r10 bytes later: accumulators r2 r4 r6 r8, bias r3, zero
@ point r5, factor or multiplier in q6, where they go in q7, p0 which are there.
.macro kiln_vector_outputs factor
    vmov q0[2], q0[0], r2, r6
    vmov q0[3], q0[1], r4, r8
    vadd.i32 q0, q0, r3
.if \factor
    vrmulh.s32 q0, q0, q6
    vadd.i32 q0, q0, r5
.else
    vcvt.f32.s32 q0, q0
    vmul.f32 q0, q0, q6
    vcvtn.s32.f32 q0, q0
    vqadd.s32 q0, q0, r5
.endif
    vqmovnb.s32 q0, q0
    vqmovnb.s16 q0, q0
    vpst
    vstrbt.32 q0, [r0, q7]
    add r0, r10
.endm

@ All channels of an output row or of two. Words at r0: 0 columns of lanes, 1 output, 2 weights, 3 biases, 4
@ factors, 5 bytes to the next, 6 multipliers, 7 zero point, 8 channels, 9 bytes of lanes from four outputs to
@ the next or, of a row, from one, 10 bytes of outputs likewise, 11 fours of outputs, 12 which of one are there,
@ 13 which of the last, or 0, 14 which taps are there, 15 bytes of weights of four channels, 16 where the taps'
@ weights are, 20 where four outputs go, 24 where columns are.
@
@ r0 output, r1 lanes, r9 and r10 bytes to the next, r11 the words, r12 the channel, q0 a window, q1-q4 weights,
@ q5 where columns are.
.macro kiln_vector_windows name, two
kiln_vector_function \name
    push {r4-r11, lr}
    vpush {d8-d15}
    mov r11, r0
    movs r7, #0
    mov r12, r7
    ldrd r9, r10, [r11, #36]
    add r0, r11, #80
    vldrw.u32 q7, [r0], #16
    vldrw.u32 q5, [r0]
    ldr r5, [r11, #28]
1:  add r0, r11, #64
    vldrb.u8 q0, [r0]
    ldr r0, [r11, #8]
    and r1, r12, #2
    and r2, r12, #1
    add r1, r1, r2, lsl #2
    add r0, r1
    ldrd r1, r2, [r11, #56]
    lsr r3, r12, #2
    mla r0, r3, r2, r0
    vmsr p0, r1
    vpst
    vldrbt.u8 q1, [r0, q0]
.if \two
    vmov q2, q1
    vshlc q2, r7, #32
    vmov q3, q1
    vshlc q3, r7, #8
    vmov q4, q3
    vshlc q4, r7, #32
.endif
    ldr r1, [r11, #12]
    ldr r3, [r1, r12, lsl #2]
    ldrd r1, r2, [r11, #16]
    mul r2, r12, r2
    ldr r4, [r1, r2]
    ldr lr, [r11, #48]
    vmsr p0, lr
    ldr lr, [r11, #44]
    ldrd r1, r0, [r11]
    add r1, r1, r12, lsl #2
    add r0, r12
    cbz r4, 4f
    vdup.32 q6, r4
    cmp lr, #0
    beq 3f
2:  kiln_vector_four \two
    kiln_vector_outputs 1
    le lr, 2b
3:  kiln_vector_last 2b
    b 7f
4:  ldr r4, [r11, #24]
    ldr r4, [r4, r12, lsl #2]
    vdup.32 q6, r4
    cmp lr, #0
    beq 6f
5:  kiln_vector_four \two
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

@ Accumulators of two outputs of two rows each by one window, or of four of a row by one each.
.macro kiln_vector_four two
    vldrw.u32 q0, [r1, q5]
    add r1, r9
    vmladav.s8 r2, q0, q1
.if \two
    vmladav.s8 r4, q0, q2
    vmladav.s8 r6, q0, q3
    vmladav.s8 r8, q0, q4
.else
    vldrw.u32 q0, [r1, q5]
    add r1, r9
    vmladav.s8 r4, q0, q1
    vldrw.u32 q0, [r1, q5]
    add r1, r9
    vmladav.s8 r6, q0, q1
    vldrw.u32 q0, [r1, q5]
    add r1, r9
    vmladav.s8 r8, q0, q1
.endif
.endm

@ Once more, if there is a last four whose outputs are not all there.
.macro kiln_vector_last loop
    ldr r4, [r11, #52]
    vmrs r2, p0
    cbz r4, 8f
    cmp r2, r4
    beq 8f
    vmsr p0, r4
    movs r2, #1
    mov lr, r2
    b \loop
8:
.endm
kiln_vector_windows kiln_vector_depthwise_two, 1
kiln_vector_windows kiln_vector_depthwise_one, 0
