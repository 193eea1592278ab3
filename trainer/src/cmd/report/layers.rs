//! What a compiled model's layers cost, and where in the arena they write.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use kiln_core::Model;
use kiln_core::layer::Layer;
use kiln_core::tensor::Tensor;
use kiln_link::cut;
use kiln_report::{Block, BlockKind, Costs, LayerCost, Memory};
use kiln_runtime::compile::describe;
use kiln_runtime::report::Report;
use serde::Deserialize;

/// What `kiln device profile --json` prints, as far as it is needed here.
#[derive(Clone, Debug, Deserialize)]
pub struct Profile {
    board: String,
    layers: Vec<Measured>,
}

impl Profile {
    /// Whether it has this model's layers, and no others.
    pub fn is_of(&self, model: &Model<'_>) -> bool {
        let measured: BTreeSet<&str> = self.layers.iter().map(|layer| &layer.name[..]).collect();
        let names = model.layers().map(|(name, _)| cut(name));
        measured == names.collect()
    }
}

#[derive(Clone, Debug, Deserialize)]
struct Measured {
    name: String,
    milliseconds: f64,
    /// Where the board counts them; time is derived from them there.
    instructions: Option<u64>,
}

/// Bytes of a layer's weights and other constants.
pub fn constants(layer: &Layer<'_>) -> u64 {
    let bytes = match layer {
        Layer::Conv(conv) => {
            conv.weights.len()
                + conv.weight_zero_points.len()
                + conv.bias.len()
                + conv.rounding.multipliers.len()
                + conv.rounding.fixed.len()
        }
        Layer::Table(table) => table.table.len(),
        Layer::Copy(copy) => copy.table.len(),
        Layer::Binary(_) | Layer::Pool(_) | Layer::Resize(_) => 0,
    };
    bytes as u64
}

/// Whether what `kiln quantize` wrote is of this model: most layers that both have are quantized alike. (Those that
/// the compiler put together keep the name of one and the zero point of another.)
pub fn is_of(model: &Model<'_>, found: &Report) -> bool {
    let points: HashMap<&str, i8> = found
        .layers
        .iter()
        .map(|layer| (&layer.name[..], layer.zero_point))
        .collect();
    let both = model
        .layers()
        .filter_map(|(name, layer)| Some((points.get(name)?, layer.output().zero_point)));
    let (mut alike, mut all) = (0, 0);
    for (point, compiled) in both {
        all += 1;
        alike += usize::from(*point == compiled);
    }
    alike * 2 > all
}

/// Multiply-accumulates, constants and, where they were measured, instructions or time.
pub fn costs(model: &Model<'_>, profile: Option<&Profile>) -> Costs {
    let measured = profile
        .map(|profile| &profile.layers[..])
        .unwrap_or_default();
    let measured: HashMap<&str, &Measured> = measured
        .iter()
        .map(|layer| (&layer.name[..], layer))
        .collect();
    let layer = |(name, layer): (&str, Layer<'_>)| {
        let shape = layer.output().shape;
        let found = measured.get(cut(name));
        LayerCost {
            name: name.to_owned(),
            op: describe(&layer).0.to_owned(),
            output: format!("{}×{}×{}", shape.height, shape.width, shape.channels),
            macs: Some(layer.macs()),
            constants: Some(constants(&layer)),
            instructions: found.and_then(|found| found.instructions),
            // Where instructions are counted, time is only derived from them.
            milliseconds: found
                .filter(|found| found.instructions.is_none())
                .map(|found| found.milliseconds),
        }
    };
    let layers: Vec<LayerCost> = model.layers().map(layer).collect();
    Costs {
        device: profile
            .map(|profile| profile.board.clone())
            .unwrap_or_default(),
        layers,
    }
}

fn place(tensor: &Tensor) -> Range<usize> {
    let start = tensor.offset as usize;
    start..start.saturating_add(tensor.shape.len())
}

/// What a layer reads.
fn inputs(layer: &Layer<'_>) -> Vec<Tensor> {
    match layer {
        Layer::Conv(layer) => vec![layer.input],
        Layer::Binary(layer) => vec![layer.a, layer.b],
        Layer::Table(layer) => vec![layer.input],
        Layer::Pool(layer) => vec![layer.input],
        Layer::Copy(layer) => vec![layer.input],
        Layer::Resize(layer) => vec![layer.input],
    }
}

/// What lies where in the arena, and during which layers it is needed. The first step writes the input.
pub fn memory(model: &Model<'_>) -> Memory {
    let mut blocks = vec![block("input", BlockKind::Input, &place(&model.input()), 0)];
    let mut steps = vec!["input".to_owned()];
    for (name, layer) in model.layers() {
        let step = steps.len();
        for input in inputs(&layer) {
            needed(&mut blocks, place(&input), step);
        }
        let output = place(&layer.output());
        let whole = |block: &Block| {
            block.kind == BlockKind::Activation
                && (block.offset..block.offset + block.bytes) == output
        };
        match (&layer, blocks.iter().rposition(whole)) {
            // One of several that write parts of one tensor.
            (Layer::Copy(copy), Some(at)) if copy.fill.is_none() => blocks[at].last = step,
            _ => blocks.push(block(name, BlockKind::Activation, &output, step)),
        }
        if let Layer::Conv(conv) = &layer
            && conv.scratch.len > 0
        {
            let start = conv.scratch.offset as usize;
            let scratch = start..start + conv.scratch.len as usize;
            blocks.push(block(name, BlockKind::Scratch, &scratch, step));
        }
        steps.push(name.to_owned());
    }
    let logits = place(&model.output());
    needed(&mut blocks, logits.clone(), steps.len() - 1);
    let last =
        |block: &&mut Block| block.kind == BlockKind::Activation && block.offset == logits.start;
    if let Some(block) = blocks.iter_mut().rev().find(last) {
        block.kind = BlockKind::Output;
    }
    Memory {
        arena: model.arena_bytes(),
        target: model.target().name().to_owned(),
        steps,
        blocks,
    }
}

fn block(name: &str, kind: BlockKind, place: &Range<usize>, step: usize) -> Block {
    Block {
        name: name.to_owned(),
        kind,
        offset: place.start,
        bytes: place.len(),
        first: step,
        last: step,
    }
}

/// The blocks that wrote these bytes last are needed at `step`.
fn needed(blocks: &mut [Block], bytes: Range<usize>, step: usize) {
    let mut open = vec![bytes];
    let tensors = blocks.iter_mut().rev();
    for block in tensors.filter(|block| block.kind != BlockKind::Scratch) {
        let (start, end) = (block.offset, block.offset + block.bytes);
        let mut rest = Vec::new();
        for part in open {
            if part.start >= end || part.end <= start {
                rest.push(part);
                continue;
            }
            block.last = step;
            rest.extend(
                [part.start..start, end..part.end]
                    .into_iter()
                    .filter(|r| !r.is_empty()),
            );
        }
        open = rest;
        if open.is_empty() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use kiln_runtime::compile::{Options, compile};
    use kiln_runtime::testing::random_graph;

    use super::*;

    #[test]
    fn the_readers_of_a_tensor_are_found_behind_what_was_written_over_it() {
        let activation = |offset, bytes, step| {
            block("t", BlockKind::Activation, &(offset..offset + bytes), step)
        };
        let mut blocks = vec![
            activation(0, 100, 0),
            activation(0, 40, 1),
            activation(60, 10, 2),
        ];
        needed(&mut blocks, 0..30, 3);
        assert_eq!(blocks.iter().map(|b| b.last).collect::<Vec<_>>(), [0, 3, 2]);
        needed(&mut blocks, 30..65, 4);
        assert_eq!(blocks.iter().map(|b| b.last).collect::<Vec<_>>(), [4, 4, 4]);
    }

    #[test]
    fn plans_of_random_models_stay_in_their_arena() {
        for seed in 0..20 {
            let graph = random_graph(seed);
            let compiled = compile(&graph, &Options::default()).unwrap();
            let model = Model::new(&compiled.bytes).unwrap();
            let found = memory(&model);
            assert_eq!(found.steps.len(), compiled.report.layers.len() + 1);
            let ends = found.blocks.iter().map(|block| block.offset + block.bytes);
            assert!(ends.max().unwrap() <= compiled.report.arena, "seed {seed}");
            for layer in &compiled.report.layers {
                let here =
                    |block: &Block| (block.offset, block.bytes) == (layer.offset, layer.bytes);
                assert!(found.blocks.iter().any(here), "seed {seed}: {}", layer.name);
            }
            let outputs = found.blocks.iter().filter(|b| b.kind == BlockKind::Output);
            let [output] = outputs.collect::<Vec<_>>()[..] else {
                panic!("seed {seed}: {found:?}");
            };
            assert_eq!(output.last, found.steps.len() - 1);
            let costs = costs(&model, None);
            let macs: u64 = costs.layers.iter().filter_map(|layer| layer.macs).sum();
            assert_eq!(macs, compiled.report.macs);
        }
    }
}
