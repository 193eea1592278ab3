//! Where the linker has put things, and how far the stack has grown.

use cortex_m_rt::STACK_PAINT_VALUE;
use kiln_link::Memory;

unsafe extern "C" {
    // Of the linker script of cortex-m-rt, and of the board's memory map: addresses and numbers, not data.
    static __vector_table: u32;
    static __sidata: u32;
    static __sdata: u32;
    static __edata: u32;
    static __sbss: u32;
    static __euninit: u32;
    static _ram_start: u32;
    static _stack_start: u32;
    static _stack_end: u32;
    static _stack_reserved: u32;
}

/// What is known without the model.
pub fn memory() -> Memory {
    let [vectors, data_load] = [&raw const __vector_table, &raw const __sidata].map(address);
    let [data, data_end] = [&raw const __sdata, &raw const __edata].map(address);
    let [bss, statics_end] = [&raw const __sbss, &raw const __euninit].map(address);
    let [ram, ram_end] = [&raw const _ram_start, &raw const _stack_start].map(address);
    Memory {
        stack_reserved: address(&raw const _stack_reserved),
        stack_used: stack_used(),
        arena_reserved: 0,
        arena_used: 0,
        statics: (data_end - data) + (statics_end - bss),
        ram: ram_end - ram,
        program: data_load - vectors + (data_end - data),
        model: 0,
    }
}

fn address(symbol: *const u32) -> u32 {
    symbol.addr() as u32
}

/// Bytes of the stack down to the lowest word that has lost its paint.
fn stack_used() -> u32 {
    let (mut word, top) = (&raw const _stack_end, &raw const _stack_start);
    // SAFETY: the words from one symbol to the other are RAM; a volatile read of the live ones among them
    // changes nothing, and what it gives is only compared.
    while word < top && unsafe { word.read_volatile() } == STACK_PAINT_VALUE {
        word = word.wrapping_add(1);
    }
    address(top) - address(word)
}
