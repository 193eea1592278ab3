//! `.kiln` models on the host: loaded, checked, run.
//!
//! A [`LoadedModel`] is shared by threads; each has an [`Engine`] with an arena of its own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kiln_core::format::output_sum;
use kiln_core::layer::Layer;
use kiln_core::tensor::Shape;
use kiln_core::{FormatError, Model, Output, RunError};
use self_cell::self_cell;

use crate::compile::tables::quantize;
use crate::compile::{CompileError, Options, compile};
use crate::graph::{Layout, Quant};
use crate::qgraph::QGraph;

/// Why a model is not loaded or gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is no model.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<EngineError>,
    },
    /// The bytes are no model.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The bytes have changed since they were written.
    #[error("the checksum is wrong: the file is damaged; copy or compile it again")]
    Checksum,
    /// The input has a wrong length.
    #[error("the input has {found} values, but the model takes {expected}")]
    Length {
        /// Its values.
        found: usize,
        /// What the model takes.
        expected: usize,
    },
    /// The input is not a number.
    #[error("value {index} of the input is not a number")]
    Nan {
        /// Which value.
        index: usize,
    },
    /// The engine gives no answer.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The graph does not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// A golden vector comes out in another way.
    #[error(
        "golden vector {vector} differs from layer `{layer}` on: the model was compiled by another \
         version of Kiln, or this machine computes wrongly"
    )]
    Golden {
        /// Which.
        vector: usize,
        /// The first layer that differs.
        layer: String,
    },
}

/// Bytes that start at a multiple of 64 in memory, as fast kernels want them.
struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    const ALIGN: usize = kiln_core::format::CONSTANTS_ALIGN;

    fn zeros(len: usize) -> Self {
        let bytes = vec![0; len + Self::ALIGN];
        let start = bytes.as_ptr().align_offset(Self::ALIGN).min(Self::ALIGN);
        Self { bytes, start, len }
    }

    fn copy(bytes: &[u8]) -> Self {
        let mut aligned = Self::zeros(bytes.len());
        aligned.slice_mut().copy_from_slice(bytes);
        aligned
    }

    fn slice(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.len]
    }

    fn slice_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.len]
    }
}

self_cell!(
    struct Checked {
        owner: Aligned,
        #[covariant]
        dependent: Model,
    }
);

/// A model in memory, checked. A clone is the same model.
#[derive(Clone)]
pub struct LoadedModel(Arc<Checked>);

impl fmt::Debug for LoadedModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LoadedModel")
            .field(&self.model().name())
            .finish()
    }
}

impl LoadedModel {
    /// Reads a `.kiln` file.
    ///
    /// # Errors
    ///
    /// Names the file, and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        let bytes = std::fs::read(path).map_err(|source| EngineError::Read {
            path: path.into(),
            source,
        })?;
        Self::from_bytes(&bytes).map_err(|source| EngineError::File {
            path: path.into(),
            source: source.into(),
        })
    }

    /// Copies the bytes of a `.kiln` file, checks them and their checksum.
    ///
    /// # Errors
    ///
    /// What is wrong with them.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EngineError> {
        let checked = Checked::try_new(Aligned::copy(bytes), |bytes| Model::new(bytes.slice()))?;
        if !checked.borrow_dependent().checksum_ok() {
            return Err(EngineError::Checksum);
        }
        Ok(Self(Arc::new(checked)))
    }

    /// Compiles a graph for any machine, in memory.
    ///
    /// # Errors
    ///
    /// Why it does not compile.
    pub fn of(graph: &QGraph) -> Result<Self, EngineError> {
        Self::from_bytes(&compile(graph, &Options::default())?.bytes)
    }

    /// The model.
    pub fn model(&self) -> &Model<'_> {
        self.0.borrow_dependent()
    }

    /// What runs it, with an arena of its own.
    pub fn engine(&self) -> Engine {
        Engine {
            arena: Aligned::zeros(self.model().arena_bytes()),
            model: self.clone(),
        }
    }
}

/// What a model is asked about.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// Quantized values in NHWC.
    Quantized(&'a [i8]),
    /// Pixels as the recipe makes them: rows, columns, channels.
    Pixels(&'a [u8]),
    /// What the float model takes, with its axes in this order.
    Tensor(&'a [f32], Layout),
}

/// A model with an arena.
pub struct Engine {
    model: LoadedModel,
    arena: Aligned,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Engine").field(&self.model).finish()
    }
}

/// A layer that has just run.
#[derive(Clone, Copy, Debug)]
pub struct Ran<'a> {
    /// Its number in the order in which layers run.
    pub index: usize,
    /// ONNX's name.
    pub name: &'a str,
    /// The layer.
    pub layer: &'a Layer<'a>,
    /// All of its output tensor: i8 in NHWC.
    pub output: &'a [u8],
}

impl Engine {
    /// Reads a `.kiln` file: [`LoadedModel::open`].
    ///
    /// # Errors
    ///
    /// Names the file, and what is wrong with it.
    pub fn open(path: &Path) -> Result<Self, EngineError> {
        Ok(LoadedModel::open(path)?.engine())
    }

    /// Runs a graph straight away: [`LoadedModel::of`].
    ///
    /// # Errors
    ///
    /// Why it does not compile.
    pub fn of(graph: &QGraph) -> Result<Self, EngineError> {
        Ok(LoadedModel::of(graph)?.engine())
    }

    /// The model.
    pub fn model(&self) -> &Model<'_> {
        self.model.model()
    }

    /// The model, to be shared.
    pub fn loaded(&self) -> &LoadedModel {
        &self.model
    }

    /// Runs the model.
    ///
    /// # Errors
    ///
    /// An input of a wrong length or with a NaN; pixels for a model that has no recipe.
    pub fn run(&mut self, input: Input<'_>) -> Result<Output<'_>, EngineError> {
        self.fill(input)?;
        Ok(self.model.model().run_in_place(self.arena.slice_mut())?)
    }

    /// Runs the model, and gives the logits: [`run`](Self::run).
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn logits(&mut self, input: Input<'_>) -> Result<Vec<f32>, EngineError> {
        Ok(self.run(input)?.logits().collect())
    }

    /// Runs the model, and shows each layer's output as soon as it is there.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run).
    pub fn run_observed(
        &mut self,
        input: Input<'_>,
        mut observe: impl FnMut(Ran<'_>),
    ) -> Result<Output<'_>, EngineError> {
        self.fill(input)?;
        let model = self.model.model();
        let names: Vec<&str> = model.layers().map(|(name, _)| name).collect();
        let mut show = |index: usize, layer: &Layer<'_>, output: &[u8]| {
            observe(Ran {
                index,
                name: names[index],
                layer,
                output,
            });
        };
        Ok(model.run_with(self.arena.slice_mut(), &mut show)?)
    }

    /// Runs the golden vectors of the file; how many there are.
    ///
    /// # Errors
    ///
    /// [`EngineError::Golden`] names the first layer that comes out in another way.
    pub fn verify_golden(&mut self) -> Result<usize, EngineError> {
        let loaded = self.model.clone();
        for (vector, golden) in loaded.model().golden().enumerate() {
            let mut wrong: Option<String> = None;
            let mut sums = golden.sums();
            let input: Vec<i8> = golden.input.iter().map(|&byte| byte as i8).collect();
            let output = self.run_observed(Input::Quantized(&input), |ran| {
                if sums.next() != Some(output_sum(ran.layer, ran.output)) {
                    wrong.get_or_insert(ran.name.into());
                }
            })?;
            if output.values() != golden.logits {
                wrong.get_or_insert("the logits".into());
            }
            if let Some(layer) = wrong {
                return Err(EngineError::Golden { vector, layer });
            }
        }
        Ok(loaded.model().golden().count())
    }

    /// Brings an input to its place in the arena.
    fn fill(&mut self, input: Input<'_>) -> Result<(), EngineError> {
        let model = self.model.model();
        let tensor = model.input();
        let arena = self.arena.slice_mut();
        let expected = tensor.shape.len();
        let found = match input {
            Input::Quantized(values) => values.len(),
            Input::Pixels(values) => values.len(),
            Input::Tensor(values, _) => values.len(),
        };
        if found != expected {
            return Err(EngineError::Length { found, expected });
        }
        let place = model.input_mut(arena)?;
        match input {
            Input::Quantized(values) => {
                for (place, &value) in place.iter_mut().zip(values) {
                    *place = value as u8;
                }
            }
            Input::Pixels(values) => {
                place.copy_from_slice(values);
                model.quantize_pixels(arena)?;
            }
            Input::Tensor(values, layout) => {
                if let Some(index) = values.iter().position(|value| value.is_nan()) {
                    return Err(EngineError::Nan { index });
                }
                let quant = Quant {
                    scale: model.input_scale(),
                    zero_point: tensor.zero_point,
                    unsigned: false,
                };
                for (place, index) in place.iter_mut().zip(indices(tensor.shape, layout)) {
                    *place = quantize(values[index], quant) as u8;
                }
            }
        }
        Ok(())
    }
}

/// For each value in NHWC, where it lies in a tensor with its axes in the given order.
fn indices(shape: Shape, layout: Layout) -> impl Iterator<Item = usize> {
    let (pixels, channels) = (shape.pixels(), shape.channels as usize);
    (0..shape.len()).map(move |index| match layout {
        Layout::Nhwc => index,
        Layout::Nchw => index % channels * pixels + index / channels,
    })
}

#[cfg(test)]
mod tests {
    use kiln_core::preprocess::Recipe;

    use super::*;
    use crate::recipe::{ColorText, FitText, RecipeText};
    use crate::testing::{Random, random_graph};

    fn is_shared<T: Send + Sync>(_: &T) {}

    /// A graph whose input is a picture that is not square.
    fn graph() -> QGraph {
        let mut seed = 0;
        loop {
            let mut graph = random_graph(seed);
            let shape = graph.tensors[graph.input].shape;
            if shape.channels == 3 && shape.height != shape.width {
                graph.meta.recipe = Some(RecipeText {
                    width: shape.width as u16,
                    height: shape.height as u16,
                    fit: FitText::Stretch,
                    color: ColorText::Rgb,
                    mean: [0.1, 0.2, 0.3],
                    std: [0.5, 0.25, 0.125],
                });
                return graph;
            }
            seed += 1;
        }
    }

    #[test]
    fn pixels_tensors_and_integers_are_one_input() {
        let graph = graph();
        let model = LoadedModel::of(&graph).unwrap();
        is_shared(&model);
        let recipe = Recipe::from(graph.meta.recipe.unwrap());
        let mut random = Random::new(1);
        let pixels: Vec<u8> = (0..recipe.len()).map(|_| random.below(256) as u8).collect();
        let floats: Vec<f32> = pixels
            .iter()
            .enumerate()
            .map(|(index, &pixel)| recipe.normalise(index % 3, pixel))
            .collect();
        let quant = graph.quant(graph.input);
        let integers: Vec<i8> = floats.iter().map(|&value| quantize(value, quant)).collect();
        let area = floats.len() / 3;
        let planes: Vec<f32> = (0..floats.len())
            .map(|index| floats[index % area * 3 + index / area])
            .collect();
        let inputs = [
            Input::Quantized(&integers),
            Input::Pixels(&pixels),
            Input::Tensor(&floats, Layout::Nhwc),
            Input::Tensor(&planes, Layout::Nchw),
        ];
        let logits = inputs.map(|input| model.engine().logits(input).unwrap());
        assert!(logits.iter().all(|other| *other == logits[0]), "{logits:?}");
        let other: Vec<i8> = integers.iter().map(|&value| !value).collect();
        let mut engine = model.engine();
        let differs = (0..).map(|at| {
            let mut input = integers.clone();
            input[..=at].copy_from_slice(&other[..=at]);
            engine.logits(Input::Quantized(&input)).unwrap() != logits[0]
        });
        assert!(differs.take(other.len()).any(|differs| differs));
    }

    #[test]
    fn threads_have_arenas_of_their_own() {
        let graph = graph();
        let model = LoadedModel::of(&graph).unwrap();
        let len = model.model().input().shape.len();
        let input = |seed: u64| {
            let mut random = Random::new(seed);
            (0..len)
                .map(|_| random.below(256) as u8 as i8)
                .collect::<Vec<_>>()
        };
        let alone: Vec<Vec<f32>> = (0..4)
            .map(|seed| {
                model
                    .engine()
                    .logits(Input::Quantized(&input(seed)))
                    .unwrap()
            })
            .collect();
        let together: Vec<Vec<f32>> = std::thread::scope(|scope| {
            let run = |seed| {
                let model = model.clone();
                scope.spawn(move || {
                    model
                        .engine()
                        .logits(Input::Quantized(&input(seed)))
                        .unwrap()
                })
            };
            let threads: Vec<_> = (0..4).map(run).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        assert_eq!(alone, together);
    }

    #[test]
    fn errors_name_the_file_and_what_is_wrong() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.kiln");
        assert!(
            Engine::open(&path)
                .unwrap_err()
                .to_string()
                .contains("model.kiln")
        );
        let graph = graph();
        let mut bytes = compile(&graph, &Options::default()).unwrap().bytes;
        std::fs::write(&path, &bytes).unwrap();
        let mut engine = Engine::open(&path).unwrap();
        let expected = engine.model().input().shape.len();
        let error = engine
            .run(Input::Quantized(&[1, 2]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("2 values") && error.contains(&expected.to_string()),
            "{error}"
        );
        let mut floats = vec![0.0; expected];
        floats[1] = f32::NAN;
        let error = engine
            .run(Input::Tensor(&floats, Layout::Nhwc))
            .unwrap_err();
        assert!(matches!(error, EngineError::Nan { index: 1 }));
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let error = Engine::open(&path).unwrap_err().to_string();
        assert!(
            error.contains("model.kiln") && error.contains("checksum"),
            "{error}"
        );
        std::fs::write(&path, b"no model").unwrap();
        let error = Engine::open(&path).unwrap_err().to_string();
        assert!(error.contains("model.kiln"), "{error}");
    }

    #[test]
    fn memory_is_aligned() {
        for len in [0, 1, 1000] {
            let aligned = Aligned::copy(&vec![7; len]);
            assert_eq!(aligned.slice().as_ptr().align_offset(64), 0);
            assert_eq!(aligned.slice(), vec![7; len]);
        }
    }
}
