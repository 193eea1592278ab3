//! A short text for the page.

use core::fmt::{self, Write};

/// Bytes that a text may have.
const LEN: usize = 512;

/// A text; what does not fit is cut off.
#[derive(Clone, Debug)]
pub struct Text {
    bytes: [u8; LEN],
    len: usize,
}

impl Text {
    /// No text.
    pub const fn new() -> Self {
        Self {
            bytes: [0; LEN],
            len: 0,
        }
    }

    /// Writes another text in place of this one.
    pub fn set(&mut self, text: impl fmt::Display) {
        self.len = 0;
        // It ends where the buffer does, which is no error here.
        let _ = write!(self, "{text}");
    }

    /// UTF-8, but for a last character that may be cut.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Default for Text {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for (place, &byte) in self.bytes.iter_mut().skip(self.len).zip(text.as_bytes()) {
            *place = byte;
            self.len += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_replaces_the_last_and_ends_with_the_room() {
        let mut text = Text::default();
        text.set("a longer one");
        text.set(format_args!("{} bytes", 7));
        assert_eq!(text.bytes(), b"7 bytes");
        text.set("x".repeat(LEN + 9));
        assert_eq!(text.bytes(), "x".repeat(LEN).as_bytes());
    }
}
