//! A file's parts, found by its header; layers with their tensors and constants.

use super::fields::Fields;
use super::{
    BinaryRecord, ConvRecord, CopyRecord, FormatError, Golden, Header, LayerRecord, NONE,
    PoolRecord, Problem, ResizeRecord, Section, Span, TENSOR_LEN, TableRecord, Texts, tensor_of,
};
use core::marker::PhantomData;

use crate::layer::{Binary, Conv, Copy, Layer, Pool, Resize, Rounding, Table};
use crate::operators::{Every, Operator, Operators, Set};
use crate::tensor::{Shape, Tensor};

/// The bytes of a file and its header. Everything is read where it lies, and checked as far as
/// reading it takes.
#[derive(Clone, Copy, Debug)]
pub struct View<'m> {
    bytes: &'m [u8],
    front: &'m [u8; Header::LEN],
    /// The sections of which every layer takes something.
    tensors: &'m [u8],
    constants: &'m [u8],
}

/// A section of a file with such a header.
#[cfg_attr(target_os = "none", inline(never))]
fn section<'m>(bytes: &'m [u8], front: &[u8; Header::LEN], section: Section) -> &'m [u8] {
    let Span { start, len } = Header::span_in(front, section);
    let rest = bytes.get(start..).unwrap_or_default();
    rest.get(..len).unwrap_or_default()
}

impl<'m> View<'m> {
    /// Reads the header; bytes behind the file's length are left out.
    ///
    /// # Errors
    ///
    /// Those of [`Header::parse`], or fewer bytes than the header says.
    pub fn new(bytes: &'m [u8]) -> Result<Self, FormatError> {
        let front = Header::check(bytes)?;
        let needed = Header::file_len_in(front);
        let Some(bytes) = bytes.get(..needed) else {
            return Err(Fields::new(bytes, 0).error(bytes.len(), Problem::Short { needed }));
        };
        Ok(Self {
            bytes,
            front,
            tensors: section(bytes, front, Section::Tensors),
            constants: section(bytes, front, Section::Constants),
        })
    }

    /// The header.
    #[inline(always)]
    pub const fn header(&self) -> Header {
        Header::read(self.front)
    }

    /// The file.
    pub const fn bytes(&self) -> &'m [u8] {
        self.bytes
    }

    /// Where a section lies.
    pub fn span(&self, section: Section) -> Span {
        Header::span_in(self.front, section)
    }

    /// A section.
    #[inline(always)]
    pub fn section(&self, section: Section) -> &'m [u8] {
        self::section(self.bytes, self.front, section)
    }

    /// How many tensors there are.
    pub fn tensor_count(&self) -> usize {
        self.tensors.len() / TENSOR_LEN
    }

    /// A tensor, if there is one of that number.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub fn find(&self, index: u16) -> Option<Tensor> {
        let rest = self.tensors.get(usize::from(index) * TENSOR_LEN..)?;
        rest.first_chunk().map(tensor_of)
    }

    /// The shape of a tensor; an empty one if there is none of that number.
    pub(crate) fn shape(&self, index: u16) -> Shape {
        self.find(index).unwrap_or_default().shape
    }

    /// What is wrong at a byte of a section.
    #[cold]
    pub(super) fn wrong(&self, section: Section, at: usize, problem: Problem) -> FormatError {
        let offset = self.span(section).start + at;
        FormatError { offset, problem }
    }

    /// That there is no tensor of that number.
    #[inline(always)]
    pub(super) fn no_tensor(&self, index: u16) -> Problem {
        let count = self.tensor_count();
        Problem::TensorIndex { index, count }
    }

    /// The model's name, then the layers' names.
    pub fn names(&self) -> Texts<'m> {
        let count = usize::from(self.header().layers) + 1;
        Texts::new(self.section(Section::Names), count)
    }

    /// Class names.
    pub fn labels(&self) -> Texts<'m> {
        let count = usize::from(self.header().labels);
        Texts::new(self.section(Section::Labels), count)
    }

    /// The layers in order. Ends before the first that is none.
    pub fn layers<O: Operators>(&self) -> Layers<'m, O> {
        Layers {
            operators: PhantomData,
            view: *self,
            rest: self.section(Section::Layers),
            left: self.header().layers,
        }
    }

    /// Golden vectors.
    pub fn golden(&self) -> impl Iterator<Item = Golden<'m>> + use<'m> {
        let header = self.header();
        let (layers, output) = (usize::from(header.layers), self.shape(header.output).len());
        let section = self.section(Section::Golden);
        let vectors = section.chunks_exact(Golden::len(layers, output));
        vectors.filter_map(move |bytes| Golden::parse(bytes, layers, output))
    }

    /// `len` bytes of the constants, from a multiple of `align` on.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn constants(&self, at: u32, len: usize, align: u32) -> Option<&'m [u8]> {
        let bytes = self.constants.get(at as usize..)?.get(..len)?;
        at.is_multiple_of(align).then_some(bytes)
    }

    /// [`constants`](Self::constants), or nothing for [`NONE`].
    #[inline(always)]
    fn optional(&self, at: u32, len: usize, align: u32) -> Option<&'m [u8]> {
        match at {
            NONE => Some(&[]),
            _ => self.constants(at, len, align),
        }
    }

    #[inline(always)]
    fn conv(&self, record: &ConvRecord) -> Option<Conv<'m>> {
        let mut conv = Conv {
            input: self.find(record.input)?,
            output: self.find(record.output)?,
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
        conv.rounding.multipliers = self.optional(record.multipliers, words, 4)?;
        conv.rounding.fixed = self.optional(record.fixed, words, 4)?;
        Some(conv)
    }

    /// Calls a function with each layer in order; none if there is one that is none, or if the
    /// function gives none. A convolution is not moved from where it is read to, which would take
    /// as long as a small one runs.
    #[inline(always)]
    pub(crate) fn for_each_layer(
        &self,
        set: Set,
        mut f: impl FnMut(&Layer<'m>) -> Option<()>,
    ) -> Option<()> {
        let mut rest = self.section(Section::Layers);
        for _ in 0..self.header().layers {
            // Where flash is dear, layers are read by the same code as in the check.
            let conv = match cfg!(target_os = "none") {
                true => None,
                false => ConvRecord::at_front(rest),
            };
            let len = if let Some(record) = conv {
                f(&Layer::Conv(self.conv(&record.ok()?)?))?;
                ConvRecord::LEN
            } else {
                // A layer is long: it stays where it is.
                let Some((layer, len)) = &self.layer(set, rest) else {
                    return None;
                };
                f(layer)?;
                *len
            };
            rest = rest.get(len..)?;
        }
        Some(())
    }

    /// The layer of the record at the front of `bytes`, and the record's length; none if it is none, or
    /// of an operator that is not in the set.
    ///
    /// Each kind is made straight from its bytes: a record of any kind in between takes twice the flash.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline(always))]
    pub(super) fn layer(&self, set: Set, bytes: &[u8]) -> Option<(Layer<'m>, usize)> {
        let fields = Fields::new(bytes, 0);
        let kind = bytes.first().copied()?;
        if kind == ConvRecord::KIND {
            let record = ConvRecord::parse(fields.front().ok()?, 0).ok()?;
            return Some((Layer::Conv(self.conv(&record)?), ConvRecord::LEN));
        }
        if kind == PoolRecord::KIND && set.has_any(Set::POOLS) {
            let record = PoolRecord::parse(fields.front().ok()?, 0).ok()?;
            return Some((self.pool(&record)?, PoolRecord::LEN));
        }
        if kind == BinaryRecord::KIND && set.has_any(Set::BINARIES) {
            let record = BinaryRecord::parse(fields.front().ok()?, 0).ok()?;
            return Some((self.binary(&record)?, BinaryRecord::LEN));
        }
        if kind == TableRecord::KIND && set.has(Operator::Table) {
            let record = TableRecord::parse(fields.front().ok()?, 0).ok()?;
            return Some((self.table(&record)?, TableRecord::LEN));
        }
        if kind == CopyRecord::KIND && set.has(Operator::Copy) {
            let record = CopyRecord::parse(fields.front().ok()?, 0).ok()?;
            return Some((self.copy(&record)?, CopyRecord::LEN));
        }
        if kind == ResizeRecord::KIND && set.has(Operator::Resize) {
            let record = ResizeRecord::parse(fields.front().ok()?, 0).ok()?;
            return Some((self.resize(&record)?, ResizeRecord::LEN));
        }
        None
    }

    /// Why there is no layer, and the byte of its record that says so. Microcontrollers say no more than that
    /// it is none, or needs an operator that is not in the set.
    #[cold]
    pub(super) fn why(&self, set: Set, bytes: &[u8]) -> (usize, Problem) {
        let kind = bytes.first().copied().unwrap_or(0);
        if kind > ConvRecord::KIND && kind <= ResizeRecord::KIND && set != Set::EVERY {
            return (0, Problem::Operator);
        }
        if cfg!(target_os = "none") {
            return (0, Problem::Layer);
        }
        match LayerRecord::parse(bytes, 0) {
            Err(FormatError { offset, problem }) => (offset, problem),
            // It is the record that names what is not there.
            Ok((record, _)) => {
                let missing = record.tensors().into_iter();
                let missing = missing.flatten().find(|&index| self.find(index).is_none());
                let problem = missing.map(|index| self.no_tensor(index));
                (0, problem.unwrap_or(Problem::Constant))
            }
        }
    }

    #[inline(always)]
    fn binary(&self, record: &BinaryRecord) -> Option<Layer<'m>> {
        Some(Layer::Binary(Binary {
            op: record.op,
            a: self.find(record.a)?,
            b: self.find(record.b)?,
            output: self.find(record.output)?,
            scales: record.scales,
            fixed: record.fixed,
            low: record.limits[0],
            high: record.limits[1],
        }))
    }

    #[inline(always)]
    fn table(&self, record: &TableRecord) -> Option<Layer<'m>> {
        let input = self.find(record.input)?;
        let tables = match record.per_channel {
            true => input.shape.channels as usize,
            false => 1,
        };
        Some(Layer::Table(Table {
            input,
            output: self.find(record.output)?,
            table: self.constants(record.table, tables * 256, 1)?,
        }))
    }

    #[inline(always)]
    fn pool(&self, record: &PoolRecord) -> Option<Layer<'m>> {
        Some(Layer::Pool(Pool {
            kind: record.kind,
            input: self.find(record.input)?,
            output: self.find(record.output)?,
            window: record.window,
            low: record.limits[0],
            high: record.limits[1],
        }))
    }

    #[inline(always)]
    fn copy(&self, record: &CopyRecord) -> Option<Layer<'m>> {
        Some(Layer::Copy(Copy {
            input: self.find(record.input)?,
            output: self.find(record.output)?,
            at: record.at,
            fill: record.fill,
            table: self.optional(record.table, 256, 1)?,
        }))
    }

    #[inline(always)]
    fn resize(&self, record: &ResizeRecord) -> Option<Layer<'m>> {
        Some(Layer::Resize(Resize {
            input: self.find(record.input)?,
            output: self.find(record.output)?,
            factors: record.factors,
        }))
    }
}

/// Layers of a [`View`].
#[derive(Clone, Debug)]
pub struct Layers<'m, O = Every> {
    operators: PhantomData<O>,
    view: View<'m>,
    rest: &'m [u8],
    left: u16,
}

impl<'m, O: Operators> Iterator for Layers<'m, O> {
    type Item = Layer<'m>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let Some((layer, len)) = self.view.layer(O::SET, self.rest) else {
            self.left = 0;
            return None;
        };
        self.rest = self.rest.get(len..).unwrap_or_default();
        Some(layer)
    }
}
