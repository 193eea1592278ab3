//! Dense 2-D convolution and its two gradients on NHWC pictures, without an im2col buffer.
//!
//! Each picture is copied once into a zero-padded scratch picture; the tiles of [`super::tile`] then
//! read windows straight from it. Pictures are shared out over rayon's threads; every sum runs in an
//! order that depends on the shapes alone, so results do not depend on the number of threads.

use pulp::Arch;
use rayon::prelude::*;

use super::frame::{Frame, Shape};
use super::nhwc::zeros;
use super::tile::{Correlate, Outer, Segment, lanes, vectors};

/// The weight gradient is summed in this many fixed parts of the batch, which are added in order.
const PARTS: usize = 16;

/// Weights as [`Correlate`] reads them: panels of `vectors × lanes` output channels, zero-filled.
struct Packed {
    panels: Vec<f32>,
    depth: usize,
    vectors: usize,
}

impl Packed {
    /// Packs `depth` rows of `outputs` channels, where `copy(row, output)` is the weight.
    fn new(depth: usize, outputs: usize, weight: impl Fn(usize, usize) -> f32) -> Self {
        let vectors = vectors(outputs);
        let wide = vectors * lanes().0;
        let mut panels = vec![0.0; outputs.div_ceil(wide) * depth * wide];
        for output in 0..outputs {
            let panel = &mut panels[output / wide * depth * wide..][..depth * wide];
            for (row, lanes) in panel.chunks_exact_mut(wide).enumerate() {
                lanes[output % wide] = weight(row, output);
            }
        }
        Self {
            panels,
            depth,
            vectors,
        }
    }
}

/// `y[n][oh][ow][filters]` from `x[n][h][w][channels]` and `weight[filters][channels][kh][kw]`.
pub(super) fn forward(x: &[f32], weight: &[f32], shape: &Shape) -> Vec<f32> {
    let Shape {
        channels, filters, ..
    } = *shape;
    let [kh, kw] = shape.window.kernel;
    let [sy, sx] = shape.window.stride;
    let [oh, ow] = shape.output();
    let frame = shape.frame();
    let taps = kh * kw;
    let packed = Packed::new(taps * channels, filters, |row, filter| {
        weight[(filter * channels + row % channels) * taps + row / channels]
    });
    let row = frame.size[1] * channels;
    let segments: Vec<Segment> = (0..kh)
        .map(|t| Segment {
            offset: t * row,
            depth: t * kw * channels,
            len: kw * channels,
        })
        .collect();

    let mut y = zeros(shape.n * oh * ow * filters);
    y.par_chunks_mut(oh * ow * filters)
        .zip(x.par_chunks(shape.picture()))
        .for_each_init(
            || frame.scratch(shape.size, channels),
            |scratch, (y, x)| {
                Arch::new().dispatch(Correlate {
                    a: frame.view(scratch, x, shape.size, channels),
                    a_row: sy * row,
                    a_step: sx * channels,
                    segments: &segments,
                    panels: &packed.panels,
                    depth: packed.depth,
                    vectors: packed.vectors,
                    out: y,
                    out_row: ow * filters,
                    out_step: filters,
                    channels: filters,
                    height: oh,
                    width: ow,
                })
            },
        );
    y
}

/// One residue class of input positions modulo the stride: those that the same taps reach.
struct Class {
    /// First position, `[y, x]`.
    first: [usize; 2],
    /// How many positions, `[y, x]`.
    count: [usize; 2],
    segments: Vec<Segment>,
    packed: Packed,
}

/// The taps that reach positions `first + stride × j` in one direction: `(tap, output − j)`, by
/// increasing output position.
fn reaching(first: usize, before: usize, stride: usize, kernel: usize) -> Vec<(usize, isize)> {
    (0..kernel)
        .rev()
        .filter(|tap| (first + before + stride * kernel - tap).is_multiple_of(stride))
        .map(|tap| {
            let distance = (first + before) as isize - tap as isize;
            (tap, distance.div_euclid(stride as isize))
        })
        .collect()
}

/// `dx[n][h][w][channels]` from `dy[n][oh][ow][filters]`: for every residue class modulo the stride,
/// a correlation of the padded `dy` with the flipped, transposed weights.
///
/// Writes over `dx`, whose contents do not matter.
pub(super) fn grad_input(mut dx: Vec<f32>, dy: &[f32], weight: &[f32], shape: &Shape) -> Vec<f32> {
    let Shape {
        channels, filters, ..
    } = *shape;
    let window = shape.window;
    let [h, w] = shape.size;
    let taps = window.kernel[0] * window.kernel[1];
    let reach = |d: usize| -> Vec<Vec<(usize, isize)>> {
        (0..window.stride[d].min(shape.size[d]))
            .map(|first| reaching(first, window.before[d], window.stride[d], window.kernel[d]))
            .collect()
    };
    let reach = [reach(0), reach(1)];
    let ends: [[isize; 2]; 2] = std::array::from_fn(|d| {
        let distances = || reach[d].iter().flatten().map(|(_, distance)| *distance);
        [
            distances().min().unwrap_or(0),
            distances().max().unwrap_or(0),
        ]
    });
    let frame = Frame {
        size: std::array::from_fn(|d| {
            shape.size[d].div_ceil(window.stride[d]) + (ends[d][1] - ends[d][0]) as usize
        }),
        origin: ends.map(|[low, _]| -low),
    };
    let row = frame.size[1] * filters;

    let mut classes = Vec::new();
    for (y, down) in reach[0].iter().enumerate() {
        for (x, across) in reach[1].iter().enumerate() {
            if down.is_empty() || across.is_empty() {
                continue;
            }
            let run = across.len() * filters;
            let segments = down
                .iter()
                .enumerate()
                .map(|(index, (_, distance))| Segment {
                    offset: (distance - ends[0][0]) as usize * row
                        + (across[0].1 - ends[1][0]) as usize * filters,
                    depth: index * run,
                    len: run,
                });
            let packed = Packed::new(down.len() * run, channels, |at, channel| {
                let (tap_y, tap_x) = (down[at / run].0, across[at % run / filters].0);
                let filter = at % filters;
                weight[(filter * channels + channel) * taps + tap_y * window.kernel[1] + tap_x]
            });
            classes.push(Class {
                first: [y, x],
                count: [
                    (h - y).div_ceil(window.stride[0]),
                    (w - x).div_ceil(window.stride[1]),
                ],
                segments: segments.collect(),
                packed,
            });
        }
    }

    let gaps = classes.len() < reach[0].len() * reach[1].len();
    let output = shape.output();
    dx.par_chunks_mut(shape.picture())
        .zip(dy.par_chunks(output[0] * output[1] * filters))
        .for_each_init(
            || frame.scratch(output, filters),
            |scratch, (dx, dy)| {
                if gaps {
                    dx.fill(0.0);
                }
                let a = frame.view(scratch, dy, output, filters);
                for class in &classes {
                    let [y, x] = class.first;
                    Arch::new().dispatch(Correlate {
                        a,
                        a_row: row,
                        a_step: filters,
                        segments: &class.segments,
                        panels: &class.packed.panels,
                        depth: class.packed.depth,
                        vectors: class.packed.vectors,
                        out: &mut dx[(y * w + x) * channels..],
                        out_row: window.stride[0] * w * channels,
                        out_step: window.stride[1] * channels,
                        channels,
                        height: class.count[0],
                        width: class.count[1],
                    });
                }
            },
        );
    dx
}

/// `dw[filters][channels][kh][kw]` from `x` and `dy`.
pub(super) fn grad_weight(x: &[f32], dy: &[f32], shape: &Shape) -> Vec<f32> {
    let Shape {
        channels, filters, ..
    } = *shape;
    let [kh, kw] = shape.window.kernel;
    let [sy, sx] = shape.window.stride;
    let [oh, ow] = shape.output();
    let taps = kh * kw;
    let frame = shape.frame();
    let row = frame.size[1] * channels;
    let vectors = vectors(filters);
    let padded = filters.next_multiple_of(vectors * lanes().0);

    let part = shape.n.div_ceil(PARTS);
    let parts: Vec<Vec<f32>> = x
        .par_chunks(part * shape.picture())
        .zip(dy.par_chunks(part * oh * ow * filters))
        .map(|(x, dy)| {
            let mut sum = vec![0.0; taps * channels * padded];
            let mut scratch = frame.scratch(shape.size, channels);
            let mut rows = Vec::new();
            let pictures = x.chunks(shape.picture());
            for (x, dy) in pictures.zip(dy.chunks(oh * ow * filters)) {
                Arch::new().dispatch(Outer {
                    a: frame.view(&mut scratch, x, shape.size, channels),
                    a_row: sy * row,
                    a_step: sx * channels,
                    tap_row: row,
                    taps: kh,
                    run: kw * channels,
                    dy: widen(&mut rows, dy, filters, padded),
                    height: oh,
                    width: ow,
                    channels: padded,
                    vectors,
                    out: &mut sum,
                });
            }
            sum
        })
        .collect();

    let mut parts = parts.into_iter();
    let mut sum = parts.next().unwrap_or_default();
    for part in parts {
        for (sum, value) in sum.iter_mut().zip(part) {
            *sum += value;
        }
    }
    let mut dw = vec![0.0; filters * channels * taps];
    for (at, row) in sum.chunks_exact(padded).enumerate() {
        let (tap, channel) = (at / channels, at % channels);
        for (filter, value) in row[..filters].iter().enumerate() {
            dw[(filter * channels + channel) * taps + tap] = *value;
        }
    }
    dw
}

/// Rows of `from` numbers as rows of `to ≥ from` numbers, zero-filled; no copy where they are equal.
fn widen<'a>(scratch: &'a mut Vec<f32>, rows: &'a [f32], from: usize, to: usize) -> &'a [f32] {
    if from == to {
        return rows;
    }
    scratch.resize(rows.len() / from * to, 0.0);
    for (wide, row) in scratch.chunks_exact_mut(to).zip(rows.chunks_exact(from)) {
        wide[..from].copy_from_slice(row);
    }
    scratch
}
