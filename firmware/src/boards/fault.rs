//! What happens when something goes wrong: the reason is kept in RAM over the reset, shown on the display,
//! and the watchdog resets.

use core::mem::MaybeUninit;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::interrupt;
use cortex_m::peripheral::SCB;
use cortex_m_rt::{ExceptionFrame, exception};
use heapless::String;
use kiln_core::crc::crc32;
use kiln_link::MAX_NAME;

use super::{board, frame, receive};
use crate::ui::{self, Screen};

/// A reason, short enough to be told in a message.
pub type Reason = String<MAX_NAME>;

/// How long the display shows it, in ms, before the reset.
const SHOWN: u32 = 1500;

/// What is kept over the reset. The checksum says that it is no chance content of RAM.
#[derive(Clone, Copy)]
#[repr(C)]
struct Record {
    checksum: u32,
    len: u32,
    text: [u8; MAX_NAME],
}

impl Record {
    fn sum(&self) -> u32 {
        // Not 0 for a record of zeros.
        !crc32(&self.text) ^ self.len
    }
}

// SAFETY of the section: cortex-m-rt neither loads nor clears it.
#[unsafe(link_section = ".uninit.fault")]
static mut RECORD: MaybeUninit<Record> = MaybeUninit::uninit();

/// What made the board start again, if it was an error. It is told once.
pub fn take() -> Option<Reason> {
    let place = (&raw mut RECORD).cast::<Record>();
    // SAFETY: all bytes are a valid `Record`; a volatile read gives those that are there. Only this and
    // `keep` access it, which runs when nothing else does.
    let record = unsafe { place.read_volatile() };
    let forgotten = Record {
        checksum: !record.sum(),
        ..record
    };
    // SAFETY: as above.
    unsafe { place.write_volatile(forgotten) };
    let text = record.text.get(..record.len as usize)?;
    let text = core::str::from_utf8(text).ok()?;
    let reason = Reason::try_from(text).ok()?;
    (record.checksum == record.sum()).then_some(reason)
}

fn keep(reason: &str) {
    let mut record = Record {
        checksum: 0,
        len: 0,
        text: [0; MAX_NAME],
    };
    for (place, &byte) in record.text.iter_mut().zip(reason.as_bytes()) {
        *place = byte;
        record.len += 1;
    }
    record.checksum = record.sum();
    // SAFETY: as in `take`.
    unsafe { (&raw mut RECORD).cast::<Record>().write_volatile(record) };
}

/// A first reason is being told. What comes on top of it only waits for the watchdog.
static STOPPING: AtomicBool = AtomicBool::new(false);

/// Keeps the reason, shows it, and waits for the watchdog.
fn stop(reason: &str) -> ! {
    interrupt::disable();
    if !STOPPING.swap(true, Ordering::Relaxed) {
        board::WATCHDOG.start(SHOWN / 2);
        keep(reason);
        let frame = frame::seized();
        let screen = Screen::Fault {
            title: "fault",
            text: reason,
        };
        let Ok(()) = ui::draw(&screen, frame);
        board::show(frame);
    }
    idle()
}

/// Waits for the watchdog.
fn idle() -> ! {
    loop {
        // Not `spin_loop`, which an emulator takes for a reason to look at everything else first.
        cortex_m::asm::nop();
    }
}

#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    let mut reason = Reason::new();
    push(&mut reason, "panic ");
    if let Some(place) = info.location() {
        push(&mut reason, end_of(place.file()));
        push(&mut reason, ":");
        push_decimal(&mut reason, place.line());
    }
    if let Some(text) = info.message().as_str() {
        push(&mut reason, ": ");
        push(&mut reason, text);
    }
    stop(&reason)
}

#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    let mut reason = Reason::new();
    push(&mut reason, "hard fault at 0x");
    push_hex(&mut reason, frame.pc());
    // SAFETY: reading the fault status changes nothing.
    let status = unsafe { (*SCB::PTR).cfsr.read() };
    push(&mut reason, ", status 0x");
    push_hex(&mut reason, status);
    stop(&reason)
}

/// The watchdog's first zero, where it is not an interrupt.
#[exception]
unsafe fn NonMaskableInt() -> ! {
    stop(STALLED)
}

const STALLED: &str = "no progress: the watchdog was not fed";

#[exception]
unsafe fn DefaultHandler(number: i16) {
    if board::LINE_INTERRUPT.is(number) {
        receive::on_interrupt();
    } else if board::WATCHDOG_INTERRUPT.is_some_and(|interrupt| interrupt.is(number)) {
        stop(STALLED)
    } else {
        let mut reason = Reason::new();
        push(&mut reason, "unexpected interrupt ");
        push_decimal(&mut reason, number.unsigned_abs().into());
        stop(&reason)
    }
}

/// The last parts of a path, which tell more than the first.
fn end_of(path: &str) -> &str {
    const LEN: usize = 24;
    let mut slashes = (0..path.len()).rev().take(LEN).rev();
    let start = slashes.find(|&at| path.as_bytes().get(at) == Some(&b'/'));
    let end = start.and_then(|start| path.get(start + 1..));
    end.unwrap_or(path)
}

/// Adds as much as there is room for.
fn push(reason: &mut Reason, text: &str) {
    for character in text.chars() {
        if reason.push(character).is_err() {
            return;
        }
    }
}

fn push_decimal(reason: &mut Reason, number: u32) {
    if number >= 10 {
        push_decimal(reason, number / 10);
    }
    push_digit(reason, number % 10);
}

fn push_hex(reason: &mut Reason, number: u32) {
    for shift in (0..32).step_by(4).rev() {
        push_digit(reason, number >> shift & 15);
    }
}

fn push_digit(reason: &mut Reason, digit: u32) {
    let _ = reason.push(char::from_digit(digit, 16).unwrap_or('?'));
}

/// What asks for [`count_down`].
#[cfg(feature = "fault")]
pub const LOOP: u16 = 0xfffc;

/// Executes 60,000,000 instructions, for a test of the clock: in less time than the watchdog gives, and
/// in more ticks than SysTick's counter holds.
#[cfg(feature = "fault")]
pub fn count_down() {
    // SAFETY: it changes a register of its own and the flags.
    unsafe {
        core::arch::asm!(
            "2:",
            "subs {left}, {left}, #1",
            "bne 2b",
            left = inout(reg) 30_000_000_u32 => _,
            options(nomem, nostack),
        );
    }
}

/// Goes wrong, for tests; returns if it is not told how.
#[cfg(feature = "fault")]
pub fn crash(how: u16) {
    match how {
        0xffff => panic!("asked for"),
        // Not all emulated boards mind an access to where nothing is; all mind what is no instruction.
        0xfffe => cortex_m::asm::udf(),
        0xfffd => idle(),
        _ => {}
    }
}
