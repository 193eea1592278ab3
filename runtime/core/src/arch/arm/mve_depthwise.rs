//! Depthwise convolutions by vectors (Helium), kernels of up to four by four taps. Equation (6).
//!
//! Of all channels of some columns four rows lie in scratch, with what pads them: `[columns][channels][4 rows]`.
//! The window of an output is the fours of as many columns: one vector, of which VMLADAV makes all products and
//! their sum. With three by three taps and one step a window of four by four has two outputs of two rows: the
//! weights are then there four times, shifted.

use super::constants::Constants;
use super::depthwise::Plan;
use super::depthwise::vectors::{ROWS, Vectors};
use super::mve_input::kiln_vector_fill;
use super::vectors::VECTOR;
use super::{Core, clamp, range, scratch};
use crate::layer::Conv;
use crate::operators::Set;
use crate::packing::QUAD;

unsafe extern "C" {
    fn kiln_vector_rows(rows: *const Rows);
    fn kiln_vector_depthwise_two(task: *const Task);
    fn kiln_vector_depthwise_one(task: *const Task);
}

/// Four rows that become lanes. `mve_depthwise.s` knows the places.
#[repr(C)]
struct Rows {
    to: *mut u8,
    /// Bytes of a row.
    bytes: usize,
    rows: [*const u8; ROWS],
    /// What each goes on by with 16 bytes.
    steps: [usize; ROWS],
}

/// What the inner loops take. `mve_depthwise.s` knows the places.
#[repr(C)]
pub struct Task {
    /// Lanes of the first column, or the first column.
    pub lanes: *const u8,
    pub output: *mut u8,
    pub weights: *const u8,
    pub bias: *const i32,
    /// 0 where there is none.
    pub factors: *const i32,
    /// Bytes to the next.
    pub factor_step: usize,
    pub multipliers: *const f32,
    /// Of the output.
    pub zero_point: i32,
    pub channels: usize,
    /// Bytes of lanes to the next window, or to the next column.
    pub next_window: usize,
    /// Bytes of outputs to the next four.
    pub next_output: usize,
    /// Fours of outputs.
    pub fours: usize,
    /// Which of four outputs are there, four bits each.
    pub whole: u32,
    /// The same of the last four, if that is not whole; or 0.
    pub last: u32,
    /// Which of the taps are there, or of those of the last vector, a bit each.
    pub taps: u32,
    /// Bytes of weights of four channels.
    pub next_weights: usize,
    /// Where weights of a channel are, from its first on: of depthwise convolutions bytes, else words.
    pub offsets: [u32; 4],
    /// Where four outputs go.
    pub output_offsets: [u32; 4],
    /// Where columns are.
    pub columns: [u32; 4],
}

/// Runs the layer; none where it is left to others, and nothing is written.
pub fn run(conv: &Conv<'_>, set: Set, arena: &mut [u8]) -> Option<()> {
    let window = &conv.window;
    let vectors = Plan::of(conv, Core::Vectors)?.vectors(conv)?;
    let Vectors {
        two, left, inside, ..
    } = vectors;
    let [rows, columns] = window.kernel.map(usize::from);
    let [down, across] = window.stride.map(usize::from);
    let constants = Constants::of(conv)?;
    let (from, to) = (range(&conv.input, arena)?, range(&conv.output, arena)?);
    let (input, output) = (conv.input.shape, conv.output.shape);
    let channels = input.channels as usize;
    let (width, out_width) = (input.width as usize, output.width as usize);
    let out_height = output.height as usize;
    let column = vectors.column();
    let lanes = scratch(conv, arena, vectors.len())?;
    let bytes = arena.as_mut_ptr();
    let zero = conv.input.zero_point.cast_unsigned();
    let padding = [zero; VECTOR];
    let (together, fours, last) = match (two, out_width % 4) {
        (true, odd) => (2, out_width / 2, if odd % 2 == 1 { 0x0f0f } else { 0 }),
        (false, rest) => (1, out_width / 4, (1 << (4 * rest)) - 1),
    };
    let pitch = channels as u32;
    let row = (out_width * channels) as u32;
    let mut task = Task {
        lanes,
        output: bytes.wrapping_add(to.start),
        weights: constants.weights,
        bias: constants.bias,
        factors: constants.factors,
        factor_step: constants.factor_step(1),
        multipliers: constants.multipliers,
        zero_point: conv.output.zero_point.into(),
        channels,
        next_window: column * if two { 2 } else { across },
        next_output: channels * if two { 2 } else { 4 },
        fours,
        whole: 0xffff,
        last,
        taps: 0,
        next_weights: 2 * QUAD * window.taps(),
        offsets: [0; 4],
        output_offsets: match two {
            true => [0, pitch, row, row + pitch],
            false => [0, pitch, 2 * pitch, 3 * pitch],
        },
        columns: [0, 1, 2, 3].map(|index| index * column as u32),
    };
    let mut offsets = [0; VECTOR];
    for (index, offset) in offsets.iter_mut().enumerate() {
        let (down, across) = (index % ROWS, index / ROWS);
        if down < rows && across < columns {
            task.taps |= 1 << index;
            *offset = (2 * QUAD * (down * columns + across)) as u8;
        }
    }
    let (fours, _) = offsets.as_chunks();
    for (place, four) in task.offsets.iter_mut().zip(fours) {
        *place = u32::from_le_bytes(*four);
    }
    let before = left + inside;
    let right = lanes.wrapping_add(before * column);
    // What is written behind whole vectors of rows.
    let spilled = match (inside * channels).is_multiple_of(VECTOR) {
        true => 0,
        false => (vectors.width - before) * column,
    };
    // SAFETY: `Constants::of` and `range` have looked at the lengths; scratch has room for what is filled
    // and read.
    unsafe {
        kiln_vector_fill(lanes, zero, left * column);
        // Windows reach beyond what outputs read of them.
        let reached = vectors.reached.saturating_sub(before);
        kiln_vector_fill(right, zero, reached * column);
        for y in (0..out_height).step_by(together) {
            let mut from_rows = Rows {
                to: lanes.wrapping_add(left * column),
                bytes: inside * channels,
                rows: [padding.as_ptr(); ROWS],
                steps: [0; ROWS],
            };
            let places = from_rows.rows.iter_mut().zip(&mut from_rows.steps);
            for (index, (place, step)) in (0..rows + together - 1).zip(places) {
                let row = (y * down + index).wrapping_sub(window.padding[0].into());
                if row < input.height as usize {
                    *place = bytes.wrapping_add(from.start + row * width * channels);
                    *step = VECTOR;
                }
            }
            kiln_vector_rows(&from_rows);
            kiln_vector_fill(right, zero, spilled);
            match two {
                true => {
                    if y + 1 == out_height {
                        task.whole = 0x00ff;
                        task.last &= 0x00ff;
                    }
                    kiln_vector_depthwise_two(&task);
                }
                false => kiln_vector_depthwise_one(&task),
            }
            task.output = task.output.wrapping_add(together * out_width * channels);
        }
    }
    clamp(conv, set, arena)
}
