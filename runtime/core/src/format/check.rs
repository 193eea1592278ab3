//! The check of a whole file, after which nothing about it is in doubt.

use super::fields::Fields;
use super::view::View;
use super::{FormatError, Problem, Section, Span, TENSOR_LEN, Texts, parse_recipe};
use crate::layer::{
    Binary, BinaryFixed, BinaryOp, Conv, Copy, Layer, Pool, PoolKind, Resize, Table,
};
use crate::tensor::{Shape, Tensor};

/// What a model may ask for in one inference for each byte of its file and of its arena. Real models
/// ask for some 100 multiply-accumulates.
pub const WORK_PER_BYTE: u64 = 1 << 14;

/// The most work that a model of `file` bytes with an arena of `arena` bytes may ask for: of
/// convolutions the multiply-accumulates, of pools the taps, of other layers the values.
pub const fn max_work(file: usize, arena: u32) -> u64 {
    (file as u64 + arena as u64).saturating_mul(WORK_PER_BYTE)
}

/// Checks everything but the checksum: sections, tensors within the arena, every layer's geometry
/// and constants, texts, the recipe, golden vectors, the amount of work.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn check<'m>(view: &View<'m>) -> Result<(), FormatError> {
    let header = view.header();
    let span = |section| header.span(section);
    let error = |section, problem| {
        let offset = span(section).start;
        FormatError { offset, problem }
    };
    let Span { start, len } = span(Section::Tensors);
    if len % TENSOR_LEN != 0 || len / TENSOR_LEN > usize::from(u16::MAX) {
        return Err(error(Section::Tensors, Problem::Section));
    }
    for index in 0..view.tensor_count() as u16 {
        let at = start + usize::from(index) * TENSOR_LEN;
        check_tensor(&view.tensor(index)?, header.arena).map_err(|problem| FormatError {
            offset: at,
            problem,
        })?;
    }
    let input = view.tensor(header.input)?;
    let output = view.tensor(header.output)?;
    check_layers(view)?;

    let names = usize::from(header.layers) + 1;
    Texts::check(
        view.section(Section::Names),
        span(Section::Names).start,
        names,
    )?;
    let labels = usize::from(header.labels);
    Texts::check(
        view.section(Section::Labels),
        span(Section::Labels).start,
        labels,
    )?;
    if labels != 0 && labels != output.shape.len() {
        return Err(error(Section::Labels, Problem::Text));
    }
    check_recipe(view, input.shape)?;
    let [_, golden, _] = view.golden_lens();
    if span(Section::Golden).len % golden.max(1) != 0 {
        return Err(error(Section::Golden, Problem::Section));
    }
    Ok(())
}

fn check_recipe(view: &View<'_>, input: Shape) -> Result<(), FormatError> {
    let span = view.header().span(Section::Recipe);
    let table = view.header().span(Section::InputTable);
    let fields = Fields::new(view.section(Section::Recipe), span.start);
    let tables = match span.len {
        0 => 0,
        super::RECIPE_LEN => {
            let recipe = parse_recipe(view.section(Section::Recipe), span.start)?;
            let (height, width) = (recipe.height.into(), recipe.width.into());
            let shape = Shape::new(height, width, recipe.channels() as u32);
            if shape != input {
                return Err(fields.error(0, Problem::Recipe));
            }
            recipe.channels()
        }
        _ => return Err(fields.error(0, Problem::Section)),
    };
    if table.len != tables * 256 {
        let offset = table.start;
        let problem = Problem::Section;
        return Err(FormatError { offset, problem });
    }
    Ok(())
}

/// Bytes of a tensor, where usize may be too small.
fn len(shape: Shape) -> u64 {
    let pixels = u64::from(shape.height) * u64::from(shape.width);
    pixels.saturating_mul(shape.channels.into())
}

fn check_tensor(tensor: &Tensor, arena: u32) -> Result<(), Problem> {
    if tensor.shape.is_empty() {
        return Err(Problem::Empty);
    }
    let end = u64::from(tensor.offset).saturating_add(len(tensor.shape));
    match end <= arena.into() {
        true => Ok(()),
        false => Err(Problem::OutsideArena),
    }
}

fn check_layers(view: &View<'_>) -> Result<(), FormatError> {
    let header = view.header();
    let max = max_work(view.bytes().len(), header.arena);
    let mut work = 0u64;
    let mut layers = view.layers();
    for layer in layers.by_ref() {
        let (offset, layer) = layer?;
        let error = |problem| FormatError { offset, problem };
        let more = match &layer {
            Layer::Conv(layer) => conv(layer, header.arena),
            Layer::Binary(layer) => binary(layer),
            Layer::Table(layer) => table(layer),
            Layer::Pool(layer) => pool(layer),
            Layer::Copy(layer) => copy(layer),
            Layer::Resize(layer) => resize(layer),
        }
        .map_err(error)?;
        work = work.saturating_add(more);
        if work > max {
            return Err(error(Problem::Work));
        }
    }
    if layers.left() != 0 || layers.rest() != 0 {
        let offset = header.span(Section::Layers).start;
        let problem = Problem::Section;
        return Err(FormatError { offset, problem });
    }
    Ok(())
}

/// The output of a window over an input, with other channels.
fn windowed(input: Shape, window: &crate::window::Window, channels: u32) -> Result<Shape, Problem> {
    match window.output(input.height, input.width) {
        Some([height, width]) => Ok(Shape::new(height, width, channels)),
        None => Err(Problem::Window),
    }
}

fn same(found: Shape, expected: Shape) -> Result<(), Problem> {
    match found == expected {
        true => Ok(()),
        false => Err(Problem::Shape),
    }
}

fn conv(layer: &Conv<'_>, arena: u32) -> Result<u64, Problem> {
    let (input, output) = (layer.input.shape, layer.output.shape);
    let groups = |channels: u32| channels.checked_rem(layer.groups) == Some(0);
    if !groups(input.channels) || !groups(output.channels) {
        return Err(Problem::Groups);
    }
    same(output, windowed(input, &layer.window, output.channels)?)?;
    let end = u64::from(layer.scratch.offset) + u64::from(layer.scratch.len);
    if end > arena.into() {
        return Err(Problem::OutsideArena);
    }
    let (multipliers, _) = layer.rounding.multipliers.as_chunks();
    let mut multipliers = multipliers.iter().map(|&bytes| f32::from_le_bytes(bytes));
    if !multipliers.all(|scale| scale.is_finite() && scale > 0.0) {
        return Err(Problem::Scale);
    }
    let (fixed, _) = layer.rounding.fixed.as_chunks();
    if fixed.iter().any(|&bytes| i32::from_le_bytes(bytes) < 0) {
        return Err(Problem::Fixed);
    }
    Ok(layer.macs())
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
    Ok(len(output))
}

fn table(layer: &Table<'_>) -> Result<u64, Problem> {
    same(layer.output.shape, layer.input.shape)?;
    Ok(len(layer.output.shape))
}

fn pool(layer: &Pool) -> Result<u64, Problem> {
    let (input, output) = (layer.input.shape, layer.output.shape);
    same(output, windowed(input, &layer.window, input.channels)?)?;
    if matches!(layer.kind, PoolKind::Average { fixed, .. } if fixed < 0) {
        return Err(Problem::Fixed);
    }
    Ok(len(output).saturating_mul(layer.window.taps() as u64))
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
    Ok(len(output))
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
    Ok(len(output))
}
