//! How vectors (Helium) go through a convolution of one group, and what they gather in scratch for that.

use super::apart;
use super::dense::Plan;
use crate::layer::Conv;

mod runs;

pub use runs::Runs;

/// Bytes of a vector.
pub const VECTOR: usize = 16;

/// Columns that go together where weights stay in registers.
pub const TOGETHER: usize = 4;

/// Columns for which loading weights into registers pays.
const LEAST: usize = 8;

/// Taps, in vectors, that registers hold the weights of.
const REGISTERS: usize = 4;

/// Columns that are gathered at once for pairs, for points, and for points of which most are read where they lie.
const PAIRS: usize = 6;
const POINTS: usize = 16;
const FEW_POINTS: usize = TOGETHER;

/// How a convolution's columns are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// The one column is the input as it lies.
    Straight,
    /// A channel's weights stay in registers while columns go by: so many are gathered at once, none where all are
    /// read where they lie.
    Points(usize),
    /// Two columns at a time, of so many that are gathered at once.
    Pairs(usize),
}

impl Way {
    /// With so much scratch; none where the layer is left to the plain loop.
    pub fn of(conv: &Conv<'_>, plan: &Plan, scratch: usize) -> Option<Self> {
        let pixels = conv.output.shape.pixels();
        if plan.straight() && apart(conv) {
            return Some(Self::Straight);
        }
        if points_suit(plan, pixels) {
            let behind_first = scratch.checked_sub(VECTOR * vectors(plan));
            let points = behind_first.and_then(|more| Some(more.checked_div(column(plan))? + 1));
            let points = points.unwrap_or(0) / TOGETHER * TOGETHER;
            if points >= LEAST {
                return Some(Self::Points(points));
            }
            if is_unpadded_point(conv) {
                if !gathers(conv) {
                    return Some(Self::Points(0));
                }
                if points >= TOGETHER && most_lie_apart(conv) {
                    return Some(Self::Points(points));
                }
            }
        }
        // Pairs, but for the last.
        let pairs = match scratch.checked_div(column(plan))? {
            few if few < pixels => few & !1,
            _ => pixels,
        };
        (pairs > 0).then_some(Self::Pairs(pairs))
    }

    /// That which is worth its scratch, where tensors lie so.
    fn best(conv: &Conv<'_>, plan: &Plan) -> Self {
        let pixels = conv.output.shape.pixels();
        let pairs = Self::Pairs(pixels.min(PAIRS));
        if plan.straight() && apart(conv) {
            return Self::Straight;
        }
        if !points_suit(plan, pixels) {
            return pairs;
        }
        match is_unpadded_point(conv) {
            true if !gathers(conv) => Self::Points(0),
            true if most_lie_apart(conv) => Self::Points(FEW_POINTS),
            true => pairs,
            // Points of one four are not worth it.
            false if pixels <= TOGETHER => pairs,
            false => Self::Points(pixels.next_multiple_of(TOGETHER).min(POINTS)),
        }
    }

    /// Bytes of scratch.
    pub const fn len(self, plan: &Plan) -> usize {
        match self {
            Self::Straight | Self::Points(0) => 0,
            // Whole vectors of the last are read.
            Self::Points(columns) => (columns - 1) * column(plan) + VECTOR * vectors(plan),
            Self::Pairs(columns) => columns * column(plan),
        }
    }

    /// The first byte of scratch that may be read and not be gathered: columns go by fours, the last of them by words
    /// or vectors.
    #[cfg(kiln_mve)]
    pub const fn not_gathered(self, plan: &Plan) -> usize {
        match self {
            Self::Points(columns) => columns.saturating_sub(TOGETHER) * column(plan),
            _ => self.len(plan) - 4,
        }
    }
}

/// Bytes of scratch to ask for where tensors lie so.
pub fn scratch_len(conv: &Conv<'_>, plan: &Plan) -> usize {
    Way::best(conv, plan).len(plan)
}

/// Bytes of scratch that are enough wherever tensors lie; those of a layer that gives one pixel lie apart.
pub fn most_scratch(conv: &Conv<'_>, plan: &Plan) -> usize {
    let pixels = conv.output.shape.pixels();
    let pairs = Way::Pairs(pixels.min(PAIRS)).len(plan);
    match points_suit(plan, pixels) {
        _ if plan.straight() => 0,
        true if is_unpadded_point(conv) => pairs.max(Way::Points(FEW_POINTS).len(plan)),
        true => scratch_len(conv, plan),
        false => pairs,
    }
}

/// Bytes of a column.
const fn column(plan: &Plan) -> usize {
    4 * plan.fours()
}

/// Vectors that hold a column.
const fn vectors(plan: &Plan) -> usize {
    column(plan).div_ceil(VECTOR)
}

const fn points_suit(plan: &Plan, pixels: usize) -> bool {
    pixels >= TOGETHER && vectors(plan) <= REGISTERS
}

/// Whether columns are pixels of the input.
fn is_unpadded_point(conv: &Conv<'_>) -> bool {
    conv.window.taps() == 1 && conv.window.padding == [0; 4]
}

/// Whether in the middle as many columns are read where they lie as loading weights pays for.
fn most_lie_apart(conv: &Conv<'_>) -> bool {
    let (input, output) = (&conv.input, &conv.output);
    let twice = |offset: u32, len: usize| 2 * offset as usize + len;
    let input_middle = twice(input.offset, input.shape.len());
    let output_middle = twice(output.offset, output.shape.len());
    let widest = input.shape.channels.max(output.shape.channels) as usize;
    input_middle.abs_diff(output_middle) / 2 >= LEAST.saturating_mul(widest)
}

/// Whether pixels of an unpadded 1×1 convolution are gathered.
fn gathers(conv: &Conv<'_>) -> bool {
    Runs::of(conv, TOGETHER).any(|run| run.from.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arch::arm::Core;
    use crate::layer::{Rounding, Scratch};
    use crate::operators::Set;
    use crate::packing::Packing;
    use crate::testing::{Random, tensor, trials};
    use crate::window::Window;

    /// A convolution whose tensors lie anywhere, apart or not.
    pub fn any(random: &mut Random) -> Option<Conv<'static>> {
        let mut to = |least: u64, most: u64| least + random.below(most - least + 1);
        let window = match to(0, 3) {
            0 => Window {
                kernel: [3; 2],
                padding: [1; 4],
                ..Window::default()
            },
            _ => Window {
                stride: [to(1, 2) as u16; 2],
                ..Window::default()
            },
        };
        let input = [to(1, 9), to(1, 9), to(1, 70)].map(|side| side as u32);
        let [height, width] = window.output(input[0], input[1])?;
        let [from, at] = [0; 2].map(|_| 4 * to(0, 1500) as usize);
        Some(Conv {
            input: tensor(from, input, 0),
            output: tensor(at, [height, width, to(1, 40) as u32], 0),
            window,
            groups: 1,
            packing: Packing::Quads,
            weights: &[],
            weight_zero_points: &[],
            bias: &[],
            rounding: Rounding {
                multipliers: &[],
                fixed: &[],
                low: -128,
                high: 127,
            },
            scratch: Scratch::default(),
        })
    }

    /// With what a layer asks for it is computed in the way that it asks for it; with a byte less in another one.
    #[test]
    fn what_is_asked_for_is_taken() {
        let mut random = Random(3);
        let mut ways = [0; 4];
        for _ in 0..trials(20_000) {
            let Some(conv) = any(&mut random) else {
                continue;
            };
            let plan = Plan::of(&conv, Core::Vectors, Set::EVERY).unwrap();
            let way = Way::best(&conv, &plan);
            let len = scratch_len(&conv, &plan);
            assert_eq!(Way::of(&conv, &plan, len), Some(way), "{conv:?}");
            if len > 0 {
                assert_ne!(Way::of(&conv, &plan, len - 1), Some(way), "{conv:?}");
            }
            let most = most_scratch(&conv, &plan);
            assert!(len <= most || plan.straight(), "{conv:?} {most}");
            ways[match way {
                Way::Straight => 0,
                Way::Points(0) => 1,
                Way::Points(_) => 2,
                Way::Pairs(_) => 3,
            }] += 1;
        }
        assert!(
            cfg!(miri) || ways.iter().all(|&count| count > 20),
            "{ways:?}"
        );
    }
}
