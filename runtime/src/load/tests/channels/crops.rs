//! Networks that take some rows and columns.

use crate::graph::Op;
use crate::load::testing::*;

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
    // Large windows are two, one over rows and one over columns.
    let large = Model::new(13, &[1, 3, 30, 28])
        .ints("starts", &[7, 9])
        .ints("ends", &[20, 15])
        .ints("axes", &[2, 3])
        .node("Slice", "x starts ends axes", "k", &[]);
    let graph = check("a large crop", &large.mix("k", "y", 3, 4).file()).graph;
    let kernel = |at: usize| match &graph.nodes[at].op {
        Op::Conv(conv) => conv.window.kernel,
        _ => [0; 2],
    };
    assert_eq!([kernel(0), kernel(1)], [[18, 1], [1, 23]]);
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
