//! Numbers out of bytes, little endian; whoever reads past the end learns where.

use super::{FormatError, Problem};

/// Some bytes of a file, and where they are in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'m> {
    bytes: &'m [u8],
    base: usize,
}

impl<'m> Fields<'m> {
    pub(super) const fn new(bytes: &'m [u8], base: usize) -> Self {
        Self { bytes, base }
    }

    /// An error at a byte.
    pub(super) const fn error(&self, at: usize, problem: Problem) -> FormatError {
        FormatError {
            offset: self.base.saturating_add(at),
            problem,
        }
    }

    /// The first `N` bytes: reading within them needs no further look at how many there are.
    pub(super) fn front<const N: usize>(&self) -> Result<&'m [u8; N], FormatError> {
        let needed = self.base.saturating_add(N);
        let front = self.bytes.first_chunk();
        front.ok_or(self.error(self.bytes.len(), Problem::Short { needed }))
    }

    /// `N` bytes from `at` on.
    #[inline(always)]
    pub(super) fn array<const N: usize>(&self, at: usize) -> Result<[u8; N], FormatError> {
        let found = self.bytes.get(at..).and_then(|rest| rest.first_chunk());
        let needed = self.base.saturating_add(at).saturating_add(N);
        found
            .copied()
            .ok_or_else(|| self.error(at, Problem::Short { needed }))
    }

    #[inline(always)]
    pub(super) fn u8(&self, at: usize) -> Result<u8, FormatError> {
        self.array(at).map(|[byte]: [u8; 1]| byte)
    }

    #[inline(always)]
    pub(super) fn i8(&self, at: usize) -> Result<i8, FormatError> {
        self.u8(at).map(|byte| byte as i8)
    }

    #[inline(always)]
    pub(super) fn u16(&self, at: usize) -> Result<u16, FormatError> {
        self.array(at).map(u16::from_le_bytes)
    }

    #[inline(always)]
    pub(super) fn u32(&self, at: usize) -> Result<u32, FormatError> {
        self.array(at).map(u32::from_le_bytes)
    }

    /// Whatever bits.
    #[inline(always)]
    pub(super) fn f32(&self, at: usize) -> Result<f32, FormatError> {
        self.array(at).map(f32::from_le_bytes)
    }

    /// A finite f32 above zero.
    #[inline(always)]
    pub(super) fn scale(&self, at: usize) -> Result<f32, FormatError> {
        let scale = self.f32(at)?;
        match is_scale(scale.to_bits()) {
            true => Ok(scale),
            false => Err(self.error(at, Problem::Scale)),
        }
    }

    /// 0 or 1.
    #[inline(always)]
    pub(super) fn flag(&self, at: usize) -> Result<bool, FormatError> {
        match self.u8(at)? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(self.error(at, Problem::Reserved)),
        }
    }

    /// Bytes that must be 0.
    #[inline(always)]
    pub(super) fn reserved<const N: usize>(&self, at: usize) -> Result<(), FormatError> {
        if self.array::<N>(at)?.iter().all(|&byte| byte == 0) {
            Ok(())
        } else {
            Err(self.error(at, Problem::Reserved))
        }
    }
}

/// Whether the bits of an f32 are finite and above zero: those from the least to the greatest.
pub(super) const fn is_scale(bits: u32) -> bool {
    bits.wrapping_sub(1) < f32::MAX.to_bits()
}

/// A record in the making: bytes of a fixed length, filled from the front.
pub(super) struct Emit<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Emit<N> {
    pub(super) const fn new() -> Self {
        Self {
            bytes: [0; N],
            len: 0,
        }
    }

    /// Appends bytes; those past `N` are lost.
    pub(super) fn put(mut self, bytes: &[u8]) -> Self {
        let room = self.bytes.get_mut(self.len..).unwrap_or_default();
        for (place, &byte) in room.iter_mut().zip(bytes) {
            *place = byte;
        }
        self.len += bytes.len();
        self
    }

    pub(super) fn u8(self, value: u8) -> Self {
        self.put(&[value])
    }

    pub(super) fn u16(self, value: u16) -> Self {
        self.put(&value.to_le_bytes())
    }

    pub(super) fn u32(self, value: u32) -> Self {
        self.put(&value.to_le_bytes())
    }

    pub(super) fn f32(self, value: f32) -> Self {
        self.put(&value.to_le_bytes())
    }

    pub(super) fn u16s<const K: usize>(self, values: [u16; K]) -> Self {
        values.into_iter().fold(self, Self::u16)
    }

    /// The record, zeros behind what was put.
    pub(super) const fn finish(self) -> [u8; N] {
        self.bytes
    }

    /// Bytes put so far.
    pub(super) const fn len(&self) -> usize {
        self.len
    }
}
