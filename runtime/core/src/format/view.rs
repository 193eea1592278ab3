//! A file's parts, found by its header; layers with their tensors and constants.

use super::fields::Fields;
use super::{
    BinaryRecord, ConvRecord, CopyRecord, FormatError, Golden, Header, LayerRecord, NONE,
    PoolRecord, Problem, ResizeRecord, Section, Span, TENSOR_LEN, TableRecord, Texts, parse_tensor,
};
use core::marker::PhantomData;

use crate::layer::{Binary, Conv, Copy, Layer, Pool, Resize, Rounding, Table};
use crate::operators::{Every, Operator, Operators, Set};
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
    #[cfg_attr(target_os = "none", inline(never))]
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
    #[cfg_attr(target_os = "none", inline(never))]
    pub fn tensor(&self, index: u16) -> Result<Tensor, FormatError> {
        self.find(index).ok_or_else(|| self.no_tensor(index))
    }

    /// A tensor, if there is one of that number.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn find(&self, index: u16) -> Option<Tensor> {
        let rest = self.tensors.get(usize::from(index) * TENSOR_LEN..)?;
        // All that reading it takes is there.
        parse_tensor(rest.first_chunk::<TENSOR_LEN>()?, 0).ok()
    }

    /// What is wrong at a byte of a section.
    #[cold]
    #[inline(never)]
    pub(super) fn wrong(&self, section: Section, at: usize, problem: Problem) -> FormatError {
        let offset = self.header.span(section).start + at;
        FormatError { offset, problem }
    }

    #[cold]
    fn no_tensor(&self, index: u16) -> FormatError {
        let Span { start, .. } = self.header.span(Section::Tensors);
        let count = self.tensor_count();
        Fields::new(self.tensors, start).error(0, Problem::TensorIndex { index, count })
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
    pub fn layers<O: Operators>(&self) -> Layers<'m, O> {
        let Span { start, len } = self.header.span(Section::Layers);
        Layers {
            operators: PhantomData,
            view: *self,
            start,
            len,
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
        conv.rounding.multipliers = self.constants(record.multipliers, words, 4)?;
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
        for _ in 0..self.header.layers {
            // Where flash is dear, layers are read by the same code as in the check.
            let conv = match cfg!(target_os = "none") {
                true => None,
                false => ConvRecord::at_front(rest),
            };
            let len = if let Some(record) = conv {
                f(&Layer::Conv(self.conv(&record.ok()?)?))?;
                ConvRecord::LEN
            } else {
                let (layer, len) = self.read(set, rest, 0).ok()?;
                f(&layer)?;
                len
            };
            rest = rest.get(len..)?;
        }
        Some(())
    }

    /// The layer of the record at the front of `bytes`, which lies at byte `at` of the section, and
    /// the record's length.
    ///
    /// # Errors
    ///
    /// What is wrong. Microcontrollers say no more than that the layer is none, or needs an operator
    /// that is not in the set.
    #[inline(always)]
    pub(super) fn read(
        &self,
        set: Set,
        bytes: &[u8],
        at: usize,
    ) -> Result<(Layer<'m>, usize), FormatError> {
        match self.layer(set, bytes) {
            Some(found) => Ok(found),
            None => Err(self.why(set, bytes, at)),
        }
    }

    /// Each kind is made straight from its bytes: a record of any kind in between takes twice the flash.
    #[cfg_attr(target_os = "none", inline(never))]
    #[cfg_attr(not(target_os = "none"), inline(always))]
    fn layer(&self, set: Set, bytes: &[u8]) -> Option<(Layer<'m>, usize)> {
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
        if kind == BinaryRecord::KIND && set.has(Operator::Binary) {
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

    /// Why there is no layer.
    #[cold]
    #[cfg_attr(target_os = "none", inline(never))]
    fn why(&self, set: Set, bytes: &[u8], at: usize) -> FormatError {
        let kind = bytes.first().copied().unwrap_or(0);
        if kind > ConvRecord::KIND && kind <= ResizeRecord::KIND && set != Set::EVERY {
            return self.wrong(Section::Layers, at, Problem::Operator);
        }
        if cfg!(target_os = "none") {
            return self.wrong(Section::Layers, at, Problem::Layer);
        }
        let base = self.header.span(Section::Layers).start + at;
        match LayerRecord::parse(bytes, base) {
            Err(error) => error,
            // It is the record that names what is not there.
            Ok((record, _)) => {
                let missing = record.tensors().into_iter();
                let missing = missing.flatten().find(|&index| self.find(index).is_none());
                let problem = missing.map(|index| self.no_tensor(index).problem);
                self.wrong(Section::Layers, at, problem.unwrap_or(Problem::Constant))
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
    /// The section's first byte in the file, and its bytes.
    start: usize,
    len: usize,
    left: u16,
}

impl<'m, O: Operators> Iterator for Layers<'m, O> {
    type Item = Result<(usize, Layer<'m>), FormatError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let at = self.len - self.rest.len();
        let parsed = self.view.read(O::SET, self.rest, at).map(|(layer, len)| {
            self.rest = self.rest.get(len..).unwrap_or_default();
            (self.start + at, layer)
        });
        if parsed.is_err() {
            self.left = 0;
        }
        Some(parsed)
    }
}
