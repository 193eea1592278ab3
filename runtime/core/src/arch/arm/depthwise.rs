//! Depthwise convolutions, four channels at a time, a row of the output after the other. Equation (6).
//!
//! As many input rows as the kernel has lie in scratch as lanes, with what pads them: `[channels / 4]
//! [kernel rows][columns]`, of each four values the words that [`loops::split`] makes of them. A new row takes
//! the place of one that no later output reads.

use core::ptr;

use super::constants::Constants;
use super::{Core, clamp, loops, makes, room, scratch, start};
use crate::layer::Conv;
use crate::operators::{Operator, Set};
use crate::packing::{Packing, QUAD};

mod lanes;
#[cfg_attr(
    not(kiln_mve),
    allow(
        dead_code,
        reason = "elsewhere only the compiler asks how much scratch it takes"
    )
)]
pub mod vectors;

pub use lanes::Pixels;
use lanes::{Lanes, pad};
use vectors::Vectors;

/// Kernel rows that there may be.
const MAX_ROWS: usize = 16;

/// What the inner loops take. `dsp_depthwise.s` knows the places.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Row {
    /// Of three by three taps, the rows' lanes; else where pointers to them lie, how many there are, and taps of
    /// each.
    pub rows: [*const u32; 3],
    /// Biases.
    pub bias: *const i32,
    /// Lanes of weights.
    pub weights: *const u8,
    /// Bytes from behind a row of lanes to that of the next four channels.
    pub next_lanes: usize,
    /// Factors; 0 where there is none.
    pub factors: *const i32,
    /// Bytes to the next factors.
    pub factor_step: usize,
    /// Bytes from biases to multipliers.
    pub to_multipliers: isize,
    /// Of the output.
    pub zero_point: i32,
    /// Bytes between output pixels.
    pub pixel: usize,
    /// Bytes from behind a row of outputs to that of the next four channels.
    pub next_output: usize,
    /// The first pixel.
    pub output: *mut u8,
    /// The last pixel.
    pub last: *mut u8,
    /// Fours of channels.
    pub groups: usize,
    /// Bytes of lanes between outputs.
    pub stride: usize,
    /// Bytes of weights of four channels.
    pub next_weights: usize,
}

/// How a convolution is computed.
#[derive(Clone, Copy)]
pub struct Plan {
    /// Whether two columns go together: three by three taps, one step, more than one column.
    pairs: bool,
    /// Fours of channels, the last perhaps with less.
    groups: usize,
    /// Rows of the kernel.
    rows: usize,
    /// Columns of the lanes.
    width: usize,
    /// Bytes for outputs of the last channels, where there are less than four.
    outputs: usize,
    /// Bytes of lanes of four channels of a column.
    column: usize,
}

impl Plan {
    /// For the loops of such cores; none where they do not take it.
    pub fn of(conv: &Conv<'_>, core: Core) -> Option<Self> {
        let (input, output, window) = (conv.input.shape, conv.output.shape, &conv.window);
        let shape = conv.kernel_shape();
        let fits = conv.packing == Packing::Lanes
            && shape.in_channels == 1
            && conv.groups == input.channels
            && output.channels == input.channels
            && conv.weight_zero_points.is_empty()
            && window.dilation == [1; 2]
            && (1..=MAX_ROWS).contains(&shape.rows)
            && shape.columns > 0
            && makes(window, &input, &output);
        if !fits {
            return None;
        }
        let columns = output.width as usize;
        let pairs = window.kernel == [3; 2] && window.stride == [1; 2] && columns > 1;
        let channels = output.channels as usize;
        let whole = channels.is_multiple_of(QUAD);
        let width = (columns - 1) * usize::from(window.stride[1]) + shape.columns;
        let column = 4 * core.words();
        Some(Self {
            pairs,
            groups: channels.div_ceil(QUAD),
            rows: shape.rows,
            width,
            outputs: if whole { 0 } else { QUAD * columns },
            column,
        })
    }

    /// The kernels that take the layer with its scratch.
    pub fn needs(&self, conv: &Conv<'_>, core: Core) -> Option<Set> {
        let kernel = match self.pairs {
            true => Operator::Pairs,
            false => Operator::Depthwise,
        };
        let set = Set::NONE.with(kernel);
        let takes = room(conv) >= self.len(conv, core);
        takes.then_some(set.with_if(self.outputs > 0, Operator::Rest))
    }

    /// What vectors take, where they take it.
    pub fn vectors(&self, conv: &Conv<'_>) -> Option<Vectors> {
        Vectors::of(conv, self.width)
    }

    /// Bytes of scratch.
    pub fn len(&self, conv: &Conv<'_>, core: Core) -> usize {
        match core {
            Core::Vectors => {
                let vectors = self.vectors(conv);
                vectors.map_or(self.needed(core), |vectors| vectors.len())
            }
            _ => self.needed(core),
        }
    }

    /// Bytes of the lanes, and of what is behind them.
    fn needed(&self, core: Core) -> usize {
        // A column without a partner is computed as if it had one.
        let beyond = match core {
            Core::Bytes if self.pairs && !self.width.is_multiple_of(2) => self.column,
            _ => 0,
        };
        self.lanes().saturating_add(self.outputs.max(beyond))
    }

    /// Bytes of lanes.
    const fn lanes(&self) -> usize {
        self.group().saturating_mul(self.groups)
    }

    /// Bytes of the lanes of four channels.
    const fn group(&self) -> usize {
        self.row().saturating_mul(self.rows)
    }

    /// Bytes of a row of them.
    const fn row(&self) -> usize {
        self.width.saturating_mul(self.column)
    }
}

/// Runs the layer; none where it is left to the plain loop, and nothing is written.
pub fn run(conv: &Conv<'_>, set: Set, arena: &mut [u8]) -> Option<()> {
    let mut plan = Plan::of(conv, loops::CORE)?;
    // The compiler sees which of the two is not in the program.
    plan.pairs = match (set.has(Operator::Pairs), set.has(Operator::Depthwise)) {
        (true, true) => plan.pairs,
        (pairs, depthwise) if pairs != depthwise && pairs == plan.pairs => pairs,
        _ => return None,
    };
    if plan.outputs > 0 && !set.has(Operator::Rest) {
        return None;
    }
    let constants = Constants::of(conv)?;
    let input = start(&conv.input, arena)?;
    let output = start(&conv.output, arena)?;
    let scratch = scratch(conv, arena, plan.needed(loops::CORE))?;
    let lanes = Lanes {
        plan,
        lanes: scratch.cast(),
        input: arena.as_ptr().wrapping_add(input),
        height: conv.input.shape.height as usize,
        width: conv.input.shape.width as usize,
        channels: conv.input.shape.channels as usize,
        left: conv.window.padding[1].into(),
        zero: [conv.input.zero_point.cast_unsigned(); 4],
    };
    let output = arena.as_mut_ptr().wrapping_add(output);
    let outputs = scratch.wrapping_add(plan.lanes());
    // SAFETY: `Constants::of` and `range` have looked at the lengths; scratch has room for the plan, at a
    // multiple of 4.
    unsafe { rows(conv, set, &lanes, &constants, output, outputs) };
    clamp(conv, set, arena)
}

/// # Safety
///
/// The pointers are the layer's; `outputs` has room for those of the last channels.
#[inline(always)]
unsafe fn rows(
    conv: &Conv<'_>,
    set: Set,
    lanes: &Lanes,
    constants: &Constants,
    output: *mut u8,
    outputs: *mut u8,
) {
    let plan = lanes.plan;
    let shape = conv.output.shape;
    let (columns, channels) = (shape.width as usize, shape.channels as usize);
    let whole = channels / QUAD;
    let stride = usize::from(conv.window.stride[0]);
    let top = usize::from(conv.window.padding[0]);
    // SAFETY: as the caller says.
    let last = unsafe { constants.last(whole * QUAD, channels) };
    let weights = 2 * QUAD * conv.window.taps();
    let few = constants.with(&last, whole * weights);
    // Rows of the input, those above it included, that are in the lanes.
    let mut known = 0;
    let columns_of_lanes = plan
        .needed(loops::CORE)
        .checked_div(plan.column)
        .unwrap_or(0);
    let mut table = [ptr::null(); MAX_ROWS];
    // SAFETY: as the caller says.
    unsafe { pad(lanes.lanes, lanes.zero, columns_of_lanes) };
    for y in 0..shape.height as usize {
        let first = y * stride;
        for row in known.max(first)..first + plan.rows {
            // SAFETY: as the caller says.
            unsafe { lanes.fill(set, row, row.wrapping_sub(top)) };
        }
        known = first + plan.rows;
        for (row, place) in (first..known).zip(&mut table) {
            *place = lanes.row(0, row);
        }
        let [a, b, c, ..] = table;
        let step = plan.column * usize::from(conv.window.stride[1]);
        let stepped = match plan.pairs {
            true => 2 * plan.column * columns.div_ceil(2),
            false => step * columns,
        };
        let done = channels
            * if plan.pairs {
                columns.next_multiple_of(2)
            } else {
                columns
            };
        let output = output.wrapping_add(y * columns * channels);
        let mut row = Row {
            rows: match plan.pairs {
                true => [a, b, c],
                false => [
                    table.as_ptr().cast(),
                    ptr::without_provenance(plan.rows),
                    ptr::without_provenance(conv.window.kernel[1].into()),
                ],
            },
            bias: constants.bias,
            weights: constants.weights,
            next_lanes: plan.group().wrapping_sub(stepped),
            factors: constants.factors,
            factor_step: constants.factor_step(QUAD),
            to_multipliers: constants.multipliers_behind(),
            zero_point: conv.output.zero_point.into(),
            pixel: channels,
            next_output: QUAD.wrapping_sub(done),
            output,
            last: output.wrapping_add((columns - 1) * channels),
            groups: whole,
            stride: step,
            next_weights: weights,
        };
        let run = if plan.pairs {
            loops::depthwise_pairs
        } else {
            loops::depthwise
        };
        // SAFETY: as the caller says; the last channels' outputs go where there is room for four.
        unsafe {
            if whole > 0 {
                run(&row);
            }
            if set.has(Operator::Rest) && whole < plan.groups {
                for place in table.iter_mut().take(plan.rows) {
                    *place = place.wrapping_byte_add(whole * plan.group());
                }
                if plan.pairs {
                    row.rows = [table[0], table[1], table[2]];
                }
                row = Row {
                    bias: few.bias,
                    weights: few.weights,
                    factors: few.factors,
                    factor_step: 0,
                    to_multipliers: few.multipliers_behind(),
                    pixel: QUAD,
                    output: outputs,
                    last: outputs.wrapping_add((columns - 1) * QUAD),
                    groups: 1,
                    ..row
                };
                run(&row);
                for column in 0..columns {
                    for channel in whole * QUAD..channels {
                        let value = outputs.add(column * QUAD + channel % QUAD).read();
                        output.add(column * channels + channel).write(value);
                    }
                }
            }
        }
    }
}
