//! The board rp2350; kiln_firmware's module `boards` says how to build it.
#![no_std]
#![no_main]

use cortex_m_rt::entry;
use kiln_firmware::boards::{self, Bytes};
use kiln_firmware::model::Statics;

#[entry]
fn main() -> ! {
    static mut BYTES: Bytes = Bytes::new();
    static mut STATICS: Statics = Statics::new();
    boards::run(BYTES, STATICS)
}
