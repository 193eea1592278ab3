use kiln_link::{Display, Memory};

use super::receive::Receiver;
use super::{board, clock, fault, memory};
use crate::app::Board;

/// The board, as the app sees it.
pub(super) struct Machine {
    pub receiver: Receiver,
    pub frame: &'static mut board::Frame,
    pub last_fault: Option<fault::Reason>,
}

impl Board for Machine {
    type Operators = crate::model::Needed;
    type Frame = board::Frame;

    const NAME: &'static str = board::LIMITS.name;
    const LARGEST: [u16; 2] = board::LIMITS.largest;
    const DISPLAY: Display = board::DISPLAY;
    const TICKS_PER_SECOND: u32 = board::TICKS_PER_SECOND;
    const NANOSECONDS_PER_INSTRUCTION: u16 = super::NANOSECONDS_PER_INSTRUCTION;

    fn receive(&mut self) -> Option<u8> {
        self.receiver.next()
    }

    fn wait(&mut self) -> bool {
        self.receiver.wait();
        true
    }

    fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            board::line_write(byte);
        }
    }

    fn ticks(&mut self) -> u32 {
        clock::ticks()
    }

    fn feed(&mut self) {
        board::WATCHDOG.feed();
    }

    fn frame(&mut self) -> &mut Self::Frame {
        self.frame
    }

    fn frame_bytes(&self) -> &[u8] {
        self.frame.data()
    }

    fn show(&mut self) {
        board::show(self.frame);
    }

    fn last_fault(&self) -> Option<&str> {
        self.last_fault.as_deref()
    }

    fn memory(&self) -> Memory {
        memory::memory()
    }

    #[cfg(feature = "fault")]
    fn crash(&mut self, how: u16) -> Option<u32> {
        if how == fault::LOOP {
            let start = self.ticks();
            fault::count_down();
            return Some(self.ticks().wrapping_sub(start));
        }
        fault::crash(how);
        None
    }
}
