//! Names and labels: each two bytes of length, then UTF-8.

use super::{FormatError, Problem};

/// The bytes before a text's own: its length.
///
/// # Errors
///
/// [`Problem::Limit`] for more than 65,535 bytes.
pub fn emit_text(text: &str) -> Result<[u8; 2], FormatError> {
    match u16::try_from(text.len()) {
        Ok(len) => Ok(len.to_le_bytes()),
        Err(_) => Err(FormatError {
            offset: 0,
            problem: Problem::Limit,
        }),
    }
}

/// Texts of a section, in order. Ends before the first that is none; on microcontrollers one that is
/// not UTF-8 is empty.
#[derive(Clone, Debug, Default)]
pub struct Texts<'m> {
    rest: &'m [u8],
    left: usize,
}

impl<'m> Texts<'m> {
    /// The first `count` texts of a section.
    pub const fn new(section: &'m [u8], count: usize) -> Self {
        Self {
            rest: section,
            left: count,
        }
    }

    /// Checks that a section holds `count` texts and nothing else, or gives the byte at which it does
    /// not. On microcontrollers not that they are UTF-8: one that is not reads as empty.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn check(section: &[u8], count: usize) -> Result<(), usize> {
        let mut texts = Texts::new(section, count);
        let found = match cfg!(target_os = "none") {
            true => core::iter::from_fn(|| texts.bytes()).count(),
            false => texts.by_ref().count(),
        };
        match found == count && texts.rest.is_empty() {
            true => Ok(()),
            false => Err(section.len() - texts.rest.len()),
        }
    }
}

impl<'m> Texts<'m> {
    /// The next text's bytes.
    fn bytes(&mut self) -> Option<&'m [u8]> {
        self.left = self.left.checked_sub(1)?;
        let (len, rest) = self.rest.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes(*len)))?;
        self.rest = rest;
        Some(text)
    }
}

impl<'m> Iterator for Texts<'m> {
    type Item = &'m str;

    fn next(&mut self) -> Option<&'m str> {
        let before = self.rest;
        match self.bytes().map(core::str::from_utf8) {
            Some(Ok(text)) => Some(text),
            Some(Err(_)) if cfg!(target_os = "none") => Some(""),
            _ => {
                (self.rest, self.left) = (before, 0);
                None
            }
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;

    #[test]
    fn texts_come_back() {
        let texts = ["cat", "", "Hündin"];
        let mut section = Vec::new();
        for text in texts {
            section.extend(emit_text(text).unwrap());
            section.extend(text.as_bytes());
        }
        assert!(Texts::new(&section, 3).eq(texts));
        assert!(Texts::new(&section, 2).eq(texts[..2].iter().copied()));
        assert_eq!(Texts::check(&section, 3), Ok(()));
        for (count, at) in [(2, 7), (4, 16)] {
            assert_eq!(Texts::check(&section, count), Err(at));
        }
        section[10] = 0xff;
        assert_eq!(Texts::new(&section, 3).count(), 2);
        assert!(Texts::check(&section, 3).is_err());
        let long = "x".repeat(65536);
        assert_eq!(emit_text(&long).unwrap_err().problem, Problem::Limit);
        assert_eq!(emit_text(&long[1..]), Ok([0xff, 0xff]));
    }
}
