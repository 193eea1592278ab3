//! Registers of a peripheral.

/// The registers of a peripheral, in a block of 4 KiB.
#[derive(Clone, Copy, Debug)]
pub struct Block(usize);

impl Block {
    /// The block at an address.
    ///
    /// # Safety
    ///
    /// From there on, 4 KiB are registers of a peripheral of this board, none of which makes the hardware
    /// write to memory; nothing but the holders of this block uses them.
    pub const unsafe fn at(address: usize) -> Self {
        Self(address)
    }

    fn register<const OFFSET: usize>(self) -> *mut u32 {
        const {
            assert!(OFFSET < 0x1000 && OFFSET.is_multiple_of(4));
        }
        (self.0 + OFFSET) as *mut u32
    }

    /// Reads the register at an offset in bytes.
    pub fn read<const OFFSET: usize>(self) -> u32 {
        // SAFETY: the register is in the block (checked above), which `at` was promised to be one.
        unsafe { self.register::<OFFSET>().read_volatile() }
    }

    /// Writes the register at an offset in bytes.
    pub fn write<const OFFSET: usize>(self, value: u32) {
        // SAFETY: the register is in the block (checked above), and a write changes no memory.
        unsafe { self.register::<OFFSET>().write_volatile(value) }
    }
}
