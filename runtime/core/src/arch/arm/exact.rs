//! What inner loops without an FPU call for channels that have no factor. Equation (3).

use crate::rounding::requantize;

/// Rounds `count` accumulators in place, each `each` of which are a channel's, in turns of four channels.
///
/// # Safety
///
/// So many accumulators and multipliers are there.
#[unsafe(no_mangle)]
unsafe extern "C" fn kiln_exact(
    accs: *mut i32,
    multipliers: *const f32,
    count: usize,
    each: usize,
    zero_point: i32,
) {
    let (mut channel, mut left) = (0, each);
    for index in 0..count {
        if left == 0 {
            (channel, left) = ((channel + 1) % 4, each);
        }
        left -= 1;
        // SAFETY: as the caller says.
        unsafe {
            let multiplier = multipliers.add(channel).read();
            let acc = accs.add(index);
            let value = requantize(acc.read(), multiplier, zero_point as i8, -128, 127);
            acc.write(value.into());
        }
    }
}
