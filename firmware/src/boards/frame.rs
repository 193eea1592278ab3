//! The frame buffer, which the app draws on, and after it whoever tells a fault.

use core::sync::atomic::{AtomicBool, Ordering};

use super::board::Frame;

static mut FRAME: Frame = Frame::new();

static TAKEN: AtomicBool = AtomicBool::new(false);

/// The frame buffer, once.
pub fn take() -> Option<&'static mut Frame> {
    if TAKEN.swap(true, Ordering::Relaxed) {
        return None;
    }
    // SAFETY: it is the only reference, until `seized`: `TAKEN` lets nobody here again.
    Some(unsafe { &mut *(&raw mut FRAME) })
}

/// The frame buffer, for the last words: only `fault::stop` calls this, once. It has turned interrupts
/// off and never returns, so that whoever held the frame buffer never uses it again.
pub(super) fn seized() -> &'static mut Frame {
    // SAFETY: as said above; and whatever a half-done drawing has left there is a frame.
    unsafe { &mut *(&raw mut FRAME) }
}
