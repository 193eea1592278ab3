//! Layers' records, to and from bytes.

use super::{
    BinaryRecord, ConvRecord, CopyRecord, LayerRecord, MAX_RECORD_LEN, PoolRecord, ResizeRecord,
    TableRecord,
};
use crate::format::fields::{Emit, Fields};
use crate::format::{FormatError, NONE, Problem, WINDOW_LEN, emit_window, parse_window};
use crate::layer::{BinaryFixed, BinaryOp, PoolKind, Scratch};
use crate::packing::Packing;

/// Every record starts with: kind, three bytes of the kind's own, input, output.
fn emit_start(kind: u8, own: [u8; 3], input: u16, output: u16) -> Emit<MAX_RECORD_LEN> {
    Emit::new().u8(kind).put(&own).u16(input).u16(output)
}

const fn bytes_of([low, high]: [i8; 2]) -> [u8; 2] {
    [low as u8, high as u8]
}

/// Least and greatest output, at two bytes.
fn limits(fields: Fields<'_>, at: usize) -> Result<[i8; 2], FormatError> {
    let limits = [fields.i8(at)?, fields.i8(at + 1)?];
    match limits {
        [low, high] if low <= high => Ok(limits),
        _ => Err(fields.error(at, Problem::Limits)),
    }
}

impl LayerRecord {
    /// Reads the record at the front of `bytes`, which lies at byte `base` of the file. Gives its
    /// length too. All that can be checked with it alone is.
    ///
    /// # Errors
    ///
    /// Too few bytes, an unknown kind, operation or packing, a window with a 0, scales that are none.
    pub fn parse(bytes: &[u8], base: usize) -> Result<(Self, usize), FormatError> {
        let fields = Fields::new(bytes, base);
        Ok(match fields.u8(0)? {
            ConvRecord::KIND => {
                let record = ConvRecord::parse(fields.front()?, base)?;
                (Self::Conv(record), ConvRecord::LEN)
            }
            BinaryRecord::KIND => {
                let record = BinaryRecord::parse(fields.front()?, base)?;
                (Self::Binary(record), BinaryRecord::LEN)
            }
            TableRecord::KIND => {
                let record = TableRecord::parse(fields.front()?, base)?;
                (Self::Table(record), TableRecord::LEN)
            }
            PoolRecord::KIND => {
                let record = PoolRecord::parse(fields.front()?, base)?;
                (Self::Pool(record), PoolRecord::LEN)
            }
            CopyRecord::KIND => {
                let record = CopyRecord::parse(fields.front()?, base)?;
                (Self::Copy(record), CopyRecord::LEN)
            }
            ResizeRecord::KIND => {
                let record = ResizeRecord::parse(fields.front()?, base)?;
                (Self::Resize(record), ResizeRecord::LEN)
            }
            kind => return Err(fields.error(0, Problem::LayerKind { kind })),
        })
    }

    /// The tensors that it names.
    pub(in crate::format) const fn tensors(&self) -> [Option<u16>; 3] {
        match self {
            Self::Conv(record) => [Some(record.input), Some(record.output), None],
            Self::Binary(record) => [Some(record.a), Some(record.b), Some(record.output)],
            Self::Table(record) => [Some(record.input), Some(record.output), None],
            Self::Pool(record) => [Some(record.input), Some(record.output), None],
            Self::Copy(record) => [Some(record.input), Some(record.output), None],
            Self::Resize(record) => [Some(record.input), Some(record.output), None],
        }
    }

    /// The bytes that [`parse`](Self::parse) reads, and how many of them count.
    pub fn emit(&self) -> ([u8; MAX_RECORD_LEN], usize) {
        let emit = match self {
            Self::Conv(record) => record.emit(),
            Self::Binary(record) => record.emit(),
            Self::Table(record) => record.emit(),
            Self::Pool(record) => record.emit(),
            Self::Copy(record) => record.emit(),
            Self::Resize(record) => record.emit(),
        };
        let len = emit.len();
        (emit.finish(), len)
    }
}

impl ConvRecord {
    pub(in crate::format) const KIND: u8 = 1;
    /// Bytes.
    pub const LEN: usize = 60;

    /// The record at the front of `bytes`, where it is whole and one of this kind.
    #[inline(always)]
    pub(in crate::format) fn at_front(bytes: &[u8]) -> Option<Result<Self, FormatError>> {
        let bytes: &[u8; Self::LEN] = bytes.first_chunk()?;
        (bytes[0] == Self::KIND).then(|| Self::parse(bytes, 0))
    }

    #[inline(always)]
    pub(in crate::format) fn parse(
        bytes: &[u8; Self::LEN],
        base: usize,
    ) -> Result<Self, FormatError> {
        let fields = Fields::new(bytes, base);
        let id = fields.u8(1)?;
        let window = bytes.get(8..).unwrap_or_default();
        Ok(Self {
            packing: Packing::from_id(id).ok_or(fields.error(1, Problem::Packing { id }))?,
            limits: limits(fields, 2)?,
            input: fields.u16(4)?,
            output: fields.u16(6)?,
            window: parse_window(window, base + 8)?,
            groups: fields.u32(28)?,
            weights: fields.u32(32)?,
            weight_zero_points: fields.u32(36)?,
            bias: fields.u32(40)?,
            multipliers: fields.u32(44)?,
            fixed: fields.u32(48)?,
            scratch: Scratch {
                offset: fields.u32(52)?,
                len: fields.u32(56)?,
            },
        })
    }

    fn emit(&self) -> Emit<MAX_RECORD_LEN> {
        let [low, high] = bytes_of(self.limits);
        emit_start(
            Self::KIND,
            [self.packing.id(), low, high],
            self.input,
            self.output,
        )
        .put(&emit_window(&self.window))
        .u32(self.groups)
        .u32(self.weights)
        .u32(self.weight_zero_points)
        .u32(self.bias)
        .u32(self.multipliers)
        .u32(self.fixed)
        .u32(self.scratch.offset)
        .u32(self.scratch.len)
    }
}

impl BinaryRecord {
    pub(in crate::format) const KIND: u8 = 2;
    /// Bytes.
    pub const LEN: usize = 28;

    pub(in crate::format) fn parse(
        bytes: &[u8; Self::LEN],
        base: usize,
    ) -> Result<Self, FormatError> {
        let fields = Fields::new(bytes, base);
        fields.reserved::<1>(11)?;
        Ok(Self {
            fixed: match fields.u8(10)? {
                0 => {
                    fields.reserved::<4>(24)?;
                    None
                }
                shift => Some(BinaryFixed {
                    factors: [fields.u16(24)?, fields.u16(26)?],
                    shift,
                }),
            },
            op: match fields.u8(1)? {
                0 => BinaryOp::Add,
                1 => BinaryOp::Sub,
                2 => BinaryOp::Mul,
                id => return Err(fields.error(1, Problem::Choice { id })),
            },
            limits: limits(fields, 2)?,
            a: fields.u16(4)?,
            output: fields.u16(6)?,
            b: fields.u16(8)?,
            scales: [fields.scale(12)?, fields.scale(16)?, fields.scale(20)?],
        })
    }

    fn emit(&self) -> Emit<MAX_RECORD_LEN> {
        let op = match self.op {
            BinaryOp::Add => 0,
            BinaryOp::Sub => 1,
            BinaryOp::Mul => 2,
        };
        let [low, high] = bytes_of(self.limits);
        let emit = emit_start(Self::KIND, [op, low, high], self.a, self.output);
        let (factors, shift) = match self.fixed {
            Some(BinaryFixed { factors, shift }) => (factors, shift),
            None => ([0; 2], 0),
        };
        let emit = emit.u16(self.b).u8(shift).u8(0);
        let emit = self.scales.into_iter().fold(emit, Emit::f32);
        emit.u16s(factors)
    }
}

impl TableRecord {
    pub(in crate::format) const KIND: u8 = 3;
    /// Bytes.
    pub const LEN: usize = 12;

    pub(in crate::format) fn parse(
        bytes: &[u8; Self::LEN],
        base: usize,
    ) -> Result<Self, FormatError> {
        let fields = Fields::new(bytes, base);
        fields.reserved::<2>(2)?;
        Ok(Self {
            per_channel: fields.flag(1)?,
            input: fields.u16(4)?,
            output: fields.u16(6)?,
            table: fields.u32(8)?,
        })
    }

    fn emit(&self) -> Emit<MAX_RECORD_LEN> {
        let own = [u8::from(self.per_channel), 0, 0];
        emit_start(Self::KIND, own, self.input, self.output).u32(self.table)
    }
}

impl PoolRecord {
    pub(in crate::format) const KIND: u8 = 4;
    /// Bytes.
    pub const LEN: usize = 40;

    pub(in crate::format) fn parse(
        bytes: &[u8; Self::LEN],
        base: usize,
    ) -> Result<Self, FormatError> {
        let fields = Fields::new(bytes, base);
        let window = bytes.get(8..).unwrap_or_default();
        Ok(Self {
            kind: match fields.u8(1)? {
                0 => {
                    fields.reserved::<12>(28)?;
                    PoolKind::Max
                }
                id @ (1 | 2) => PoolKind::Average {
                    scales: [fields.scale(28)?, fields.scale(32)?],
                    count_include_pad: id == 2,
                    fixed: fields.u32(36)? as i32,
                },
                id => return Err(fields.error(1, Problem::Choice { id })),
            },
            limits: limits(fields, 2)?,
            input: fields.u16(4)?,
            output: fields.u16(6)?,
            window: parse_window(window, base + 8)?,
        })
    }

    fn emit(&self) -> Emit<MAX_RECORD_LEN> {
        let (kind, scales, fixed) = match self.kind {
            PoolKind::Max => (0, [0.0; 2], 0),
            PoolKind::Average {
                scales,
                count_include_pad,
                fixed,
            } => (1 + u8::from(count_include_pad), scales, fixed),
        };
        let [low, high] = bytes_of(self.limits);
        let emit = emit_start(Self::KIND, [kind, low, high], self.input, self.output);
        let emit = emit.put(&emit_window(&self.window));
        let emit = scales.into_iter().fold(emit, Emit::f32);
        emit.u32(fixed as u32)
    }
}

impl CopyRecord {
    pub(in crate::format) const KIND: u8 = 5;
    /// Bytes.
    pub const LEN: usize = 24;

    pub(in crate::format) fn parse(
        bytes: &[u8; Self::LEN],
        base: usize,
    ) -> Result<Self, FormatError> {
        let fields = Fields::new(bytes, base);
        fields.reserved::<1>(3)?;
        let value = fields.i8(2)?;
        let fill = match fields.flag(1)? {
            true => Some(value),
            false => {
                fields.reserved::<1>(2)?;
                None
            }
        };
        Ok(Self {
            fill,
            input: fields.u16(4)?,
            output: fields.u16(6)?,
            at: [fields.u32(8)?, fields.u32(12)?, fields.u32(16)?],
            table: fields.u32(20)?,
        })
    }

    fn emit(&self) -> Emit<MAX_RECORD_LEN> {
        let own = match self.fill {
            Some(value) => [1, value as u8, 0],
            None => [0; 3],
        };
        let emit = emit_start(Self::KIND, own, self.input, self.output);
        self.at.into_iter().fold(emit, Emit::u32).u32(self.table)
    }
}

impl ResizeRecord {
    pub(in crate::format) const KIND: u8 = 6;
    /// Bytes.
    pub const LEN: usize = 16;

    pub(in crate::format) fn parse(
        bytes: &[u8; Self::LEN],
        base: usize,
    ) -> Result<Self, FormatError> {
        let fields = Fields::new(bytes, base);
        fields.reserved::<3>(1)?;
        Ok(Self {
            input: fields.u16(4)?,
            output: fields.u16(6)?,
            factors: [fields.u32(8)?, fields.u32(12)?],
        })
    }

    fn emit(&self) -> Emit<MAX_RECORD_LEN> {
        let emit = emit_start(Self::KIND, [0; 3], self.input, self.output);
        self.factors.into_iter().fold(emit, Emit::u32)
    }
}

const _: () = assert!(ConvRecord::LEN == 8 + WINDOW_LEN + 32 && NONE == u32::MAX);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::Window;

    const WINDOW: Window = Window {
        kernel: [1, 2],
        stride: [3, 4],
        dilation: [5, 6],
        padding: [7, 8, 9, 10],
    };
    const WINDOW_BYTES: [u8; 20] = [1, 0, 2, 0, 3, 0, 4, 0, 5, 0, 6, 0, 7, 0, 8, 0, 9, 0, 10, 0];

    /// The record's bytes, which it comes back from, and which are refused when one is missing.
    fn bytes(record: LayerRecord, expected: &[u8]) {
        let (bytes, len) = record.emit();
        assert_eq!(bytes[..len], *expected, "{record:?}");
        assert_eq!(LayerRecord::parse(&bytes, 0), Ok((record, len)));
        for short in 0..len {
            let error = LayerRecord::parse(&bytes[..short], 100).unwrap_err();
            assert!(matches!(error.problem, Problem::Short { needed } if needed > 100 + short));
        }
    }

    #[test]
    fn a_convolution_in_bytes() {
        let record = ConvRecord {
            input: 1,
            output: 0x0102,
            window: WINDOW,
            groups: 3,
            packing: Packing::Plain,
            limits: [-128, 127],
            weights: 0x10,
            weight_zero_points: NONE,
            bias: 0x20,
            multipliers: 0x30,
            fixed: 0x40,
            scratch: Scratch { offset: 5, len: 6 },
        };
        let mut expected = std::vec![1, 0, 0x80, 0x7f, 1, 0, 2, 1];
        expected.extend(WINDOW_BYTES);
        for word in [3, 0x10, NONE, 0x20, 0x30, 0x40, 5, 6] {
            expected.extend(word.to_le_bytes());
        }
        bytes(LayerRecord::Conv(record), &expected);
    }

    #[test]
    fn a_binary_in_bytes() {
        let ops = [BinaryOp::Add, BinaryOp::Sub, BinaryOp::Mul];
        for (id, op) in (0..).zip(ops) {
            for fixed in [
                None,
                Some(BinaryFixed {
                    factors: [0x0102, 3],
                    shift: 9,
                }),
            ] {
                let record = BinaryRecord {
                    op,
                    a: 1,
                    b: 2,
                    output: 3,
                    scales: [1.0, 2.0, 4.0],
                    fixed,
                    limits: [-2, 5],
                };
                let shift = fixed.map_or(0, |fixed| fixed.shift);
                let mut expected = std::vec![2, id, 0xfe, 5, 1, 0, 3, 0, 2, 0, shift, 0];
                expected.extend([0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0, 0x80, 0x40]);
                expected.extend(if fixed.is_some() {
                    [2, 1, 3, 0]
                } else {
                    [0; 4]
                });
                bytes(LayerRecord::Binary(record), &expected);
            }
        }
    }

    #[test]
    fn a_table_in_bytes() {
        for per_channel in [false, true] {
            let record = TableRecord {
                input: 1,
                output: 2,
                table: 0x0304,
                per_channel,
            };
            let expected = [3, per_channel.into(), 0, 0, 1, 0, 2, 0, 4, 3, 0, 0];
            bytes(LayerRecord::Table(record), &expected);
        }
    }

    #[test]
    fn a_pool_in_bytes() {
        let average = |count_include_pad| PoolKind::Average {
            scales: [1.0, 2.0],
            count_include_pad,
            fixed: 0x0405,
        };
        let words = [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 5, 4, 0, 0];
        let cases = [
            (PoolKind::Max, [0; 12]),
            (average(false), words),
            (average(true), words),
        ];
        for (id, (kind, words)) in (0..).zip(cases) {
            let record = PoolRecord {
                kind,
                input: 1,
                output: 2,
                window: WINDOW,
                limits: [0, 3],
            };
            let mut expected = std::vec![4, id, 0, 3, 1, 0, 2, 0];
            expected.extend(WINDOW_BYTES);
            expected.extend(words);
            bytes(LayerRecord::Pool(record), &expected);
        }
    }

    #[test]
    fn a_copy_in_bytes() {
        for (fill, own) in [(None, [0, 0]), (Some(-1), [1, 0xff])] {
            let record = CopyRecord {
                input: 1,
                output: 2,
                at: [3, 4, 5],
                fill,
                table: NONE,
            };
            let mut expected = std::vec![5, own[0], own[1], 0, 1, 0, 2, 0];
            expected.extend([3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]);
            bytes(LayerRecord::Copy(record), &expected);
        }
    }
}
