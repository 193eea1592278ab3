//! The vectors of a board's interrupts: up to the last that it lets through, where cortex-m-rt's own are all 240,
//! or 480, that a core may have, which take 1 or 2 KB.

use core::arch::global_asm;

use super::board::{LINE_INTERRUPT, WATCHDOG_INTERRUPT};

global_asm!(
    ".section .vector_table.interrupts, \"a\", %progbits",
    ".global __INTERRUPTS",
    "__INTERRUPTS:",
    ".rept {count}",
    ".word DefaultHandler",
    ".endr",
    ".text",
    count = const COUNT,
);

const COUNT: u16 = {
    let line = LINE_INTERRUPT.0;
    match WATCHDOG_INTERRUPT {
        Some(watchdog) if watchdog.0 > line => watchdog.0 + 1,
        _ => line + 1,
    }
};
