use cortex_m::interrupt::InterruptNumber;
use cortex_m::peripheral::NVIC;

/// The number of an interrupt that the board has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interrupt(pub u16);

// SAFETY: it is the number itself, which never changes.
unsafe impl InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self.0
    }
}

impl Interrupt {
    /// Lets it come.
    pub fn allow(self) {
        // SAFETY: no critical section here relies on a single interrupt being off.
        unsafe { NVIC::unmask(self) };
    }

    /// Keeps it from coming; it waits.
    pub fn stop(self) {
        NVIC::mask(self);
    }

    /// Whether this is the number that `DefaultHandler` is given.
    pub fn is(self, number: i16) -> bool {
        u16::try_from(number) == Ok(self.0)
    }
}
