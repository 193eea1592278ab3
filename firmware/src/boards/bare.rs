//! What any program takes beside its own code, small: the functions that the compiler calls to copy and
//! fill memory; and the vectors of interrupts, as few as the program has, where cortex-m-rt's own are all
//! 240, or 480, that a core may have (of `rp2350` they are its own package's).
#![allow(
    unsafe_code,
    reason = "the compiler's calls and the vector table are by name"
)]

use core::arch::global_asm;

#[cfg(feature = "emulated")]
use crate::boards::INTERRUPTS;

// The compiler's own take 1.3 KB, which TensorFlow Lite Micro's newlib-nano does not either. Sixteen bytes
// at a time; Armv7-M and above read and write words at any address. Registers are those that the
// procedure call standard lets a function change.
global_asm!(
    ".macro kiln_memory name",
    ".global \\name",
    ".type \\name, %function",
    "\\name:",
    ".endm",
    ".section .text.kiln_memcpy, \"ax\", %progbits",
    ".balign 4",
    "kiln_memory __aeabi_memcpy8",
    "kiln_memory __aeabi_memcpy4",
    "kiln_memory __aeabi_memcpy",
    "kiln_memory memcpy",
    "mov r12, r0",
    "subs r2, r2, #16",
    "blo 2f",
    "1:",
    ".rept 4",
    "ldr r3, [r1], #4",
    "str r3, [r12], #4",
    ".endr",
    "subs r2, r2, #16",
    "bhs 1b",
    "2:",
    "adds r2, r2, #16",
    "beq 4f",
    "3:",
    "ldrb r3, [r1], #1",
    "strb r3, [r12], #1",
    "subs r2, r2, #1",
    "bne 3b",
    "4:",
    "bx lr",
    ".section .text.kiln_memset, \"ax\", %progbits",
    ".balign 4",
    "kiln_memory __aeabi_memclr8",
    "kiln_memory __aeabi_memclr4",
    "kiln_memory __aeabi_memclr",
    "movs r2, #0",
    "kiln_memory __aeabi_memset8",
    "kiln_memory __aeabi_memset4",
    "kiln_memory __aeabi_memset",
    "mov r3, r1",
    "mov r1, r2",
    "mov r2, r3",
    "kiln_memory memset",
    "uxtb r1, r1",
    "orr r1, r1, r1, lsl #8",
    "orr r1, r1, r1, lsl #16",
    "mov r12, r0",
    "subs r2, r2, #16",
    "blo 2f",
    "1:",
    ".rept 4",
    "str r1, [r12], #4",
    ".endr",
    "subs r2, r2, #16",
    "bhs 1b",
    "2:",
    "adds r2, r2, #16",
    "beq 4f",
    "3:",
    "strb r1, [r12], #1",
    "subs r2, r2, #1",
    "bne 3b",
    "4:",
    "bx lr",
);

#[cfg(any(feature = "engine", feature = "emulated"))]
global_asm!(
    ".section .vector_table.interrupts, \"a\", %progbits",
    ".global __INTERRUPTS",
    "__INTERRUPTS:",
    ".rept {count}",
    ".word DefaultHandler",
    ".endr",
    ".text",
    count = const INTERRUPTS,
);

/// The linker's script asks for one at least; none of them is ever let through.
#[cfg(feature = "engine")]
const INTERRUPTS: u16 = 1;
