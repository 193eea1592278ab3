//! Networks that split, slice and shuffle channels.

mod crops;
mod drawn;

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
            "blue first, as PyTorch's newer exporter writes it",
            [1, 0, 0],
            Model::new(18, &[1, 3, 5, 4])
                .ints("flat", &[2, 1, 0])
                .ints("column", &[3, 1])
                .node("Reshape", "flat column", "order", &[])
                .node("Transpose", "x", "t", &[("perm", Is(&[1, 0, 2, 3]))])
                .node("GatherND", "t order", "g", &[])
                .node("Transpose", "g", "k", &[("perm", Is(&[1, 0, 2, 3]))])
                .mix("k", "y", 3, 2),
        ),
        (
            "all channels twice",
            [3, 0, 0],
            start(4)
                .ints("times", &[1, 2, 1, 1])
                .node("Tile", "c times", "k", &[])
                .mix("k", "m", 8, 6)
                .mix("m", "y", 6, 2),
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
            [3, 0, 0],
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

#[test]
fn many_units_behind_what_has_no_parts() {
    let mut model = start(8).random("g", &[8, 4, 1, 1]);
    let mut last = "c".to_owned();
    for unit in 0..80 {
        let name = |name: &str| format!("u{unit}{name}");
        let [grouped, slope, left, right, mixed, next] = ["g", "a", "l", "r", "m", "n"].map(name);
        model = model
            .node("Conv", &format!("{last} g"), &grouped, &[("group", I(2))])
            .node("Tanh", &grouped, &slope, &[])
            .node(
                "Split",
                &slope,
                &format!("{left} {right}"),
                &[("axis", I(1))],
            )
            .mix(&right, &mixed, 4, 4)
            .node(
                "Concat",
                &format!("{left} {mixed}"),
                &next,
                &[("axis", I(1))],
            );
        last = next;
    }
    let graph = check("units", &model.mix(&last, "y", 8, 2).file()).graph;
    // All but the last unit's channels are moved, to lie as the groups behind them need it.
    assert_eq!(counts(&graph), [1 + 80 * 2 + 1 + 79, 80, 79]);
}

#[test]
fn a_layer_of_too_many_parts_is_made_in_one() {
    // Of 64 channels, those whose number has a bit set: each channel would be a part.
    let mut model = start(64).node("Tanh", "c", "t", &[]);
    for bit in 0..6 {
        let order: Vec<i64> = (0..64).filter(|at| at >> bit & 1 == 1).collect();
        let [indices, picked, mixed] = ["i", "p", "m"].map(|name| format!("{name}{bit}"));
        model = model
            .ints(&indices, &order)
            .node(
                "Gather",
                &format!("t {indices}"),
                &picked,
                &[("axis", I(1))],
            )
            .mix(&picked, &mixed, 32, 4);
    }
    let joined = model.node("Concat", "m0 m1 m2 m3 m4 m5", "j", &[("axis", I(1))]);
    let graph = check("bits", &joined.mix("j", "y", 24, 2).file()).graph;
    assert_eq!(counts(&graph), [8, 1, 0]);
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
            "in reversed order",
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
            "a Gather of index 8 of 8",
        ),
        (
            "an axis twice",
            start(8)
                .ints("from", &[4, 4])
                .ints("to", &[8, 8])
                .ints("axes", &[1, 1])
                .node("Slice", "c from to axes", "y", &[]),
            "axis 1 twice",
        ),
        (
            "a shuffled softmax",
            Model::new(13, &[1, 8])
                .ints("apart", &[1, 2, 4])
                .ints("together", &[1, 8])
                .node("Softmax", "x", "s", &[])
                .node("Reshape", "s apart", "p", &[])
                .node("Transpose", "p", "t", &[("perm", Is(&[0, 2, 1]))])
                .node("Reshape", "t together", "y", &[]),
            "it reads a Softmax",
        ),
        (
            "sums of what is taken apart",
            start(8)
                .ints("s", &[1, 2, 4, 5, 4])
                .scalar("two", 2.0)
                .node("Reshape", "c s", "k", &[])
                .node("Add", "k two", "y", &[]),
            "Add `y`: it reads [1, 2, 4, 5, 4], made of parts of [1, 8, 5, 4]",
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
