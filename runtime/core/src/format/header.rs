//! The first 80 bytes: what a model needs, and how long its sections are.

use super::fields::{Emit, Fields, is_scale};
use super::{
    CONSTANTS_ALIGN, FormatError, MAGIC, MAX_ARENA, Problem, SECTION_ALIGN, Target, VERSION,
};

/// A section's first byte in the file, and its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// Bytes.
    pub len: usize,
}

/// The sections, in the order in which they lie in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Section {
    /// [`TENSOR_LEN`](super::TENSOR_LEN) bytes a tensor.
    Tensors,
    /// Records of the layers, each as long as its kind is.
    Layers,
    /// The model's name, then the layers' names.
    Names,
    /// Class names.
    Labels,
    /// The recipe, or nothing.
    Recipe,
    /// Where there is a recipe: for each channel, 256 i8, what the input is for a pixel's value.
    InputTable,
    /// Golden vectors.
    Golden,
    /// Weights, biases, multipliers, tables.
    Constants,
}

/// How many sections there are.
const SECTIONS: usize = Section::Constants as usize + 1;

/// The header of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Header {
    /// CRC-32 of the file without these four bytes.
    pub checksum: u32,
    /// What it was laid out for.
    pub target: Target,
    /// Bytes of arena that an inference takes.
    pub arena: u32,
    /// The tensor that the model takes.
    pub input: u16,
    /// The tensor that the model gives.
    pub output: u16,
    /// Of the input.
    pub input_scale: f32,
    /// Of the output.
    pub output_scale: f32,
    /// How many layers there are.
    pub layers: u16,
    /// How many labels there are.
    pub labels: u16,
    /// The sections' lengths.
    pub lens: [u32; SECTIONS],
}

impl Header {
    /// Bytes.
    pub const LEN: usize = 80;
    /// The first byte of the checksum, which has four.
    pub const CHECKSUM_AT: usize = 12;
    /// The first byte of the arena's length, which has four.
    pub(crate) const ARENA_AT: usize = 16;
    /// The first byte of the file's length, which has four.
    const FILE_LEN_AT: usize = 8;
    /// The first byte of the sections' lengths.
    const LENS_AT: usize = 44;

    /// Reads a header. All that can be checked with it alone is.
    ///
    /// # Errors
    ///
    /// Another magic, version, target or flags; a scale that is none; an arena that is too large.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        Self::check(bytes).map(Self::read)
    }

    /// The header's bytes, of which all that [`parse`](Self::parse) does not refuse is sure.
    #[inline(always)]
    pub(super) fn check(bytes: &[u8]) -> Result<&[u8; Self::LEN], FormatError> {
        let fields = Fields::new(bytes, 0);
        if fields.u32(0)? != u32::from_le_bytes(MAGIC) {
            return Err(fields.error(0, Problem::Magic));
        }
        let front = fields.front()?;
        let header = Self::read(front);
        let (found, id) = (half(front, 4), half(front, 6));
        let (offset, problem) = if found != VERSION {
            (4, Problem::Version { found })
        } else if Target::from_id(id).is_none() {
            (6, Problem::Target { id })
        } else if header.arena > MAX_ARENA {
            let bytes = header.arena;
            (Self::ARENA_AT, Problem::Arena { bytes })
        } else if !is_scale(word(front, 24)) {
            (24, Problem::Scale)
        } else if !is_scale(word(front, 28)) {
            (28, Problem::Scale)
        } else if word(front, 36) | word(front, 40) != 0 {
            (36, Problem::Reserved)
        } else if word(front, 76) != 0 {
            (76, Problem::Reserved)
        } else if end(Self::span_in(front, Section::Constants))
            != Some(word(front, Self::FILE_LEN_AT))
        {
            (Self::FILE_LEN_AT, Problem::Section)
        } else {
            return Ok(front);
        };
        Err(FormatError { offset, problem })
    }

    /// What the bytes of a header say, checked or not: a target that is none is the generic one.
    #[inline(always)]
    pub(super) const fn read(front: &[u8; Self::LEN]) -> Self {
        let mut lens = [0; SECTIONS];
        let mut index = 0;
        while index < SECTIONS {
            lens[index] = word(front, Self::LENS_AT + 4 * index);
            index += 1;
        }
        Self {
            checksum: word(front, Self::CHECKSUM_AT),
            target: match Target::from_id(half(front, 6)) {
                Some(target) => target,
                None => Target::Generic,
            },
            arena: word(front, Self::ARENA_AT),
            input: half(front, 20),
            output: half(front, 22),
            input_scale: f32::from_bits(word(front, 24)),
            output_scale: f32::from_bits(word(front, 28)),
            layers: half(front, 32),
            labels: half(front, 34),
            lens,
        }
    }

    /// Bytes of the file, of a checked header.
    pub(super) const fn file_len_in(front: &[u8; Self::LEN]) -> usize {
        word(front, Self::FILE_LEN_AT) as usize
    }

    /// How many of an output's `values` are classes, in a checked file: as many as there are labels, and all where
    /// there are none. With fewer labels the value behind the classes says whether the picture is known.
    pub const fn classes(&self, values: usize) -> usize {
        match self.labels {
            0 => values,
            labels => labels as usize,
        }
    }

    /// The bytes that [`parse`](Self::parse) reads.
    pub fn emit(&self) -> [u8; Self::LEN] {
        let emit = Emit::new()
            .put(&MAGIC)
            .u16(VERSION)
            .u16(self.target.id())
            .u32(self.file_len().unwrap_or(u32::MAX))
            .u32(self.checksum)
            .u32(self.arena)
            .u16(self.input)
            .u16(self.output)
            .f32(self.input_scale)
            .f32(self.output_scale)
            .u16(self.layers)
            .u16(self.labels)
            .put(&[0; 8]);
        self.lens.into_iter().fold(emit, Emit::u32).finish()
    }

    /// The file's bytes; none where they are more than 32 bits count.
    pub fn file_len(&self) -> Option<u32> {
        end(self.span(Section::Constants))
    }

    /// Where a section lies; nowhere useful for a header whose file is not there.
    pub fn span(&self, section: Section) -> Span {
        span(self.lens.iter().copied(), section)
    }

    /// [`span`](Self::span) of a header in bytes.
    #[cfg_attr(target_os = "none", inline(never))]
    pub(super) fn span_in(front: &[u8; Self::LEN], section: Section) -> Span {
        let (words, _) = front.as_chunks();
        let lens = words.iter().skip(Self::LENS_AT / 4);
        span(lens.map(|&len| u32::from_le_bytes(len)), section)
    }
}

/// Where a section lies, by the lengths of all.
#[inline(always)]
fn span(lens: impl Iterator<Item = u32>, section: Section) -> Span {
    let mut start = Some(Header::LEN as u32);
    for (index, len) in lens.enumerate() {
        let align = match index == Section::Constants as usize {
            true => CONSTANTS_ALIGN,
            false => SECTION_ALIGN,
        };
        start = start.and_then(|start| start.checked_next_multiple_of(align as u32));
        match start {
            Some(start) if index == section as usize => {
                let [start, len] = [start, len].map(|bytes| bytes as usize);
                return Span { start, len };
            }
            _ => start = start.and_then(|start| start.checked_add(len)),
        }
    }
    let nowhere = u32::MAX as usize;
    Span {
        start: nowhere,
        len: nowhere,
    }
}

/// The byte behind a section, if 32 bits count it.
fn end(Span { start, len }: Span) -> Option<u32> {
    u32::try_from(start).ok()?.checked_add(len as u32)
}

/// Two bytes of a header.
#[inline(always)]
const fn half(front: &[u8; Header::LEN], at: usize) -> u16 {
    u16::from_le_bytes(part(front, at))
}

/// Four bytes of a header.
#[inline(always)]
const fn word(front: &[u8; Header::LEN], at: usize) -> u32 {
    u32::from_le_bytes(part(front, at))
}

/// Bytes of a header; zeros for those that it has not.
#[inline(always)]
const fn part<const N: usize>(front: &[u8; Header::LEN], at: usize) -> [u8; N] {
    match front.split_at_checked(at) {
        Some((_, rest)) => match rest.first_chunk() {
            Some(part) => *part,
            None => [0; N],
        },
        None => [0; N],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: Header = Header {
        checksum: 0x0102_0304,
        target: Target::CortexM4,
        arena: 1000,
        input: 3,
        output: 4,
        input_scale: 0.5,
        output_scale: 2.0,
        layers: 7,
        labels: 2,
        lens: [32, 100, 9, 11, 0, 0, 0, 1000],
    };

    #[test]
    fn bytes_are_those_of_the_document() {
        let bytes = HEADER.emit();
        let mut expected = std::vec::Vec::new();
        expected.extend(b"KILN");
        expected.extend([2, 0, 6, 0]);
        expected.extend([0xe8, 0x04, 0, 0]); // 256 + 1000
        expected.extend([4, 3, 2, 1]);
        expected.extend([0xe8, 3, 0, 0]);
        expected.extend([3, 0, 4, 0]);
        expected.extend([0, 0, 0, 0x3f, 0, 0, 0, 0x40]);
        expected.extend([7, 0, 2, 0]);
        expected.extend([0; 8]);
        for len in HEADER.lens {
            expected.extend(len.to_le_bytes());
        }
        expected.extend([0; 4]);
        assert_eq!(bytes[..], expected[..]);
        assert_eq!(Header::parse(&bytes), Ok(HEADER));
    }

    #[test]
    fn sections_follow_each_other_aligned() {
        let cases = [
            (Section::Tensors, 80, 32),
            (Section::Layers, 112, 100),
            (Section::Names, 224, 9),
            (Section::Labels, 240, 11),
            (Section::Recipe, 256, 0),
            (Section::Constants, 256, 1000),
        ];
        for (section, start, len) in cases {
            assert_eq!(HEADER.span(section), Span { start, len }, "{section:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let cases = [
            (0, 0xff, Problem::Magic),
            (4, 9, Problem::Version { found: 9 }),
            (6, 99, Problem::Target { id: 99 }),
            (8, 1, Problem::Section),
            (19, 0xff, Problem::Arena { bytes: 0xff00_03e8 }),
            (27, 0xbf, Problem::Scale),
            (31, 0x7f, Problem::Scale),
            (40, 1, Problem::Reserved),
            (47, 1, Problem::Section),
            (79, 1, Problem::Reserved),
        ];
        for (at, byte, problem) in cases {
            let mut bytes = HEADER.emit();
            bytes[at] = byte;
            if at == 31 {
                bytes[30] = 0x80;
            }
            let found = Header::parse(&bytes).unwrap_err();
            assert_eq!(found.problem, problem, "byte {at}");
            assert!(found.offset <= at);
        }
        for len in 0..Header::LEN {
            let short = &HEADER.emit()[..len];
            let found = Header::parse(short).unwrap_err().problem;
            assert!(matches!(found, Problem::Short { .. }), "{len}");
        }
    }
}
