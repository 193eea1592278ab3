//! Networks that split, slice and shuffle channels.

use crate::graph::{Axis, Graph, Op};
use crate::load::load;
use crate::load::testing::*;

/// How often a graph has each: convolutions, Concats, and convolutions that do nothing but move channels.
fn counts(graph: &Graph) -> [usize; 3] {
    let count = |is: &dyn Fn(&Op) -> bool| graph.nodes.iter().filter(|node| is(&node.op)).count();
    let moves = |op: &Op| match op {
        Op::Conv(conv) => {
            conv.groups == 1
                && conv
                    .weights
                    .iter()
                    .all(|weight| *weight == 0.0 || *weight == 1.0)
        }
        _ => false,
    };
    [
        count(&|op| matches!(op, Op::Conv(_))),
        count(&|op| matches!(op, Op::Concat(Axis::Channels))),
        count(&moves),
    ]
}

/// `x` of 8 channels, convolved to so many in `c`.
fn start(channels: usize) -> Model {
    Model::new(13, &[1, 8, 5, 4])
        .random("w", &[channels, 8, 1, 1])
        .random("b", &[channels])
        .node("Conv", "x w b", "a", &[])
        .node("Relu", "a", "c", &[])
}

impl Model {
    /// A 1×1 convolution and a Relu.
    fn mix(self, input: &str, output: &str, from: usize, to: usize) -> Self {
        let [weights, conv] = [format!("{output}w"), format!("{output}c")];
        self.random(&weights, &[to, from, 1, 1])
            .node("Conv", &format!("{input} {weights}"), &conv, &[])
            .node("Relu", &conv, output, &[])
    }

    /// A 3×3 convolution of each channel.
    fn depthwise(self, input: &str, output: &str, channels: usize) -> Self {
        let weights = format!("{output}w");
        self.random(&weights, &[channels, 1, 3, 3]).node(
            "Conv",
            &format!("{input} {weights}"),
            output,
            &[("pads", Is(&[1; 4])), ("group", I(channels as i64))],
        )
    }

    /// A shuffle of `input`'s channels in two groups, as torchvision has it.
    fn shuffle(self, input: &str, output: &str, channels: i64) -> Self {
        let names = ["s1", "t", "s2"].map(|name| format!("{output}{name}"));
        let [taken, turned, together] = &names;
        self.ints(&format!("{taken}s"), &[1, 2, channels / 2, 5, 4])
            .ints(&format!("{together}s"), &[1, -1, 5, 4])
            .node("Reshape", &format!("{input} {taken}s"), taken, &[])
            .node(
                "Transpose",
                taken,
                turned,
                &[("perm", Is(&[0, 2, 1, 3, 4]))],
            )
            .node("Reshape", &format!("{turned} {together}s"), output, &[])
    }
}

/// Units of ShuffleNet V2: half of the channels pass, half are convolved, and all are shuffled.
fn shuffled(units: usize) -> Model {
    let mut model = start(16);
    let mut last = "c".to_owned();
    for unit in 0..units {
        let name = |name: &str| format!("u{unit}{name}");
        let [left, right, one, two, three] = ["l", "r", "1", "2", "3"].map(name);
        let [joined, next] = ["j", "n"].map(name);
        model = model
            .node(
                "Split",
                &last,
                &format!("{left} {right}"),
                &[("axis", I(1))],
            )
            .mix(&right, &one, 8, 8)
            .depthwise(&one, &two, 8)
            .mix(&two, &three, 8, 8)
            .node(
                "Concat",
                &format!("{left} {three}"),
                &joined,
                &[("axis", I(1))],
            )
            .shuffle(&joined, &next, 16);
        last = next;
    }
    model.depthwise(&last, "d", 16).mix("d", "y", 16, 5)
}

#[test]
fn shuffles_cost_nothing() {
    for units in 1..6 {
        let file = shuffled(units).file();
        let graph = check("shuffles", &file).graph;
        let [_, _, moving] = counts(&graph);
        assert_eq!(moving, 0, "{units}");
        // No channel is computed twice, and none that nothing reads.
        let pixels = 5 * 4;
        let unit = 2 * 8 * 8 + 8 * 9;
        let expected = 8 * 16 + units * unit + 16 * 9 + 16 * 5;
        assert_eq!(graph.macs(), (pixels * expected) as u64, "{units}");
    }
}

#[test]
fn layers_are_arranged_for_what_is_split() {
    let range = |model: Model, from: i64, to: i64| {
        model
            .ints("from", &[from])
            .ints("to", &[to])
            .ints("axis", &[1])
    };
    let split = [("axis", I(1))];
    let join = [("axis", I(1))];
    // The name, how many convolutions, Concats and moving ones it takes, and the network.
    let cases = [
        (
            "a half of each, as in CSPNet",
            [4, 1, 0],
            start(16)
                .node("Split", "c", "l r", &split)
                .mix("r", "m", 8, 8)
                .node("Concat", "l m", "j", &join)
                .mix("j", "y", 16, 4),
        ),
        (
            "each part with what the one before gave, as in Res2Net",
            [6, 1, 0],
            start(12)
                .ints("sizes", &[4, 4, 4])
                .node("Split", "c sizes", "p q r", &split)
                .depthwise("q", "q1", 4)
                .node("Add", "q1 r", "r1", &[])
                .mix("r1", "r2", 4, 4)
                .node("Concat", "p q1 r2", "j", &join)
                .depthwise("j", "y", 12),
        ),
        (
            "a part of what is added up, as in FasterNet",
            [7, 3, 0],
            range(start(8), 0, 2)
                .ints("end", &[i64::MAX])
                .node("Slice", "c from to axis", "p", &[])
                .node("Slice", "c to end axis", "q", &[])
                .mix("p", "p1", 2, 2)
                .node("Concat", "p1 q", "j", &join)
                .mix("j", "k", 8, 8)
                .node("Add", "c k", "s", &[])
                .node("Slice", "s from to axis", "t", &[])
                .node("Slice", "s to end axis", "u", &[])
                .mix("t", "t1", 2, 2)
                .node("Concat", "t1 u", "v", &join)
                .mix("v", "w1", 8, 8)
                .node("Add", "s w1", "y", &[]),
        ),
        (
            "kernels of several sizes, as in MixNet",
            [4, 1, 0],
            start(12)
                .ints("sizes", &[8, 4])
                .node("Split", "c sizes", "p q", &split)
                .depthwise("p", "p1", 8)
                .node("Concat", "p1 q", "j", &join)
                .mix("j", "y", 12, 4),
        ),
        (
            "the first of more channels than there should be, as in GhostNet",
            [4, 1, 0],
            range(start(6), 0, 9)
                .depthwise("c", "d", 6)
                .node("Concat", "c d", "j", &join)
                .node("Slice", "j from to axis", "k", &[])
                .mix("k", "y", 9, 4),
        ),
        (
            "halves by an index, as ShuffleNet's authors write it",
            [2, 0, 0],
            start(12)
                .ints("apart", &[6, 2, 20])
                .ints("together", &[2, -1, 6, 5, 4])
                .int("second", 1)
                .node("Reshape", "c apart", "p", &[])
                .node("Transpose", "p", "q", &[("perm", Is(&[1, 0, 2]))])
                .node("Reshape", "q together", "r", &[])
                .node("Gather", "r second", "s", &[])
                .mix("s", "y", 6, 3),
        ),
        (
            "gates of what is split",
            [5, 2, 0],
            start(8)
                .node("GlobalAveragePool", "c", "g", &[])
                .mix("g", "h", 8, 8)
                .node("Sigmoid", "h", "i", &[])
                .node("Mul", "c i", "m", &[])
                .node("Split", "m", "l r", &split)
                .mix("r", "r1", 4, 4)
                .node("Concat", "l r1", "y", &join),
        ),
        (
            "every other channel, backwards",
            [2, 0, 0],
            range(start(8), -1, -8)
                .ints("step", &[-2])
                .node("Slice", "c from to axis step", "k", &[])
                .mix("k", "y", 4, 3),
        ),
        (
            "channels in any order, some twice",
            [3, 1, 0],
            start(8)
                .ints("order", &[3, 1, 3, 0, 7, -2])
                .node("Gather", "c order", "k", &[("axis", I(1))])
                .mix("k", "y", 6, 3),
        ),
        (
            "the picture's own channels",
            [2, 0, 0],
            range(Model::new(13, &[1, 3, 5, 4]), 2, 3)
                .node("Slice", "x from to axis", "k", &[])
                .random("w", &[8, 1, 3, 3])
                .node("Conv", "k w", "c", &[])
                .mix("c", "y", 8, 2),
        ),
        (
            "blue first",
            [1, 0, 0],
            Model::new(13, &[1, 3, 5, 4])
                .ints("order", &[2, 1, 0])
                .node("Gather", "x order", "k", &[("axis", I(1))])
                .mix("k", "y", 3, 2),
        ),
        (
            "three times grey",
            [1, 0, 0],
            Model::new(13, &[1, 1, 5, 4])
                .ints("order", &[0, 0, 0])
                .node("Gather", "x order", "k", &[("axis", I(1))])
                .mix("k", "y", 3, 2),
        ),
        (
            "an order that the output keeps",
            [2, 0, 1],
            start(8).shuffle("c", "y", 8),
        ),
        (
            "a shuffle between groups, as in ShuffleNet",
            [5, 0, 1],
            start(8)
                .shuffle("c", "s", 8)
                .depthwise("s", "d", 8)
                .random("g", &[6, 4, 1, 1])
                .node("Conv", "d g", "e", &[("group", I(2))])
                .mix("e", "y", 6, 2),
        ),
        (
            "a part of what groups make",
            [4, 0, 0],
            range(start(8), 1, 4)
                .random("g", &[6, 4, 1, 1])
                .node("Conv", "c g", "e", &[("group", I(2))])
                .node("Slice", "e from to axis", "k", &[])
                .mix("k", "m", 3, 4)
                .depthwise("m", "y", 4),
        ),
        (
            "a part of what groups make, averaged",
            [4, 0, 1],
            range(start(8), 1, 4)
                .random("g", &[6, 4, 1, 1])
                .node("Conv", "c g", "e", &[("group", I(2))])
                .node("Slice", "e from to axis", "k", &[])
                .node("GlobalAveragePool", "k", "p", &[])
                .mix("p", "y", 3, 4),
        ),
        (
            "a sum of what groups make and of what does not lie as that",
            [5, 1, 0],
            range(start(8), 1, 4)
                .random("g", &[6, 4, 1, 1])
                .node("Conv", "c g", "e", &[("group", I(2))])
                .mix("c", "f", 8, 6)
                .node("Add", "e f", "s", &[])
                .node("Slice", "s from to axis", "k", &[])
                .mix("k", "m", 3, 4)
                .node("Concat", "m f", "j", &join)
                .mix("j", "y", 10, 4),
        ),
        (
            "halves that are added up",
            [2, 0, 0],
            start(8)
                .node("Split", "c", "l r", &split)
                .node("Add", "l r", "y", &[]),
        ),
        (
            "halves that are added up and halved again",
            [4, 0, 0],
            start(8)
                .node("Split", "c", "l r", &split)
                .node("Add", "l r", "s", &[])
                .node("Split", "s", "t u", &split)
                .mix("t", "t1", 2, 2)
                .mix("u", "u1", 2, 2)
                .node("Add", "t1 u1", "y", &[]),
        ),
        (
            "sums of channels in another order",
            [4, 0, 1],
            start(8)
                .shuffle("c", "s", 8)
                .node("Add", "c s", "t", &[])
                .depthwise("t", "d", 8)
                .mix("d", "y", 8, 2),
        ),
    ];
    let (mut all, mut all_expected) = (vec![], vec![]);
    for (name, expected, model) in cases {
        let graph = check(name, &model.file()).graph;
        let gathers = |op: &Op| matches!(op, Op::Gather(_));
        assert!(!graph.nodes.iter().any(|node| gathers(&node.op)), "{name}");
        all.push((name, counts(&graph)));
        all_expected.push((name, expected));
    }
    assert_eq!(all, all_expected);
}

/// A network of these many layers drawn by chance, of which each reads one of the last ones.
fn drawn(seed: u64, layers: usize) -> Model {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut below = move |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % end
    };
    let mut model = start(8);
    let mut values = vec![("x".to_owned(), 8), ("c".to_owned(), 8)];
    for layer in 0..layers {
        let recent = values.len().saturating_sub(4);
        let (from, channels) = values[recent + below(values.len() - recent)].clone();
        let name = format!("v{layer}");
        let alike: Vec<String> = values
            .iter()
            .filter(|(name, other)| *other == channels && *name != from)
            .map(|(name, _)| name.clone())
            .collect();
        let axis = [("axis", I(1))];
        let to = match below(8) {
            0 if channels > 1 => {
                let first = 1 + below(channels - 1);
                let (rest, sizes) = (format!("{name}r"), format!("{name}s"));
                model = model
                    .ints(&sizes, &[first as i64, (channels - first) as i64])
                    .node(
                        "Split",
                        &format!("{from} {sizes}"),
                        &format!("{name} {rest}"),
                        &axis,
                    );
                values.push((rest, channels - first));
                first
            }
            1 => {
                let (other, more) = values[below(values.len())].clone();
                model = model.node("Concat", &format!("{from} {other}"), &name, &axis);
                channels + more
            }
            2 => {
                let order: Vec<i64> = (0..1 + below(10)).map(|_| below(channels) as i64).collect();
                let indices = format!("{name}i");
                model = model.ints(&indices, &order).node(
                    "Gather",
                    &format!("{from} {indices}"),
                    &name,
                    &axis,
                );
                order.len()
            }
            3 if channels % 2 == 0 => {
                model = model.shuffle(&from, &name, channels as i64);
                channels
            }
            4 if !alike.is_empty() => {
                let other = &alike[below(alike.len())];
                model = model.node("Add", &format!("{from} {other}"), &name, &[]);
                channels
            }
            5 => {
                model = model.depthwise(&from, &name, channels);
                channels
            }
            6 => {
                model = model.mix(&from, &name, channels, 6);
                6
            }
            _ => {
                let slopes = format!("{name}a");
                model = model.random(&slopes, &[channels, 1, 1]).node(
                    "PRelu",
                    &format!("{from} {slopes}"),
                    &name,
                    &[],
                );
                channels
            }
        };
        values.push((name, to));
    }
    let [.., (a, i), (b, j)] = &values[..] else {
        return model;
    };
    let join = format!("{a} {b}");
    model
        .node("Concat", &join, "j", &[("axis", I(1))])
        .mix("j", "y", i + j, 3)
}

#[test]
fn drawn_networks_compute_the_same() {
    for seed in 0..300 {
        let file = drawn(seed, 4 + seed as usize % 20).file();
        check(&format!("seed {seed}"), &file);
    }
}

#[test]
fn what_cannot_be_taken_apart_is_said() {
    let one = [1];
    let cases = [
        (
            "rows upside down",
            start(8)
                .ints("from", &[-1])
                .ints("to", &[-9])
                .ints("axis", &[2])
                .ints("step", &[-1])
                .node("Slice", "c from to axis step", "k", &[])
                .mix("k", "y", 8, 2),
            "made of parts of [1, 8, 5, 4]",
        ),
        (
            "groups that stay apart",
            start(8)
                .ints("s", &[1, 2, 4, 5, 4])
                .node("Reshape", "c s", "k", &[])
                .node("ReduceSum", "k -", "y", &[]),
            "made of parts of [1, 8, 5, 4]",
        ),
        (
            "an output that is taken apart",
            start(8)
                .ints("s", &[1, 2, 4, 5, 4])
                .node("Reshape", "c s", "y", &[]),
            "the output `y`: it reads [1, 2, 4, 5, 4]",
        ),
        (
            "sizes that do not fit",
            start(8)
                .ints("sizes", &[4, 5])
                .node("Split", "c sizes", "y z", &[("axis", I(1))]),
            "a Split of 8 into [4, 5]",
        ),
        (
            "too many indices",
            start(8)
                .ints("order", &[8])
                .node("Gather", "c order", "y", &[("axis", I(1))]),
            "a Gather of [8] of 8",
        ),
        (
            "nothing",
            start(8)
                .ints("from", &[3])
                .ints("to", &[3])
                .ints("axis", &one)
                .node("Slice", "c from to axis", "y", &[]),
            "a Slice of nothing",
        ),
    ];
    for (name, model, expected) in cases {
        let error = load(&model.file()).map(|_| name).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn rows_and_columns_are_cropped() {
    let crop = |starts: [i64; 2], ends: [i64; 2], steps: [i64; 2]| {
        Model::new(13, &[1, 3, 9, 8])
            .ints("starts", &starts)
            .ints("ends", &ends)
            .ints("axes", &[2, 3])
            .ints("steps", &steps)
            .node("Slice", "x starts ends axes steps", "k", &[])
    };
    let end = i64::MAX;
    let cases = [
        ([1, 1], [-1, -1], [1, 1], [3, 3]),
        ([0, 0], [end, end], [2, 2], [1, 1]),
        ([1, 1], [end, end], [2, 2], [2, 2]),
        ([3, 0], [4, end], [1, 1], [9, 1]),
        ([2, 5], [9, 7], [3, 1], [3, 7]),
        ([0, 0], [9, 3], [4, 7], [1, 8]),
    ];
    for (starts, ends, steps, kernel) in cases {
        let name = format!("{starts:?} to {ends:?} by {steps:?}");
        let graph = check(&name, &crop(starts, ends, steps).mix("k", "y", 3, 4).file()).graph;
        let Op::Conv(conv) = &graph.nodes[0].op else {
            panic!("{name}: {:?}", graph.nodes[0]);
        };
        assert_eq!((conv.groups, conv.window.kernel), (3, kernel), "{name}");
    }
    // Every other pixel, four times, as YOLO's Focus has it.
    let mut focus = Model::new(13, &[1, 3, 8, 8])
        .ints("0", &[0])
        .ints("1", &[1])
        .ints("2", &[2])
        .ints("3", &[3])
        .ints("end", &[end]);
    for (row, column) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let (rows, part) = (format!("r{row}{column}"), format!("p{row}{column}"));
        focus = focus
            .node("Slice", &format!("x {row} end 2 2"), &rows, &[])
            .node("Slice", &format!("{rows} {column} end 3 2"), &part, &[]);
    }
    let focus = focus
        .node("Concat", "p00 p10 p01 p11", "j", &[("axis", I(1))])
        .mix("j", "y", 12, 4);
    check("focus", &focus.file());
    // Of some channels alone.
    let some = crop([1, 0], [end, end], [1, 1])
        .ints("from", &[1])
        .ints("to", &[3])
        .ints("axis", &[1])
        .node("Slice", "k from to axis", "l", &[])
        .mix("l", "y", 2, 4);
    check("rows of channels", &some.file());
}
