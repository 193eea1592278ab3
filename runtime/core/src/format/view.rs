//! A file's parts, found by its header; layers with their tensors and constants.

use super::fields::Fields;
use super::{
    ConvRecord, FormatError, Golden, Header, LayerRecord, NONE, Problem, Section, Span, TENSOR_LEN,
    Texts, parse_tensor,
};
use crate::layer::{Binary, Conv, Copy, Layer, Pool, Resize, Rounding, Table};
use crate::tensor::Tensor;

/// The bytes of a file and its header. Everything is read where it lies, and checked as far as
/// reading it takes.
#[derive(Clone, Copy, Debug)]
pub struct View<'m> {
    bytes: &'m [u8],
    header: Header,
    /// The sections of which every layer takes something.
    tensors: &'m [u8],
    constants: &'m [u8],
}

impl<'m> View<'m> {
    /// Reads the header; bytes behind the file's length are left out.
    ///
    /// # Errors
    ///
    /// Those of [`Header::parse`], or fewer bytes than the header says.
    pub fn new(bytes: &'m [u8]) -> Result<Self, FormatError> {
        let header = Header::parse(bytes)?;
        let needed = usize::try_from(header.file_len()).unwrap_or(usize::MAX);
        match bytes.get(..needed) {
            Some(bytes) => {
                let mut view = Self {
                    bytes,
                    header,
                    tensors: &[],
                    constants: &[],
                };
                view.tensors = view.section(Section::Tensors);
                view.constants = view.section(Section::Constants);
                Ok(view)
            }
            None => Err(Fields::new(bytes, 0).error(bytes.len(), Problem::Short { needed })),
        }
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The file.
    pub const fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// A section.
    pub fn section(&self, section: Section) -> &'m [u8] {
        let Span { start, len } = self.header.span(section);
        let rest = self.bytes.get(start..).unwrap_or_default();
        rest.get(..len).unwrap_or_default()
    }

    /// How many tensors there are.
    pub fn tensor_count(&self) -> usize {
        self.section(Section::Tensors).len() / TENSOR_LEN
    }

    /// A tensor.
    ///
    /// # Errors
    ///
    /// There is none of that number.
    #[inline]
    pub fn tensor(&self, index: u16) -> Result<Tensor, FormatError> {
        let at = usize::from(index) * TENSOR_LEN;
        let rest = self.tensors.get(at..);
        match rest.and_then(|rest| rest.first_chunk::<TENSOR_LEN>()) {
            // All that reading it takes is there.
            Some(bytes) => parse_tensor(bytes, at),
            None => {
                let Span { start, .. } = self.header.span(Section::Tensors);
                let count = self.tensor_count();
                let fields = Fields::new(self.tensors, start);
                Err(fields.error(0, Problem::TensorIndex { index, count }))
            }
        }
    }

    /// The model's name, then the layers' names.
    pub fn names(&self) -> Texts<'m> {
        let count = usize::from(self.header.layers) + 1;
        Texts::new(self.section(Section::Names), count)
    }

    /// Class names.
    pub fn labels(&self) -> Texts<'m> {
        let count = usize::from(self.header.labels);
        Texts::new(self.section(Section::Labels), count)
    }

    /// The layers in order, each with its record's first byte in the file. Ends after the first that
    /// is none.
    pub fn layers(&self) -> Layers<'m> {
        let Span { start, len } = self.header.span(Section::Layers);
        Layers {
            view: *self,
            end: start + len,
            rest: self.section(Section::Layers),
            left: self.header.layers,
        }
    }

    /// Golden vectors.
    pub fn golden(&self) -> impl Iterator<Item = Golden<'m>> + use<'m> {
        let [input, len, output] = self.golden_lens();
        let layers = usize::from(self.header.layers);
        let section = self.section(Section::Golden).chunks_exact(len.max(1));
        section.filter_map(move |bytes| Golden::parse(bytes, input, layers, output))
    }

    /// Bytes of the input, of a golden vector, and of the output.
    pub(super) fn golden_lens(&self) -> [usize; 3] {
        let len = |index| self.tensor(index).map_or(0, |tensor| tensor.shape.len());
        let (input, output) = (len(self.header.input), len(self.header.output));
        let layers = usize::from(self.header.layers);
        [input, Golden::len(input, layers, output), output]
    }

    /// `len` bytes of the constants, from a multiple of `align` on.
    #[inline(always)]
    fn constants(&self, at: u32, len: usize, align: u32) -> Result<&'m [u8], FormatError> {
        let rest = self.constants.get(at as usize..).unwrap_or_default();
        match rest.get(..len) {
            Some(bytes) if at.is_multiple_of(align) => Ok(bytes),
            _ => {
                let Span { start, .. } = self.header.span(Section::Constants);
                Err(Fields::new(self.constants, start).error(0, Problem::Constant))
            }
        }
    }

    /// [`constants`](Self::constants), or nothing for [`NONE`].
    #[inline(always)]
    fn optional(&self, at: u32, len: usize, align: u32) -> Result<&'m [u8], FormatError> {
        match at {
            NONE => Ok(&[]),
            _ => self.constants(at, len, align),
        }
    }

    #[inline(always)]
    fn conv(&self, record: &ConvRecord) -> Result<Conv<'m>, FormatError> {
        let mut conv = Conv {
            input: self.tensor(record.input)?,
            output: self.tensor(record.output)?,
            window: record.window,
            groups: record.groups,
            packing: record.packing,
            weights: &[],
            weight_zero_points: &[],
            bias: &[],
            rounding: Rounding {
                multipliers: &[],
                fixed: &[],
                low: record.limits[0],
                high: record.limits[1],
            },
            scratch: record.scratch,
        };
        let channels = conv.output.shape.channels as usize;
        let words = channels * 4;
        let weights = record.packing.len(conv.kernel_shape());
        conv.weights = self.constants(record.weights, weights, 4)?;
        conv.weight_zero_points = self.optional(record.weight_zero_points, channels, 1)?;
        conv.bias = self.constants(record.bias, words, 4)?;
        conv.rounding.multipliers = self.constants(record.multipliers, words, 4)?;
        conv.rounding.fixed = self.optional(record.fixed, words, 4)?;
        Ok(conv)
    }

    /// Calls a function with each layer in order; none if there is one that is none, or if the
    /// function gives none. A convolution is not moved from where it is read to, which would take
    /// as long as a small one runs.
    #[inline(always)]
    pub fn for_each_layer(&self, mut f: impl FnMut(&Layer<'m>) -> Option<()>) -> Option<()> {
        if cfg!(target_os = "none") {
            // Where flash is dear, layers are read by the same code as in the check.
            return self.layers().try_for_each(|layer| f(&layer.ok()?.1));
        }
        let mut rest = self.section(Section::Layers);
        for _ in 0..self.header.layers {
            let len = if let Some(record) = ConvRecord::at_front(rest) {
                f(&Layer::Conv(self.conv(&record.ok()?).ok()?))?;
                ConvRecord::LEN
            } else {
                let (record, len) = LayerRecord::parse(rest, 0).ok()?;
                f(&self.layer(&record).ok()?)?;
                len
            };
            rest = rest.get(len..)?;
        }
        Some(())
    }

    /// A layer with its tensors and constants.
    ///
    /// # Errors
    ///
    /// No such tensors, or constants that leave their section.
    #[inline(always)]
    pub fn layer(&self, record: &LayerRecord) -> Result<Layer<'m>, FormatError> {
        Ok(match *record {
            LayerRecord::Conv(record) => Layer::Conv(self.conv(&record)?),
            LayerRecord::Binary(record) => Layer::Binary(Binary {
                op: record.op,
                a: self.tensor(record.a)?,
                b: self.tensor(record.b)?,
                output: self.tensor(record.output)?,
                scales: record.scales,
                fixed: record.fixed,
                low: record.limits[0],
                high: record.limits[1],
            }),
            LayerRecord::Table(record) => {
                let input = self.tensor(record.input)?;
                let tables = match record.per_channel {
                    true => input.shape.channels as usize,
                    false => 1,
                };
                Layer::Table(Table {
                    input,
                    output: self.tensor(record.output)?,
                    table: self.constants(record.table, tables * 256, 1)?,
                })
            }
            LayerRecord::Pool(record) => Layer::Pool(Pool {
                kind: record.kind,
                input: self.tensor(record.input)?,
                output: self.tensor(record.output)?,
                window: record.window,
                low: record.limits[0],
                high: record.limits[1],
            }),
            LayerRecord::Copy(record) => Layer::Copy(Copy {
                input: self.tensor(record.input)?,
                output: self.tensor(record.output)?,
                at: record.at,
                fill: record.fill,
                table: self.optional(record.table, 256, 1)?,
            }),
            LayerRecord::Resize(record) => Layer::Resize(Resize {
                input: self.tensor(record.input)?,
                output: self.tensor(record.output)?,
                factors: record.factors,
            }),
        })
    }
}

/// Layers of a [`View`].
#[derive(Clone, Debug)]
pub struct Layers<'m> {
    view: View<'m>,
    rest: &'m [u8],
    /// The section's end in the file.
    end: usize,
    left: u16,
}

impl Layers<'_> {
    /// Bytes of the section behind the layers so far.
    pub(super) const fn rest(&self) -> usize {
        self.rest.len()
    }

    /// How many layers are left.
    pub(super) const fn left(&self) -> u16 {
        self.left
    }
}

impl<'m> Iterator for Layers<'m> {
    type Item = Result<(usize, Layer<'m>), FormatError>;

    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline)]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let base = self.end - self.rest.len();
        let parsed = LayerRecord::parse(self.rest, base).and_then(|(record, len)| {
            self.rest = self.rest.get(len..).unwrap_or_default();
            let layer = self.view.layer(&record);
            // It is the record that names what is not there.
            let named = |error| FormatError {
                offset: base,
                ..error
            };
            Ok((base, layer.map_err(named)?))
        });
        if parsed.is_err() {
            self.left = 0;
        }
        Some(parsed)
    }
}
