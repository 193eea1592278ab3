//! Convolutions of up to 64 taps by vectors (Helium): a channel's weights stay in registers while columns go by.
//!
//! Columns are pixels where they lie, if the kernel is one by one; else, or where outputs would go over
//! them, they are gathered in scratch.

use super::constants::Constants;
use super::mve_depthwise::Task;
use super::mve_input::Input;
use super::vectors::{Runs, TOGETHER};
use super::{clamp, range};
use crate::layer::Conv;
use crate::operators::Set;
use crate::packing::Packing;

unsafe extern "C" {
    fn kiln_vector_points_16(task: *const Task);
    fn kiln_vector_points_32(task: *const Task);
    fn kiln_vector_points_48(task: *const Task);
    fn kiln_vector_points_64(task: *const Task);
}

/// Runs the layer, with room for so many columns that are gathered; none where it is left to others, and nothing is
/// written.
pub fn run(
    conv: &Conv<'_>,
    set: Set,
    arena: &mut [u8],
    constants: &Constants,
    (room, gathered): (usize, Option<*mut u8>),
) -> Option<()> {
    let (input, output) = (range(&conv.input, arena)?, range(&conv.output, arena)?);
    let fours = Packing::taps(conv.kernel_shape()).div_ceil(4);
    let vectors = fours.div_ceil(4);
    let points = match vectors {
        1 => kiln_vector_points_16,
        2 => kiln_vector_points_32,
        3 => kiln_vector_points_48,
        4 => kiln_vector_points_64,
        _ => return None,
    };
    let bytes = arena.as_mut_ptr();
    let window = Input::of(conv, bytes.wrapping_add(input.start));
    let channels = conv.output.shape.channels;
    let apart = 4 * fours;
    let mut task = Task {
        lanes: bytes,
        output: bytes,
        weights: constants.weights,
        bias: constants.bias,
        factors: constants.factors,
        factor_step: constants.factor_step(1),
        multipliers: constants.multipliers,
        zero_point: conv.output.zero_point.into(),
        channels: channels as usize,
        next_window: apart,
        next_output: TOGETHER * channels as usize,
        fours: 0,
        whole: 0xffff,
        last: 0,
        taps: 0xffff >> (4 * (4 * vectors - fours)),
        next_weights: 16 * fours,
        offsets: [0, 16, 32, 48],
        output_offsets: [0, channels, 2 * channels, 3 * channels],
        columns: [0; 4],
    };
    let runs = Runs::of(conv, room);
    let pitch = runs.pitch();
    for run in runs {
        let count = run.count;
        task.output = bytes.wrapping_add(output.start + run.first * task.channels);
        task.fours = count / TOGETHER;
        task.last = (1 << (4 * (count % TOGETHER))) - 1;
        // SAFETY: `Constants::of` and `range` have looked at the lengths, `Runs` at what is read where it lies, and
        // `Way` at whether columns are gathered, for which scratch has the room.
        unsafe {
            (task.lanes, task.next_window) = match (run.from, gathered) {
                (Some(from), _) => (bytes.wrapping_add(from), pitch),
                (None, Some(gathered)) => {
                    let mut place = run.place;
                    window.gather(&mut place, count, gathered, apart);
                    (gathered, apart)
                }
                (None, None) => return None,
            };
            points(&task);
        }
    }
    clamp(conv, set, arena)
}
