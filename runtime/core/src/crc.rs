//! CRC-32 of IEEE 802.3, as zlib computes it.

/// A checksum in the making.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crc32(u32);

/// Of each value of four bits; small, since it lies in a device's flash.
const TABLE: [u32; 16] = table();

const fn table() -> [u32; 16] {
    let mut table = [0; 16];
    let mut index = 0;
    while index < 16 {
        let mut value = index as u32;
        let mut bit = 0;
        while bit < 4 {
            let low = value & 1;
            value >>= 1;
            if low == 1 {
                value ^= 0xedb8_8320;
            }
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

impl Default for Crc32 {
    fn default() -> Self {
        Self::new()
    }
}

impl Crc32 {
    /// Of no bytes.
    pub const fn new() -> Self {
        Self(u32::MAX)
    }

    /// Goes on with more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let step = |crc: u32, nibble: u32| (crc >> 4) ^ TABLE[((crc ^ nibble) & 15) as usize];
        for &byte in bytes {
            let byte = u32::from(byte);
            self.0 = step(step(self.0, byte), byte >> 4);
        }
    }

    /// The checksum of the bytes so far.
    pub const fn finish(self) -> u32 {
        !self.0
    }
}

/// The checksum of some bytes.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = Crc32::new();
    crc.update(bytes);
    crc.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values() {
        assert_eq!(crc32(b""), 0);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(
            crc32(b"The quick brown fox jumps over the lazy dog"),
            0x414f_a339
        );
        let mut parts = Crc32::default();
        for part in [&b"1234"[..], b"", b"56789"] {
            parts.update(part);
        }
        assert_eq!(parts.finish(), crc32(b"123456789"));
    }
}
