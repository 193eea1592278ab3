use core::marker::PhantomData;

use crate::classify::Output;
use crate::crc::Crc32;
use crate::engine::{self, RunError};
use crate::format::{self, Drawn, FormatError, Golden, Header, Section, Target, View};
use crate::layer::Layer;
use crate::operators::{Every, Operator, Operators, Set};
use crate::preprocess::{Color, Fit, Recipe};
use crate::tensor::Tensor;

/// Bytes at a multiple of 64, where fast kernels want a model's file and its arena.
///
/// `static MODEL: Aligned<[u8; BYTES.len()]> = Aligned::of(BYTES);`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Aligned<T: ?Sized>(pub T);

impl<const N: usize> Aligned<[u8; N]> {
    /// The first `N` of some bytes; zeros for those that are not there.
    pub const fn of(bytes: &[u8]) -> Self {
        match bytes.first_chunk() {
            Some(bytes) => Self(*bytes),
            None => {
                let mut copy = [0; N];
                let mut index = 0;
                while index < bytes.len() {
                    copy[index] = bytes[index];
                    index += 1;
                }
                Self(copy)
            }
        }
    }
}

/// A compiled classifier: a view of the bytes of a `.kiln` file, checked.
///
/// `O` says which [`operators`](crate::operators) there are: all, unless a firmware leaves some out.
#[derive(Clone, Copy, Debug)]
pub struct Model<'m, O = Every> {
    view: View<'m>,
    operators: PhantomData<O>,
}

impl<'m> Model<'m> {
    /// Checks all once: lengths, offsets, shapes, constants, arena bounds, the amount of work. After
    /// that nothing panics and nothing is out of bounds. Bytes behind the file's end are ignored.
    ///
    /// The bytes may lie anywhere; fast kernels want the file at a multiple of
    /// [`CONSTANTS_ALIGN`](format::CONSTANTS_ALIGN) bytes.
    ///
    /// # Errors
    ///
    /// The byte at which something is wrong, and what to do.
    pub fn new(bytes: &'m [u8]) -> Result<Self, FormatError> {
        Self::with_operators(bytes)
    }

    /// The arena's bytes, from the header alone: for
    /// `static ARENA: Aligned<[u8; Model::arena_len(BYTES)]>`. 0 where there is no header.
    pub const fn arena_len(bytes: &[u8]) -> usize {
        match bytes.split_at_checked(Header::ARENA_AT) {
            Some((_, rest)) => match rest.first_chunk() {
                Some(len) => u32::from_le_bytes(*len) as usize,
                None => 0,
            },
            None => 0,
        }
    }
}

impl<'m, O: Operators> Model<'m, O> {
    /// [`new`](Model::new) for a program that has only some operators.
    ///
    /// # Errors
    ///
    /// Those of [`new`](Model::new), and [`Problem::Operator`](format::Problem::Operator) for a layer
    /// that needs another one.
    pub fn with_operators(bytes: &'m [u8]) -> Result<Self, FormatError> {
        let view = View::new(bytes)?;
        format::check(&view, O::SET)?;
        Ok(Self {
            view,
            operators: PhantomData,
        })
    }

    /// Bytes of arena that an inference takes.
    pub const fn arena_bytes(&self) -> usize {
        self.view.header().arena as usize
    }

    /// The file's bytes.
    pub const fn file_bytes(&self) -> usize {
        self.view.bytes().len()
    }

    /// What the model was laid out for.
    pub const fn target(&self) -> Target {
        self.view.header().target
    }

    /// The model's name.
    pub fn name(&self) -> &'m str {
        self.view.names().next().unwrap_or_default()
    }

    /// What the model takes.
    pub fn input(&self) -> Tensor {
        let input = self.view.header().input;
        self.view.find(input).unwrap_or_default()
    }

    /// What the model gives: logits.
    pub fn output(&self) -> Tensor {
        let output = self.view.header().output;
        self.view.find(output).unwrap_or_default()
    }

    /// `real = scale * (quantized - zero_point)` of the input.
    pub const fn input_scale(&self) -> f32 {
        self.view.header().input_scale
    }

    /// The same of the output.
    pub const fn output_scale(&self) -> f32 {
        self.view.header().output_scale
    }

    /// How a picture becomes an input.
    pub fn recipe(&self) -> Option<Recipe> {
        let mut recipe = format::parse_recipe(self.view.section(Section::Recipe), 0).ok()?;
        // The check has seen to both: a program of fewer operators has no code for the others.
        if !O::SET.has_any(Set::FITS) {
            recipe.fit = Fit::Stretch;
        }
        if !O::SET.has(Operator::Grey) {
            recipe.color = Color::Rgb;
        }
        Some(recipe)
    }

    /// With a recipe, `[channels][256]` i8: the input for each value of a pixel. Else empty.
    pub(crate) fn input_table(&self) -> &'m [u8] {
        self.view.section(Section::InputTable)
    }

    /// How many classes there are: values of the output, but for one that says whether a picture is
    /// [known](Output::known).
    pub fn classes(&self) -> usize {
        let header = self.view.header();
        header.classes(self.view.shape(header.output).len())
    }

    /// How many labels there are: none, or one a class.
    pub const fn label_count(&self) -> usize {
        self.view.header().labels as usize
    }

    /// Class names, in the order of the logits.
    pub fn labels(&self) -> impl Iterator<Item = &'m str> + Clone + use<'m, O> {
        self.view.labels()
    }

    /// The name of a class.
    pub fn label(&self, index: usize) -> Option<&'m str> {
        self.view.labels().nth(index)
    }

    /// How many layers there are.
    #[cfg_attr(doc, doc(hidden))]
    pub const fn layer_count(&self) -> usize {
        self.view.header().layers as usize
    }

    /// The layers with their names, in the order in which they run.
    #[cfg_attr(doc, doc(hidden))]
    pub fn layers(&self) -> impl Iterator<Item = (&'m str, Layer<'m>)> + Clone + use<'m, O> {
        self.view.names().skip(1).zip(self.unnamed_layers())
    }

    /// The layers alone.
    pub(crate) fn unnamed_layers(&self) -> impl Iterator<Item = Layer<'m>> + Clone + use<'m, O> {
        self.view.layers::<O>()
    }

    /// Golden vectors.
    #[cfg_attr(doc, doc(hidden))]
    pub fn golden(&self) -> impl Iterator<Item = Golden<'m>> + use<'m, O> {
        self.view.golden()
    }

    /// The checksum that the file states: it tells models apart.
    pub const fn checksum(&self) -> u32 {
        self.view.header().checksum
    }

    /// Whether the file's checksum is that of its bytes. Not part of [`new`](Self::new), since it
    /// reads the whole file.
    pub fn checksum_ok(&self) -> bool {
        let bytes = self.view.bytes();
        let mut crc = Crc32::new();
        let (before, rest) = bytes
            .split_at_checked(Header::CHECKSUM_AT)
            .unwrap_or_default();
        crc.update(before);
        crc.update(rest.get(4..).unwrap_or_default());
        crc.finish() == self.view.header().checksum
    }

    /// The input's place in the arena: i8 in NHWC.
    ///
    /// # Errors
    ///
    /// [`RunError::Arena`] if the arena is too small.
    pub fn input_mut<'a>(&self, arena: &'a mut [u8]) -> Result<&'a mut [u8], RunError> {
        let arena = engine::arena(self.arena_bytes(), arena)?;
        engine::part_mut(arena, &self.input()).ok_or(RunError::Model)
    }

    /// Makes what a golden vector's seed stands for the input.
    ///
    /// # Errors
    ///
    /// [`RunError::Arena`] if the arena is too small.
    #[cfg_attr(doc, doc(hidden))]
    pub fn draw_input(&self, arena: &mut [u8], seed: u32) -> Result<(), RunError> {
        let values = self.input_mut(arena)?.iter_mut().zip(Drawn::new(seed));
        values.for_each(|(place, value)| *place = value as u8);
        Ok(())
    }

    /// The input's place holds the recipe's u8 pixels: makes them the input, in place.
    ///
    /// # Errors
    ///
    /// [`RunError::Arena`] if the arena is too small, [`RunError::Recipe`] if the model has none.
    pub fn quantize_pixels(&self, arena: &mut [u8]) -> Result<(), RunError> {
        let (tables, _) = self.input_table().as_chunks::<256>();
        if tables.is_empty() {
            return Err(RunError::Recipe);
        }
        for pixel in self.input_mut(arena)?.chunks_exact_mut(tables.len()) {
            for (value, table) in pixel.iter_mut().zip(tables) {
                *value = table[usize::from(*value)];
            }
        }
        Ok(())
    }

    /// Runs over the input that is at its place in the arena.
    ///
    /// # Errors
    ///
    /// [`RunError::Arena`] if the arena is too small, [`RunError::Alignment`] if it lies where kernels of a
    /// Cortex-M cannot use it.
    pub fn run_in_place<'a>(&self, arena: &'a mut [u8]) -> Result<Output<'a>, RunError> {
        engine::run(&self.view, O::SET, arena, None)
    }

    /// Runs over an input: i8 in NHWC, quantized.
    ///
    /// # Errors
    ///
    /// Those of [`run_in_place`](Self::run_in_place), and [`RunError::Input`] if the input has another length.
    pub fn run<'a>(&self, arena: &'a mut [u8], input: &[i8]) -> Result<Output<'a>, RunError> {
        let place = self.input_mut(arena)?;
        if input.len() != place.len() {
            let needed = place.len();
            return Err(RunError::Input { needed });
        }
        for (place, &value) in place.iter_mut().zip(input) {
            *place = value as u8;
        }
        self.run_in_place(arena)
    }

    /// [`run_in_place`](Self::run_in_place) that shows each layer, by its number, and all of its
    /// output tensor as soon as it has run.
    ///
    /// # Errors
    ///
    /// Those of [`run_in_place`](Self::run_in_place).
    #[cfg_attr(doc, doc(hidden))]
    pub fn run_with<'a>(
        &self,
        arena: &'a mut [u8],
        observe: &mut dyn FnMut(usize, &Layer<'m>, &[u8]),
    ) -> Result<Output<'a>, RunError> {
        engine::run(&self.view, O::SET, arena, Some(observe))
    }
}

#[cfg(test)]
mod tests {
    use std::vec;
    use std::vec::Vec;

    use super::*;
    use crate::testing::{Parts, every};

    #[test]
    fn it_shows_what_the_file_holds() {
        let parts = Parts::every_layer();
        let bytes = parts.bytes();
        let model = Model::new(&bytes).unwrap();
        assert_eq!(model.name(), "every layer");
        assert_eq!(model.target(), Target::Generic);
        assert_eq!(model.arena_bytes(), parts.arena as usize);
        assert_eq!(model.file_bytes(), bytes.len());
        assert_eq!(model.input(), parts.tensors[0]);
        assert_eq!(model.output(), parts.tensors[usize::from(parts.output)]);
        assert_eq!((model.input_scale(), model.output_scale()), (0.02, 0.1));
        assert_eq!(model.recipe(), parts.recipe);
        assert_eq!(model.input_table(), parts.input_table);
        assert!(model.labels().eq(parts.labels.iter().copied()));
        assert_eq!((model.label_count(), model.label(2)), (7, Some("cat")));
        assert_eq!(model.label(7), None);
        let names: Vec<&str> = model.layers().map(|(name, _)| name).collect();
        let expected: Vec<&str> = parts.layers.iter().map(|&(name, _)| name).collect();
        assert_eq!(names, expected);
        assert_eq!(model.layer_count(), names.len());
        let golden: Vec<_> = model.golden().collect();
        assert_eq!(golden.len(), 1);
        let expected = &parts.golden[0];
        assert_eq!(
            (golden[0].seed, golden[0].logits),
            (expected.seed, &expected.logits[..])
        );
        assert_eq!(golden[0].sums, expected.sums);
        let Some((_, Layer::Conv(conv))) = model.layers().next() else {
            panic!("the first is a convolution");
        };
        assert_eq!(conv.weights, &parts.constants[..conv.weights.len()]);
        assert_eq!((conv.weights.len(), conv.bias.len()), (108, 16));
        assert_eq!(
            (conv.weight_zero_points, conv.rounding.fixed.len()),
            (&[][..], 16)
        );
        assert_eq!(conv.macs(), 6 * 5 * 4 * 27);
    }

    #[test]
    fn a_model_without_extras() {
        let mut parts = Parts::every_layer();
        parts.labels.clear();
        parts.recipe = None;
        parts.input_table.clear();
        parts.golden.clear();
        let bytes = parts.bytes();
        let model = Model::new(&bytes).unwrap();
        assert_eq!(model.labels().count() + model.golden().count(), 0);
        assert_eq!((model.recipe(), model.label(0)), (None, None));
        let mut arena = vec![0; model.arena_bytes()];
        assert_eq!(model.quantize_pixels(&mut arena), Err(RunError::Recipe));
    }

    #[test]
    fn aligned_bytes() {
        const THREE: Aligned<[u8; 3]> = Aligned::of(&[1, 2, 3, 4]);
        assert_eq!(THREE.0, [1, 2, 3]);
        let pair = [Aligned::<[u8; 3]>::of(&[1]); 2];
        assert_eq!(pair[1].0, [1, 0, 0]);
        assert_eq!(pair[1].0.as_ptr().addr() % 64, 0);
    }

    #[test]
    fn the_arena_is_known_from_the_header() {
        const HEADER: [u8; 20] = *b"KILN\x01\0\0\0\0\0\0\0\0\0\0\0\x04\x03\0\0";
        static ARENA: [u8; Model::arena_len(&HEADER)] = [0; Model::arena_len(&HEADER)];
        assert_eq!(ARENA.len(), 0x304);
        assert_eq!(Model::arena_len(&HEADER[..19]), 0);
        assert_eq!(Model::arena_len(&[]), 0);
    }

    #[test]
    fn pixels_become_the_input_by_the_table_of_their_channel() {
        let parts = Parts::every_layer();
        let bytes = parts.bytes();
        let model = Model::new(&bytes).unwrap();
        let mut arena = vec![0; model.arena_bytes()];
        let pixels: Vec<u8> = (0..90).map(|index| (index * 37 % 256) as u8).collect();
        model
            .input_mut(&mut arena)
            .unwrap()
            .copy_from_slice(&pixels);
        assert_eq!(model.quantize_pixels(&mut arena), Ok(()));
        let input = model.input_mut(&mut arena).unwrap();
        for (index, (&found, &pixel)) in input.iter().zip(&pixels).enumerate() {
            let expected = parts.input_table[index % 3 * 256 + usize::from(pixel)];
            assert_eq!(found, expected, "{index}");
        }
        let needed = model.arena_bytes();
        let error = model.quantize_pixels(&mut arena[1..]);
        assert_eq!(error, Err(RunError::Arena { needed }));
    }

    #[test]
    fn the_checksum_sees_every_byte() {
        let bytes = Parts::every_layer().bytes();
        let model = Model::new(&bytes).unwrap();
        assert!(model.checksum_ok());
        assert_eq!(model.checksum().to_le_bytes(), bytes[12..16]);
        let longer = [&bytes[..], &[1, 2, 3]].concat();
        assert!(Model::new(&longer).unwrap().checksum_ok());
        let mut flipped = 0;
        for at in (0..bytes.len()).step_by(every(400)) {
            let mut bytes = bytes.clone();
            bytes[at] ^= 0x10;
            if let Ok(model) = Model::new(&bytes) {
                assert!(!model.checksum_ok(), "byte {at}");
                flipped += 1;
            }
        }
        assert!(flipped > bytes.len() / 2 / every(400));
    }
}
