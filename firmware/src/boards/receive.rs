//! Bytes of the line, from the interrupt to the app.

use core::cell::RefCell;
use core::sync::atomic::{AtomicBool, Ordering};

use cortex_m::interrupt::{self, Mutex};
use heapless::spsc::{Consumer, Producer, Queue};

use super::board;

/// Bytes that may wait, and one.
const ROOM: usize = 256;

/// Where bytes wait.
pub type Bytes = Queue<u8, ROOM>;

/// The interrupt's end of the queue.
static SENDER: Mutex<RefCell<Option<Producer<'static, u8>>>> = Mutex::new(RefCell::new(None));

/// The interrupt is off, because the queue was full.
static STOPPED: AtomicBool = AtomicBool::new(false);

/// The app's end of the queue.
pub struct Receiver(Consumer<'static, u8>);

impl Receiver {
    /// Begins to listen.
    pub fn start(bytes: &'static mut Bytes) -> Self {
        let (sender, receiver) = bytes.split();
        interrupt::free(|section| {
            if let Ok(mut place) = SENDER.borrow(section).try_borrow_mut() {
                *place = Some(sender);
            }
        });
        board::LINE_INTERRUPT.allow();
        Self(receiver)
    }

    /// The next byte, if one has come.
    pub fn next(&mut self) -> Option<u8> {
        let byte = self.0.dequeue();
        if STOPPED.load(Ordering::Relaxed) {
            STOPPED.store(false, Ordering::Relaxed);
            board::LINE_INTERRUPT.allow();
        }
        byte
    }

    /// Sleeps until an interrupt, if no byte has come.
    pub fn wait(&self) {
        // With interrupts off, one that comes after the look still ends the sleep, and is served after it.
        interrupt::free(|_| {
            if !self.0.ready() {
                cortex_m::asm::wfi();
            }
        });
    }
}

/// The interrupt of the line: bytes go into the queue. Where it is full, they stay where they are, and the
/// interrupt stays off until there is room.
pub fn on_interrupt() {
    interrupt::free(|section| {
        let mut sender = SENDER.borrow(section).try_borrow_mut();
        let Ok(Some(sender)) = sender.as_deref_mut().map(Option::as_mut) else {
            board::LINE_INTERRUPT.stop();
            return;
        };
        board::line_acknowledge();
        while sender.ready() {
            let Some(byte) = board::line_read() else {
                return;
            };
            // There is room: `ready` said so, and nothing else sends.
            let _ = sender.enqueue(byte);
        }
        board::LINE_INTERRUPT.stop();
        STOPPED.store(true, Ordering::Relaxed);
    });
}
