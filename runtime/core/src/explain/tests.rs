use std::string::ToString;
use std::vec;
use std::vec::Vec;

use super::*;
use crate::format::{LayerRecord, NONE, PoolRecord};
use crate::packing::Packing;
use crate::testing::{Parts, Random, trials};
use crate::window::Window;

/// Weights of 21 classes and 9 channels, and their zero points.
fn linear() -> [Vec<u8>; 2] {
    [Random(4).bytes(21 * 9), Random(5).bytes(21)]
}

/// The parts of a model whose activation of 3×3 pixels and 9 channels, put together from two, is
/// averaged and goes to a linear layer with weights in such an order.
fn parts(packing: Packing, zero_points: bool) -> Parts {
    let mut parts = Parts::every_layer();
    parts.golden.clear();
    parts.labels.clear();
    // All up to the concatenation.
    let last = parts.layers.iter().rposition(|(name, _)| *name == "concat");
    parts.layers.truncate(last.unwrap() + 1);
    let Some((_, LayerRecord::Copy(copy))) = parts.layers.last() else {
        panic!("a copy");
    };
    let features = copy.output;
    let pooled = parts.tensor([1, 1, 9], -7);
    let pool = PoolRecord {
        kind: PoolKind::Average {
            scales: [0.05, 0.02],
            count_include_pad: false,
            fixed: 0,
        },
        input: features,
        output: pooled,
        window: Window {
            kernel: [3, 3],
            ..Window::default()
        },
        limits: [-128, 127],
    };
    parts.layers.push(("pool", LayerRecord::Pool(pool)));
    parts.output = parts.conv(&mut Random(3), pooled, 21, Window::default(), 1);
    parts.arena += 16;
    let [weights, zeros] = linear();
    let weights: Vec<i8> = weights.iter().map(|&weight| weight as i8).collect();
    let bias: Vec<i32> = (0..21).collect();
    let Some((_, LayerRecord::Conv(mut linear))) = parts.layers.last().copied() else {
        panic!("a convolution");
    };
    let shape = crate::packing::KernelShape {
        out_channels: 21,
        rows: 1,
        columns: 1,
        in_channels: 9,
        groups: 1,
    };
    let mut packed = vec![0; packing.len(shape)];
    packing.pack(shape, &weights, &bias, &mut packed);
    linear.packing = packing;
    linear.weights = parts.constant(&packed);
    linear.bias = parts.constant(&crate::testing::words(&bias));
    linear.weight_zero_points = if zero_points {
        parts.constant(&zeros)
    } else {
        NONE
    };
    let at = parts.layers.len() - 1;
    parts.layers[at].1 = LayerRecord::Conv(linear);
    parts
}

/// Brute force: the activation from the plain tensors that a run shows, the weights as they were
/// before they were packed.
#[test]
fn maps_are_the_sum_over_channels_in_every_packing() {
    let [weights, zeros] = linear();
    for (packing, zero_points) in [
        (Packing::Plain, true),
        (Packing::Plain, false),
        (Packing::Blocks, false),
        (Packing::Quads, false),
        (Packing::Twos, false),
    ] {
        let parts = parts(packing, zero_points);
        let bytes = parts.bytes();
        let model = Model::new(&bytes).unwrap();
        let maps = Maps::of(&model).unwrap();
        assert_eq!((maps.shape(), maps.classes()), (Shape::new(3, 3, 9), 21));
        let mut arena = vec![0x5a; model.arena_bytes()];
        let input = Random(9).bytes(model.input().shape.len());
        model.input_mut(&mut arena).unwrap().copy_from_slice(&input);
        let mut features = vec![0; 81];
        let output = maps.run(&model, &mut arena, &mut features).unwrap();
        let logits = output.values().to_vec();

        let mut again = vec![0x33; model.arena_bytes()];
        model.input_mut(&mut again).unwrap().copy_from_slice(&input);
        let mut seen = Vec::new();
        let concat = model.layer_count() - 3;
        let mut observe = |index: usize, _: &Layer<'_>, output: &[u8]| {
            if index == concat {
                seen.extend_from_slice(output);
            }
        };
        let output = model.run_with(&mut again, &mut observe).unwrap();
        assert_eq!(output.values(), logits);
        assert_eq!(features, seen);

        for class in 0..21 {
            let mut map = [77; 9];
            maps.map(&features, class, &mut map).unwrap();
            for (pixel, &value) in map.iter().enumerate() {
                let mut sum = 0;
                for channel in 0..9 {
                    let mut weight = i32::from(weights[class * 9 + channel] as i8);
                    if zero_points {
                        weight -= i32::from(zeros[class] as i8);
                    }
                    sum += weight * (i32::from(seen[pixel * 9 + channel] as i8) - 3);
                }
                assert_eq!(value, sum, "{packing:?} class {class} pixel {pixel}");
            }
        }
    }
}

/// Runs the model over a random input, and gives the map of a class and the logits.
fn mapped(model: &Model<'_>, arena: &mut [u8], class: usize) -> (Vec<i32>, Vec<u8>) {
    let maps = Maps::of(model).unwrap();
    let input = Random(9).bytes(model.input().shape.len());
    model.input_mut(arena).unwrap().copy_from_slice(&input);
    let mut features = vec![0; maps.shape().len()];
    let output = maps.run(model, arena, &mut features).unwrap();
    let logits = output.values().to_vec();
    let mut map = vec![0; maps.shape().pixels()];
    maps.map(&features, class, &mut map).unwrap();
    (map, logits)
}

#[test]
fn levels_are_the_maps_over_the_activation_and_leave_the_logits() {
    for packing in [Packing::Plain, Packing::Blocks, Packing::Quads] {
        let bytes = parts(packing, false).bytes();
        let model = Model::new(&bytes).unwrap();
        let maps = Maps::of(&model).unwrap();
        let mut arena = vec![0; model.arena_bytes()];
        for class in 0..21 {
            let (map, logits) = mapped(&model, &mut arena, class);
            let most = map.iter().copied().max().unwrap_or(0).max(1);
            let expected: Vec<u8> = map
                .iter()
                .map(|&value| (value.max(0) * 255 / most) as u8)
                .collect();
            let levels = maps.levels(&mut arena, class).unwrap();
            assert_eq!(levels, expected, "{packing:?} {class}");
            assert!(expected.contains(&255) || map.iter().all(|&value| value <= 0));
            let output = model.output();
            let output = &arena[output.offset as usize..][..output.shape.len()];
            assert_eq!(output, logits);
        }
        assert_eq!(maps.levels(&mut arena, 21), None);
        assert_eq!(maps.levels(&mut [0; 3], 0), None);
    }
}

#[test]
fn an_activation_that_is_written_over_has_no_levels() {
    let good = parts(Packing::Plain, false);
    let at = good.layers.len() - 2;
    let (LayerRecord::Pool(pool), LayerRecord::Conv(linear)) =
        (good.layers[at].1, good.layers[at + 1].1)
    else {
        panic!("a pool and a linear layer");
    };
    let levels = |parts: &Parts| {
        let bytes = parts.bytes();
        let model = Model::new(&bytes).unwrap();
        let mut arena = vec![0; model.arena_bytes()];
        let maps = Maps::of(&model).unwrap();
        maps.levels(&mut arena, 0).is_some()
    };
    assert!(levels(&good));
    let features = good.tensors[usize::from(pool.input)];
    let end = features.offset + features.shape.len() as u32;
    for tensor in [pool.output, linear.output].map(usize::from) {
        for (offset, stays) in [(end - 1, false), (end, true)] {
            let mut parts = good.clone();
            parts.tensors[tensor].offset = offset;
            parts.arena += 100;
            assert_eq!(levels(&parts), stays, "tensor {tensor} at {offset}");
        }
    }
}

#[test]
fn a_level_is_a_share_of_255() {
    let cases = [
        (0, 0, 0),
        (-7, 0, 0),
        (-7, 9, 0),
        (9, 9, 255),
        (3, 9, 85),
        (i32::MAX, i32::MAX, 255),
        (i32::MAX / 2, i32::MAX, 127),
        (1 << 23, 1 << 24, 127),
    ];
    for (value, most, expected) in cases {
        assert_eq!(level(value, most), expected, "{value} of {most}");
    }
}

/// Files with bytes changed at random: what is still a model has maps or has none, and nothing panics.
#[test]
fn mutated_models_never_panic() {
    let whole = parts(Packing::Blocks, false).bytes();
    let mut random = Random(8);
    let mut arena = vec![0; 1 << 16];
    let mut mapped = 0;
    for _ in 0..trials(20_000) {
        let mut bytes = whole.clone();
        for _ in 0..1 + random.below(2) {
            let at = random.below(bytes.len() as u64) as usize;
            bytes[at] = random.i8() as u8;
        }
        let Ok(model) = Model::new(&bytes) else {
            continue;
        };
        let small = model.arena_bytes() <= arena.len();
        let Some(maps) = Maps::of(&model).filter(|_| small) else {
            continue;
        };
        let mut features = vec![0; maps.shape().len()];
        let mut map = vec![0; maps.shape().pixels()];
        maps.run(&model, &mut arena, &mut features).unwrap();
        for class in 0..maps.classes() {
            maps.map(&features, class, &mut map).unwrap();
        }
        let _ = maps.levels(&mut arena, 0);
        mapped += 1;
    }
    assert!(cfg!(miri) || mapped > 5000, "only {mapped} had maps");
}

#[test]
fn other_ends_have_no_maps() {
    let every = Parts::every_layer();
    assert_eq!(Maps::of(&Model::new(&every.bytes()).unwrap()), None);
    let mut parts = parts(Packing::Plain, false);
    let has_maps = |parts: &Parts| Maps::of(&Model::new(&parts.bytes()).unwrap()).is_some();
    assert!(has_maps(&parts));
    let at = parts.layers.len() - 2;
    let good = parts.clone();
    if let LayerRecord::Pool(pool) = &mut parts.layers[at].1 {
        pool.kind = PoolKind::Max;
    }
    assert!(!has_maps(&parts));
    let mut parts = good.clone();
    parts.conv(&mut Random(6), good.output, 2, Window::default(), 1);
    assert!(!has_maps(&parts));
    parts.output += 1;
    assert!(!has_maps(&parts));
    // A file of one layer.
    let tiny: &[u8] = include_bytes!("../../tests/tiny.kiln");
    assert_eq!(Maps::of(&Model::new(tiny).unwrap()), None);
}

#[test]
fn buffers_of_another_length_and_classes_that_are_none_are_refused() {
    let bytes = parts(Packing::Quads, false).bytes();
    let model = Model::new(&bytes).unwrap();
    let maps = Maps::of(&model).unwrap();
    let mut arena = vec![0; model.arena_bytes()];
    let needed = 81;
    for len in [0, 80, 82] {
        let error = maps.run(&model, &mut arena, &mut vec![0; len]);
        assert_eq!(error, Err(ExplainError::Features { needed }));
        let error = maps.map(&vec![0; len], 0, &mut [0; 9]);
        assert_eq!(error, Err(ExplainError::Features { needed }));
    }
    let error = maps.map(&[0; 81], 0, &mut [0; 8]).unwrap_err();
    assert_eq!(error, ExplainError::Map { needed: 9 });
    let error = maps.map(&[0; 81], 21, &mut [0; 9]).unwrap_err();
    assert_eq!(error, ExplainError::Class { classes: 21 });
    assert!(error.to_string().contains("below 21"));
    let error = maps.run(&model, &mut arena[1..], &mut [0; 81]);
    let needed = model.arena_bytes();
    assert_eq!(error, Err(RunError::Arena { needed }.into()));
}
