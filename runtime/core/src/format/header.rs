//! The first 80 bytes: what a model needs, and how long its sections are.

use super::fields::{Emit, Fields};
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
    /// The first byte of the sections' lengths.
    const LENS_AT: usize = 44;

    /// Reads a header. All that can be checked with it alone is.
    ///
    /// # Errors
    ///
    /// Another magic, version, target or flags; a scale that is none; an arena that is too large.
    pub fn parse(bytes: &[u8]) -> Result<Self, FormatError> {
        let fields = Fields::new(bytes, 0);
        if fields.u32(0)? != u32::from_le_bytes(MAGIC) {
            return Err(fields.error(0, Problem::Magic));
        }
        let fields = Fields::new(fields.front::<{ Self::LEN }>()?, 0);
        let found = fields.u16(4)?;
        if found != VERSION {
            return Err(fields.error(4, Problem::Version { found }));
        }
        let id = fields.u16(6)?;
        let target = Target::from_id(id).ok_or(fields.error(6, Problem::Target { id }))?;
        let bytes = fields.u32(Self::ARENA_AT)?;
        if bytes > MAX_ARENA {
            return Err(fields.error(Self::ARENA_AT, Problem::Arena { bytes }));
        }
        let mut lens = [0; SECTIONS];
        for (index, len) in lens.iter_mut().enumerate() {
            *len = fields.u32(Self::LENS_AT + 4 * index)?;
        }
        let header = Self {
            checksum: fields.u32(Self::CHECKSUM_AT)?,
            target,
            arena: bytes,
            input: fields.u16(20)?,
            output: fields.u16(22)?,
            input_scale: fields.scale(24)?,
            output_scale: fields.scale(28)?,
            layers: fields.u16(32)?,
            labels: fields.u16(34)?,
            lens,
        };
        fields.reserved::<8>(36)?;
        fields.reserved::<4>(76)?;
        if u64::from(fields.u32(8)?) != header.file_len() {
            return Err(fields.error(8, Problem::Section));
        }
        Ok(header)
    }

    /// The bytes that [`parse`](Self::parse) reads.
    pub fn emit(&self) -> [u8; Self::LEN] {
        let emit = Emit::new()
            .put(&MAGIC)
            .u16(VERSION)
            .u16(self.target.id())
            .u32(self.file_len() as u32)
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

    /// The file's bytes.
    pub fn file_len(&self) -> u64 {
        let constants = Section::Constants;
        self.start(constants) + u64::from(self.lens[constants as usize])
    }

    /// A section's first byte.
    fn start(&self, section: Section) -> u64 {
        let before = &self.lens[..section as usize];
        let sum = before.iter().fold(Self::LEN as u64, |end, &len| {
            (end + u64::from(len)).next_multiple_of(SECTION_ALIGN as u64)
        });
        match section {
            Section::Constants => sum.next_multiple_of(CONSTANTS_ALIGN as u64),
            _ => sum,
        }
    }

    /// Where a section lies; nowhere useful for a header whose file is not there.
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn span(&self, section: Section) -> Span {
        Span {
            start: usize::try_from(self.start(section)).unwrap_or(usize::MAX),
            len: self.lens[section as usize] as usize,
        }
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
        expected.extend([1, 0, 6, 0]);
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
