//! The check of a whole file, after which nothing about it is in doubt.

use super::fields::is_scale;
use super::view::View;
use super::{FormatError, Golden, Problem, Section, TENSOR_LEN, Texts, parse_recipe, tensor_of};
use crate::arch;
use crate::layer::{
    Binary, BinaryFixed, BinaryOp, Conv, Copy, Layer, Pool, PoolKind, Resize, Table,
};
use crate::operators::{Operator, Set};
use crate::packing::Packing;
use crate::tensor::{Shape, Tensor};

/// What a model may ask for in one inference for each byte of its file and of its arena. Real models
/// ask for some 100 multiply-accumulates.
pub const WORK_PER_BYTE: u64 = 1 << 14;

/// What any model may ask for in one inference.
pub const MAX_WORK: u64 = 1 << 40;

/// The most work that a model of `file` bytes with an arena of `arena` bytes may ask for: of
/// convolutions the multiply-accumulates and the scratch for each row, of pools the taps, of other layers
/// the values.
pub const fn max_work(file: usize, arena: u32) -> u64 {
    let work = (file as u64 + arena as u64).saturating_mul(WORK_PER_BYTE);
    if work < MAX_WORK { work } else { MAX_WORK }
}

/// Checks everything but the checksum: sections, tensors within the arena, every layer's geometry
/// and constants, texts, the recipe, golden vectors, the amount of work, and that the operators of the
/// set do.
///
/// # Errors
///
/// The first thing that is wrong.
#[inline(always)]
pub fn check(view: &View<'_>, set: Set) -> Result<(), FormatError> {
    let mut place = (Section::Tensors, 0);
    let checked = tensors(view, &mut place)
        .and_then(|()| layers(view, set, &mut place))
        .and_then(|()| rest(view, set, &mut place));
    checked.map_err(|problem| view.wrong(place.0, place.1, problem))
}

/// Where a check is: a section, and a byte of it.
type Place = (Section, usize);

/// That something is so, or else a problem.
#[inline(always)]
fn ensure(so: bool, problem: Problem) -> Result<(), Problem> {
    if so { Ok(()) } else { Err(problem) }
}

#[inline(always)]
fn tensors(view: &View<'_>, place: &mut Place) -> Result<(), Problem> {
    let arena = view.header().arena;
    let (tensors, rest) = view.section(Section::Tensors).as_chunks::<TENSOR_LEN>();
    let few = rest.is_empty() && tensors.len() <= usize::from(u16::MAX);
    ensure(few, Problem::Section)?;
    for bytes in tensors {
        let tensor = tensor_of(bytes);
        ensure(is_within(&tensor, arena), Problem::OutsideArena)?;
        ensure(!tensor.shape.is_empty(), Problem::Empty)?;
        place.1 += TENSOR_LEN;
    }
    Ok(())
}

/// What is no layer and no tensor.
#[inline(always)]
fn rest(view: &View<'_>, set: Set, place: &mut Place) -> Result<(), Problem> {
    let header = view.header();
    let (layers, labels) = (usize::from(header.layers), usize::from(header.labels));
    let mut texts = |section, count| {
        let checked = Texts::check(view.section(section), count);
        checked.map_err(|at| {
            *place = (section, at);
            Problem::Text
        })
    };
    texts(Section::Names, layers + 1)?;
    texts(Section::Labels, labels)?;
    let input = view.shape(header.input);
    let output = view.shape(header.output).len();
    *place = (Section::Labels, 0);
    ensure(labels <= output, Problem::Text)?;
    *place = (Section::Recipe, 0);
    let tables = match view.section(Section::Recipe) {
        [] => 0,
        bytes => recipe(bytes, set, input, place)?,
    };
    *place = (Section::InputTable, 0);
    let len = view.section(Section::InputTable).len();
    ensure(len == tables * 256, Problem::Section)?;
    *place = (Section::Golden, 0);
    let golden = Golden::len(layers, output);
    let whole = view.section(Section::Golden).len().is_multiple_of(golden);
    ensure(whole, Problem::Section)
}

/// How many tables a recipe takes.
#[inline(always)]
fn recipe(bytes: &[u8], set: Set, input: Shape, place: &mut Place) -> Result<usize, Problem> {
    let whole = bytes.len() == super::RECIPE_LEN;
    ensure(whole, Problem::Section)?;
    let recipe = parse_recipe(bytes, 0).map_err(|error| {
        place.1 = error.offset;
        error.problem
    })?;
    let (height, width) = (recipe.height.into(), recipe.width.into());
    let shape = Shape::new(height, width, recipe.channels() as u32);
    ensure(shape == input, Problem::Recipe)?;
    ensure(set.has_all(Set::of_recipe(&recipe)), Problem::Operator)?;
    Ok(recipe.channels())
}

/// Whether a tensor is; lengths that do not exist are no less than the longest that does.
fn is_within(tensor: &Tensor, arena: u32) -> bool {
    let end = (tensor.offset as usize).checked_add(tensor.shape.len());
    end.is_some_and(|end| end <= arena as usize)
}

#[inline(always)]
fn layers(view: &View<'_>, set: Set, place: &mut Place) -> Result<(), Problem> {
    let header = view.header();
    *place = (Section::Tensors, 0);
    let exists = |index| match usize::from(index) < view.tensor_count() {
        true => Ok(()),
        false => Err(view.no_tensor(index)),
    };
    exists(header.input)?;
    exists(header.output)?;
    let max = max_work(view.bytes().len(), header.arena);
    let mut work = 0;
    let bytes = view.section(Section::Layers);
    let mut rest = bytes;
    for _ in 0..header.layers {
        *place = (Section::Layers, bytes.len() - rest.len());
        let Some((layer, len)) = &view.layer(set, rest) else {
            let (at, problem) = view.why(set, rest);
            place.1 += at;
            return Err(problem);
        };
        let (more, there) = match layer {
            Layer::Conv(layer) => (conv(layer, set, header.arena)?, arch::has_conv(layer, set)),
            Layer::Pool(layer) => (pool(layer, set)?, arch::has_pool(layer, set)),
            Layer::Binary(layer) => (binary(layer)?, arch::has_binary(layer, set)),
            Layer::Table(layer) if set.has(Operator::Table) => (table(layer)?, true),
            Layer::Copy(layer) if set.has(Operator::Copy) => (copy(layer)?, true),
            Layer::Resize(layer) if set.has(Operator::Resize) => (resize(layer)?, true),
            _ => (0, false),
        };
        // Below 2^62 each, since tensors are within an arena and constants within a file.
        work += more;
        ensure(work <= max, Problem::Work)?;
        ensure(there, Problem::Operator)?;
        rest = rest.get(*len..).unwrap_or_default();
    }
    *place = (Section::Layers, 0);
    ensure(rest.is_empty(), Problem::Section)
}

/// The output of a window over an input, with other channels.
fn windowed(input: Shape, window: &crate::window::Window, channels: u32) -> Result<Shape, Problem> {
    match window.output(input.height, input.width) {
        Some([height, width]) => Ok(Shape::new(height, width, channels)),
        None => Err(Problem::Window),
    }
}

fn same(found: Shape, expected: Shape) -> Result<(), Problem> {
    ensure(found == expected, Problem::Shape)
}

fn conv(layer: &Conv<'_>, set: Set, arena: u32) -> Result<u64, Problem> {
    // Kernels take only what fits.
    if set.has(Operator::PlainConv) {
        let (input, output) = (layer.input.shape, layer.output.shape);
        let groups = |channels: u32| channels.checked_rem(layer.groups) == Some(0);
        if !groups(input.channels) || !groups(output.channels) {
            return Err(Problem::Groups);
        }
        same(output, windowed(input, &layer.window, output.channels)?)?;
    }
    let end = layer.scratch.offset.checked_add(layer.scratch.len);
    let within = end.is_some_and(|end| end <= arena);
    ensure(within, Problem::OutsideArena)?;
    let (multipliers, _) = layer.rounding.multipliers.as_chunks();
    let mut scales = multipliers.iter().map(|&bytes| u32::from_le_bytes(bytes));
    ensure(scales.all(is_scale), Problem::Scale)?;
    let (fixed, _) = layer.rounding.fixed.as_chunks();
    let neither = multipliers.is_empty() && fixed.is_empty();
    ensure(!neither, Problem::Scale)?;
    // Without multipliers, each channel has a factor.
    let least = i32::from(multipliers.is_empty());
    let mut fixed = fixed.iter().map(|&bytes| i32::from_le_bytes(bytes));
    ensure(fixed.all(|factor| factor >= least), Problem::Fixed)?;
    // So many weights are there, which is why they are counted right.
    let taps = Packing::taps(layer.kernel_shape());
    // Kernels that copy what they read put it into the scratch, at most once for a row of the output. A device has
    // a watchdog, and no flash for this.
    let copied = match cfg!(target_os = "none") {
        true => 0,
        false => u64::from(layer.output.shape.height) * u64::from(layer.scratch.len),
    };
    Ok(layer.output.shape.len() as u64 * taps as u64 + copied)
}

fn binary(layer: &Binary) -> Result<u64, Problem> {
    let output = layer.output.shape;
    same(layer.a.shape, output)?;
    if layer.b.shape != Shape::vector(output.channels) {
        same(layer.b.shape, output)?;
    }
    if let Some(BinaryFixed { factors, shift }) = layer.fixed {
        let fits = match layer.op {
            BinaryOp::Add | BinaryOp::Sub => factors.iter().all(|&factor| factor < 1 << 15),
            BinaryOp::Mul => factors[0] < 1 << 14 && factors[1] == 0,
        };
        if !fits || !(1..=30).contains(&shift) {
            return Err(Problem::Fixed);
        }
    }
    Ok(output.len() as u64)
}

fn table(layer: &Table<'_>) -> Result<u64, Problem> {
    same(layer.output.shape, layer.input.shape)?;
    Ok(layer.output.shape.len() as u64)
}

fn pool(layer: &Pool, set: Set) -> Result<u64, Problem> {
    let (input, output) = (layer.input.shape, layer.output.shape);
    if set.has(Operator::PlainPool) {
        same(output, windowed(input, &layer.window, input.channels)?)?;
    }
    if matches!(layer.kind, PoolKind::Average { fixed, .. } if fixed < 0) {
        return Err(Problem::Fixed);
    }
    Ok(output.len() as u64 * layer.window.taps() as u64)
}

fn copy(layer: &Copy<'_>) -> Result<u64, Problem> {
    let (input, output) = (layer.input.shape, layer.output.shape);
    let [row, column, channel] = layer.at;
    let fits =
        |(at, len, whole): (u32, u32, u32)| at.checked_add(len).is_some_and(|end| end <= whole);
    if ![
        (row, input.height, output.height),
        (column, input.width, output.width),
        (channel, input.channels, output.channels),
    ]
    .into_iter()
    .all(fits)
    {
        return Err(Problem::Shape);
    }
    Ok(output.len() as u64)
}

fn resize(layer: &Resize) -> Result<u64, Problem> {
    let (input, output) = (layer.input.shape, layer.output.shape);
    let [down, across] = layer.factors;
    let rows = u64::from(input.height) * u64::from(down);
    let columns = u64::from(input.width) * u64::from(across);
    if rows != output.height.into() || columns != output.width.into() {
        return Err(Problem::Shape);
    }
    same(
        output,
        Shape {
            channels: input.channels,
            ..output
        },
    )?;
    Ok(output.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::format;
    use std::string::ToString;
    use std::vec;

    use super::*;
    use crate::format::{Header, LayerRecord, NONE};
    use crate::testing::{Parts, every};

    /// Where each kind of layer is in [`Parts::every_layer`].
    const CONV: usize = 0;
    const GROUPED: usize = 1;
    const ADD: usize = 2;
    const SUB: usize = 3;
    const MAX: usize = 4;
    const AVERAGE: usize = 5;
    const CONCAT: usize = 7;
    const TABLE: usize = 8;
    const MUL: usize = 10;
    const RESIZE: usize = 11;

    fn problem(bytes: &[u8]) -> Option<FormatError> {
        View::new(bytes)
            .and_then(|view| check(&view, Set::EVERY))
            .err()
    }

    /// Changes one thing of a valid model, which is then refused for it.
    fn refused(expected: Problem, change: impl Fn(&mut Parts)) {
        let mut parts = Parts::every_layer();
        assert_eq!(problem(&parts.bytes()), None);
        change(&mut parts);
        let found = problem(&parts.bytes()).expect("it is accepted");
        assert_eq!(found.problem, expected, "{found}");
        assert!(found.offset < parts.bytes().len());
    }

    macro_rules! record {
        ($parts:expr, $index:expr, $kind:ident) => {
            match &mut $parts.layers[$index].1 {
                LayerRecord::$kind(record) => record,
                other => panic!("{other:?}"),
            }
        };
    }

    #[test]
    fn tensors_that_cannot_be() {
        refused(Problem::Empty, |parts| parts.tensors[3].shape.width = 0);
        refused(Problem::OutsideArena, |parts| {
            parts.tensors[3].offset = parts.arena - 1
        });
        refused(Problem::OutsideArena, |parts| {
            parts.tensors[3].offset = u32::MAX
        });
        refused(Problem::OutsideArena, |parts| {
            parts.tensors[3].shape = Shape::new(u32::MAX, u32::MAX, 0xff_ffff);
        });
        refused(Problem::OutsideArena, |parts| {
            parts.tensors[3].shape = Shape::new(1 << 16, 1 << 16, 1);
        });
        refused(Problem::OutsideArena, |parts| parts.arena -= 17);
        let count = Parts::every_layer().tensors.len();
        for index in [count as u16, u16::MAX] {
            let wrong = Problem::TensorIndex { index, count };
            refused(wrong, |parts| parts.input = index);
            refused(wrong, |parts| parts.output = index);
            refused(wrong, |parts| record!(parts, CONV, Conv).input = index);
            refused(wrong, |parts| record!(parts, CONV, Conv).output = index);
            refused(wrong, |parts| record!(parts, ADD, Binary).a = index);
            refused(wrong, |parts| record!(parts, ADD, Binary).b = index);
            refused(wrong, |parts| record!(parts, ADD, Binary).output = index);
            refused(wrong, |parts| record!(parts, TABLE, Table).input = index);
            refused(wrong, |parts| record!(parts, MAX, Pool).output = index);
            refused(wrong, |parts| record!(parts, CONCAT, Copy).input = index);
            refused(wrong, |parts| record!(parts, RESIZE, Resize).input = index);
        }
    }

    #[test]
    fn convolutions_that_cannot_be() {
        for groups in [0, 2, 3, u32::MAX] {
            refused(Problem::Groups, |parts| {
                record!(parts, CONV, Conv).groups = groups
            });
        }
        refused(Problem::Groups, |parts| {
            record!(parts, GROUPED, Conv).groups = 8
        });
        refused(Problem::Shape, |parts| {
            record!(parts, CONV, Conv).window.stride = [1, 2]
        });
        refused(Problem::Shape, |parts| {
            record!(parts, CONV, Conv).window.padding[3] = 2
        });
        refused(Problem::Window, |parts| {
            record!(parts, CONV, Conv).window.dilation = [9, 1]
        });
        refused(Problem::Window, |parts| {
            record!(parts, CONV, Conv).window.stride = [0, 1]
        });
        refused(Problem::Limits, |parts| {
            record!(parts, CONV, Conv).limits = [3, 2]
        });
        for scratch in [u32::MAX, 1 << 20] {
            refused(Problem::OutsideArena, |parts| {
                record!(parts, CONV, Conv).scratch.len = scratch
            });
            refused(Problem::OutsideArena, |parts| {
                record!(parts, CONV, Conv).scratch.offset = scratch;
            });
        }
        for at in [1 << 20, u32::MAX - 1, 2] {
            refused(Problem::Constant, |parts| {
                record!(parts, CONV, Conv).weights = at
            });
            refused(Problem::Constant, |parts| {
                record!(parts, CONV, Conv).bias = at
            });
            refused(Problem::Constant, |parts| {
                record!(parts, CONV, Conv).multipliers = at
            });
            refused(Problem::Constant, |parts| {
                record!(parts, CONV, Conv).fixed = at
            });
        }
        for at in [NONE, u32::MAX - 1] {
            refused(Problem::Constant, |parts| {
                record!(parts, CONV, Conv).weights = at
            });
        }
        refused(Problem::Constant, |parts| {
            record!(parts, GROUPED, Conv).weight_zero_points = parts.constants.len() as u32 - 3;
        });
        for scale in [0.0, -1.0, f32::NAN, f32::INFINITY] {
            refused(Problem::Scale, |parts| {
                let at = record!(parts, CONV, Conv).multipliers as usize + 12;
                parts.constants[at..at + 4].copy_from_slice(&scale.to_le_bytes());
            });
        }
        refused(Problem::Fixed, |parts| {
            let at = record!(parts, CONV, Conv).fixed as usize + 12;
            parts.constants[at..at + 4].copy_from_slice(&(-1i32).to_le_bytes());
        });
        // The last layer has no multipliers; its last channel loses its factor.
        refused(Problem::Fixed, |parts| {
            let last = parts.layers.len() - 1;
            assert_eq!(record!(parts, last, Conv).multipliers, NONE);
            let at = record!(parts, last, Conv).fixed as usize + 4 * 6;
            parts.constants[at..at + 4].fill(0);
        });
        refused(Problem::Scale, |parts| {
            let record = record!(parts, CONV, Conv);
            (record.multipliers, record.fixed) = (NONE, NONE);
        });
    }

    #[test]
    fn other_layers_that_cannot_be() {
        refused(Problem::Shape, |parts| record!(parts, ADD, Binary).a = 0);
        refused(Problem::Shape, |parts| record!(parts, ADD, Binary).b = 0);
        refused(Problem::Shape, |parts| {
            record!(parts, MUL, Binary).output = 0
        });
        for scale in [0.0, f32::NAN, f32::NEG_INFINITY, -2.0] {
            for index in 0..3 {
                refused(Problem::Scale, |parts| {
                    record!(parts, MUL, Binary).scales[index] = scale
                });
            }
        }
        for (factors, shift) in [([1 << 15, 0], 3), ([0, 1 << 15], 3), ([1, 1], 31)] {
            let fixed = Some(BinaryFixed { factors, shift });
            refused(Problem::Fixed, |parts| {
                record!(parts, SUB, Binary).fixed = fixed
            });
        }
        for factors in [[1 << 14, 0], [1, 1]] {
            let fixed = Some(BinaryFixed { factors, shift: 9 });
            refused(Problem::Fixed, |parts| {
                record!(parts, MUL, Binary).fixed = fixed
            });
        }
        refused(Problem::Shape, |parts| {
            record!(parts, TABLE, Table).output = 0
        });
        refused(Problem::Constant, |parts| {
            record!(parts, TABLE, Table).table = 1 << 20
        });
        refused(Problem::Constant, |parts| {
            record!(parts, TABLE, Table).table = NONE
        });
        refused(Problem::Shape, |parts| {
            record!(parts, MAX, Pool).window.kernel = [3, 2]
        });
        refused(Problem::Window, |parts| {
            record!(parts, MAX, Pool).window.kernel = [9, 2]
        });
        refused(Problem::Shape, |parts| record!(parts, MAX, Pool).input = 0);
        refused(Problem::Limits, |parts| {
            record!(parts, MAX, Pool).limits = [127, -128]
        });
        refused(Problem::Fixed, |parts| {
            record!(parts, AVERAGE, Pool).kind = PoolKind::Average {
                scales: [1.0; 2],
                count_include_pad: true,
                fixed: -1,
            };
        });
        for index in 0..2 {
            refused(Problem::Scale, |parts| {
                let mut scales = [1.0; 2];
                scales[index] = f32::NAN;
                record!(parts, AVERAGE, Pool).kind = PoolKind::Average {
                    scales,
                    count_include_pad: false,
                    fixed: 0,
                };
            });
        }
        for axis in 0..3 {
            for at in [6, u32::MAX] {
                refused(Problem::Shape, |parts| {
                    record!(parts, CONCAT, Copy).at[axis] = at
                });
            }
        }
        refused(Problem::Constant, |parts| {
            record!(parts, CONCAT, Copy).table = 1 << 20
        });
        for factors in [[1, 1], [2, 2], [0, 1], [u32::MAX, 1]] {
            refused(Problem::Shape, |parts| {
                record!(parts, RESIZE, Resize).factors = factors
            });
        }
        refused(Problem::Shape, |parts| {
            record!(parts, RESIZE, Resize).input = 0
        });
    }

    #[test]
    fn what_is_not_a_layer() {
        for scale in [0.0, f32::NAN, -1.0] {
            refused(Problem::Scale, |parts| parts.scales[0] = scale);
            refused(Problem::Scale, |parts| parts.scales[1] = scale);
        }
        refused(Problem::Text, |parts| parts.labels.push("one more"));
        refused(Problem::Recipe, |parts| {
            parts.recipe.as_mut().unwrap().width = 6
        });
        refused(Problem::Recipe, |parts| {
            parts.recipe.as_mut().unwrap().std[1] = 0.0
        });
        refused(Problem::Section, |parts| parts.recipe = None);
        refused(Problem::Section, |parts| parts.input_table.truncate(767));
        refused(Problem::Section, |parts| parts.input_table.clear());
        refused(Problem::Section, |parts| {
            parts.golden[0].sums.extend([0; 4])
        });
        let arena = super::super::MAX_ARENA + 1;
        refused(Problem::Arena { bytes: arena }, |parts| parts.arena = arena);
    }

    #[test]
    fn bytes_that_must_be_zero_or_few() {
        let bytes = Parts::every_layer().bytes();
        let header = Header::parse(&bytes).unwrap();
        let layers = header.span(Section::Layers).start;
        let names = header.span(Section::Names).start;
        let cases = [
            (layers, 0, Problem::LayerKind { kind: 0 }),
            (layers, 7, Problem::LayerKind { kind: 7 }),
            (layers + 1, 99, Problem::Packing { id: 99 }),
            (layers + 120 + 1, 3, Problem::Choice { id: 3 }),
            (layers + 120 + 11, 1, Problem::Reserved),
            (layers + 120 + 24, 1, Problem::Reserved),
            (layers + 176 + 1, 3, Problem::Choice { id: 3 }),
            (layers + 176 + 28, 1, Problem::Reserved),
            (names, 10, Problem::Text),
            (names + 2, 0xff, Problem::Text),
            (32, 11, Problem::Section),
            (34, 1, Problem::Text),
            (33, 1, Problem::Short { needed: 0 }),
        ];
        for (at, byte, expected) in cases {
            let mut bytes = bytes.clone();
            bytes[at] = byte;
            let found = problem(&bytes).expect("it is accepted").problem;
            match (found, expected) {
                (Problem::Short { .. }, Problem::Short { .. }) => {}
                _ => assert_eq!(found, expected, "{at}"),
            }
        }
    }

    #[test]
    fn a_file_that_is_cut_is_refused_and_one_with_a_tail_is_not() {
        let bytes = Parts::every_layer().bytes();
        for len in (0..bytes.len()).step_by(every(300)) {
            let found = problem(&bytes[..len]).unwrap();
            assert!(matches!(found.problem, Problem::Short { needed } if needed > len));
            assert!(
                found
                    .to_string()
                    .starts_with(&format!("at byte {}", found.offset))
            );
        }
        let tail = [&bytes[..], &[0xff; 100]].concat();
        assert_eq!(problem(&tail), None);
    }

    /// A few bytes that ask for much: a pool of a large window, over and over.
    #[test]
    fn work_is_bounded() {
        let mut parts = Parts::every_layer();
        let side = 1000;
        parts.arena = 1 << 24;
        parts.tensors[0].shape = Shape::new(side, side, 1);
        parts.tensors[1].shape = Shape::new(side, side, 1);
        let pool = record!(parts, MAX, Pool);
        (pool.input, pool.output) = (0, 1);
        pool.window.kernel = [501, 501];
        pool.window.stride = [1, 1];
        pool.window.padding = [250; 4];
        let pool = parts.layers[MAX];
        parts.recipe = None;
        parts.input_table.clear();
        parts.labels.clear();
        parts.golden.clear();
        (parts.input, parts.output) = (0, 1);
        parts.layers = vec![pool];
        assert_eq!(problem(&parts.bytes()), None);
        parts.layers = vec![pool; 2];
        let found = problem(&parts.bytes()).unwrap();
        assert_eq!(found.problem, Problem::Work);
        let second = Header::parse(&parts.bytes())
            .unwrap()
            .span(Section::Layers)
            .start
            + 40;
        assert_eq!(found.offset, second);
    }

    /// A tall convolution with a large scratch, which may be filled for each row of the output.
    #[test]
    fn what_is_copied_is_work_too() {
        let mut parts = Parts::every_layer();
        parts.arena = 1 << 24;
        let conv = parts.layers[0];
        parts.recipe = None;
        parts.input_table.clear();
        parts.labels.clear();
        parts.golden.clear();
        (parts.input, parts.output) = (0, 1);
        parts.layers = vec![conv];
        for tensor in &mut parts.tensors[..2] {
            tensor.shape.height = 20_000;
        }
        for (len, found) in [(1 << 23, None), (1 << 24, Some(Problem::Work))] {
            let scratch = &mut record!(parts, 0, Conv).scratch;
            (scratch.offset, scratch.len) = (0, len);
            assert_eq!(problem(&parts.bytes()).map(|error| error.problem), found);
        }
    }
}
