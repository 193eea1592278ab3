@ Inner loops for vectors (Helium), registers by hand; mve.rs says what each does.
@
@ VLD4 takes 64 bytes of weights apart: of four channels 16 taps each. VMLADAVA adds 16 products to an
@ accumulator. What makes no 16 is read by words where there are some, as zeros elsewhere.
@
@ Channels with factors are rounded by VRMULH: equation (5). If one of four has none: by floats,
@ equation (3).

.cpu cortex-m55

.macro kiln_vector_function name
    .section .text.\name,"ax",%progbits
    .balign 4
    .global \name
    .type \name,%function
    .thumb_func
\name:
.endm

@ Rows of bytes of some windows, one behind the other. Words at r0: to, from, bytes of a row, rows, bytes from behind
@ a row's last sixteen to the next row, the same of where they go, windows, bytes from where one goes to the next,
@ the same of where they are.
kiln_vector_function kiln_vector_gather
    push {r4-r11, lr}
    ldm r0, {r0-r8}
1:  mov r9, r0
    mov r10, r1
    mov r11, r3
2:  wlstp.8 lr, r2, 4f
3:  vldrb.u8 q0, [r10], #16
    vstrb.8 q0, [r9], #16
    letp lr, 3b
4:  add r10, r4
    add r9, r5
    subs r11, #1
    bne 2b
    add r0, r7
    add r1, r8
    subs r6, #1
    bne 1b
    pop {r4-r11, pc}

@ r0 to, r1 a byte, r2 bytes.
kiln_vector_function kiln_vector_fill
    push {r4, lr}
    vdup.8 q0, r1
    wlstp.8 lr, r2, 2f
1:  vstrb.8 q0, [r0], #16
    letp lr, 1b
2:  pop {r4, pc}

@ All fours of channels of one column or of two. Words of the frame: 0 columns, 1 bytes to the second,
@ 2 sixteens of taps, 3 fours behind them, 4 biases, 5 factors, 6 bytes to the next factors, 7
@ multipliers, 8 zero point, 9 output, 10 bytes to the second column's, 11 channels, 12 weights.
@
@ r0 r2 r4 r6 and r8 r10 r12 lr accumulators of the columns, r1 weights, r3 and r5 the columns, q0-q3
@ weights, q4 and q5 values, q7 where weights of a channel lie.
.macro kiln_vector_columns name, two
kiln_vector_function \name
    push {r4-r11, lr}
    vpush {d8-d15}
    sub sp, #52
    mov r12, sp
    ldm r0!, {r1-r8}
    stm r12!, {r1-r8}
    ldm r0, {r1-r5}
    stm r12, {r1-r5}
    movs r0, #0
    vidup.u32 q7, r0, #8
    vshl.i32 q7, q7, #1
    mov r1, r5
1:  ldr r9, [sp, #44]
    ldr r11, [sp, #16]
    vctp.32 r9
    vpst
    vldrwt.u32 q0, [r11], #16
    str r11, [sp, #16]
    vmov r0, r4, q0[2], q0[0]
    vmov r2, r6, q0[3], q0[1]
    ldrd r3, r5, [sp]
    ldrd r7, r9, [sp, #8]
.if \two
    add r5, r3
    vmov r8, r12, q0[2], q0[0]
    vmov r10, lr, q0[3], q0[1]
    cbz r7, 3f
.else
    wls lr, r7, 3f
.endif
2:  vld40.32 {q0, q1, q2, q3}, [r1]
    vld41.32 {q0, q1, q2, q3}, [r1]
    vld42.32 {q0, q1, q2, q3}, [r1]
    vld43.32 {q0, q1, q2, q3}, [r1]!
    vldrb.u8 q4, [r3], #16
    vmladava.s8 r0, q0, q4
.if \two
    vldrb.u8 q5, [r5], #16
.endif
    vmladava.s8 r2, q1, q4
    vmladava.s8 r4, q2, q4
    vmladava.s8 r6, q3, q4
.if \two
    vmladava.s8 r8, q0, q5
    vmladava.s8 r10, q1, q5
    vmladava.s8 r12, q2, q5
    vmladava.s8 lr, q3, q5
    subs r7, #1
    bne 2b
.else
    le lr, 2b
.endif
3:  cmp r9, #0
    beq 4f
    vadd.i32 q6, q7, r1
    vctp.32 r9
    vpstttt
    vldrwt.u32 q0, [q6]
    vldrwt.u32 q1, [q6, #4]
    vldrwt.u32 q2, [q6, #8]
    vldrwt.u32 q3, [q6, #12]
    vpst
    vldrbt.u8 q4, [r3]
    vmladava.s8 r0, q0, q4
    vmladava.s8 r2, q1, q4
    vmladava.s8 r4, q2, q4
    vmladava.s8 r6, q3, q4
.if \two
    vpst
    vldrbt.u8 q5, [r5]
    vmladava.s8 r8, q0, q5
    vmladava.s8 r10, q1, q5
    vmladava.s8 r12, q2, q5
    vmladava.s8 lr, q3, q5
.endif
    add r1, r1, r9, lsl #4
4:  vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
.if \two
    vmov q1[2], q1[0], r8, r12
    vmov q1[3], q1[1], r10, lr
.endif
    ldr r0, [sp, #44]
    ldrd r2, r3, [sp, #20]
    ldrd r4, r5, [sp, #28]
    vctp.32 r0
    vpstt
    vldrwt.u32 q2, [r2]
    vcmpt.i32 eq, q2, zr
    add r2, r3
    str r2, [sp, #20]
    vmrs r2, p0
    cbnz r2, 7f
    vrmulh.s32 q0, q0, q2
    vadd.i32 q0, q0, r5
.if \two
    vrmulh.s32 q1, q1, q2
    vadd.i32 q1, q1, r5
.endif
6:  adds r4, #16
    str r4, [sp, #28]
    ldrd r2, r3, [sp, #36]
    vqmovnb.s32 q0, q0
    vqmovnb.s16 q0, q0
.if \two
    vqmovnb.s32 q1, q1
    vqmovnb.s16 q1, q1
    add r3, r2
.endif
    vctp.32 r0
.if \two
    vpstt
    vstrbt.32 q0, [r2], #4
    vstrbt.32 q1, [r3]
.else
    vpst
    vstrbt.32 q0, [r2], #4
.endif
    str r2, [sp, #36]
    subs r0, #4
    str r0, [sp, #44]
    bgt 1b
    add sp, #52
    vpop {d8-d15}
    pop {r4-r11, pc}
7:  vctp.32 r0
    vpst
    vldrwt.u32 q2, [r4]
    vcvt.f32.s32 q0, q0
    vmul.f32 q0, q0, q2
    vcvtn.s32.f32 q0, q0
    vqadd.s32 q0, q0, r5
.if \two
    vcvt.f32.s32 q1, q1
    vmul.f32 q1, q1, q2
    vcvtn.s32.f32 q1, q1
    vqadd.s32 q1, q1, r5
.endif
    b 6b
.endm
kiln_vector_columns kiln_vector_one, 0
kiln_vector_columns kiln_vector_two, 1
