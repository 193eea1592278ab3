//! Tables, maxima, global averages.

use core::arch::x86_64::*;

use crate::layer::{Pool, PoolKind, Table};
use crate::rounding::{requantize, requantize_fixed};

/// A table of each value, one for all channels; none where the layer is not one for this kernel: then
/// nothing is written.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
pub fn table(layer: &Table<'_>, arena: &mut [u8]) -> Option<()> {
    let table: &[u8; 256] = layer.table.try_into().ok()?;
    let len = layer.output.shape.len();
    let [from, to] = [layer.input, layer.output].map(|tensor| tensor.offset as usize);
    let apart = from.checked_add(len)? <= to || to.checked_add(len)? <= from;
    let end = from.max(to).checked_add(len)?;
    if end > arena.len() || layer.input.shape.len() != len || (from != to && !apart) {
        return None;
    }
    let part = |index: usize| {
        // SAFETY: the table has four times 64 bytes, and `index` is below 4.
        unsafe { _mm512_loadu_si512(table.as_ptr().add(64 * index).cast()) }
    };
    // The first half is of negative values.
    let [a, b, c, d] = [0, 1, 2, 3].map(part);
    let arena = arena.as_mut_ptr();
    for at in (0..len).step_by(64) {
        let mask = u64::MAX >> (64 - (len - at).min(64));
        // SAFETY: both are within the arena, and the mask has none but their values. What a step
        // writes, no later step reads.
        unsafe {
            let value = _mm512_maskz_loadu_epi8(mask, arena.add(from + at).cast());
            // Of an index, seven bits count.
            let index = _mm512_xor_si512(value, _mm512_set1_epi8(-128));
            let negative = _mm512_permutex2var_epi8(a, index, b);
            let positive = _mm512_permutex2var_epi8(c, index, d);
            let below = _mm512_movepi8_mask(value);
            let found = _mm512_mask_blend_epi8(below, positive, negative);
            _mm512_mask_storeu_epi8(arena.add(to + at).cast(), mask, found);
        }
    }
    Some(())
}

/// Averages over the whole input; none where the layer is not one for this kernel: then nothing is
/// written.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
pub fn pool(layer: &Pool, arena: &mut [u8]) -> Option<()> {
    let PoolKind::Average { scales, fixed, .. } = layer.kind else {
        return maximum(layer, arena);
    };
    let shape = layer.input.shape;
    let channels = shape.channels as usize;
    let pixels = shape.pixels();
    let [rows, columns] = layer.window.kernel.map(u32::from);
    let whole = rows == shape.height
        && columns == shape.width
        && layer.window.padding == [0; 4]
        && layer.output.shape.len() == channels;
    if !whole {
        return None;
    }
    let [from, to] = [layer.input, layer.output].map(|tensor| tensor.offset as usize);
    let input = from..from.checked_add(shape.len())?;
    let [input, output] = arena
        .get_disjoint_mut([input, to..to.checked_add(channels)?])
        .ok()?;
    let zero = i32::from(layer.input.zero_point).wrapping_mul(pixels as i32);
    let factor = scales[0] / (scales[1] * pixels as f32);
    for (block, output) in output.chunks_mut(16).enumerate() {
        let mask = 0xffff >> (16 - output.len());
        let mut sum = _mm512_setzero_si512();
        for pixel in 0..pixels {
            let at = pixel * channels + block * 16;
            // SAFETY: the mask has none but channels of the pixel, which is in `input`.
            let bytes = unsafe { _mm_maskz_loadu_epi8(mask, input.as_ptr().add(at).cast()) };
            sum = _mm512_add_epi32(sum, _mm512_cvtepi8_epi32(bytes));
        }
        let mut sums = [0_i32; 16];
        // SAFETY: it has 64 bytes.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), sum) };
        for (output, sum) in output.iter_mut().zip(sums) {
            let sum = sum.wrapping_sub(zero);
            let (zero_point, low, high) = (layer.output.zero_point, layer.low, layer.high);
            *output = match fixed {
                0 => requantize(sum, factor, zero_point, low, high),
                fixed => requantize_fixed(sum, fixed, zero_point, low, high),
            }
            .cast_unsigned();
        }
    }
    Some(())
}

/// Maxima over windows.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
fn maximum(layer: &Pool, arena: &mut [u8]) -> Option<()> {
    let (shape, window) = (layer.input.shape, layer.window);
    let channels = shape.channels as usize;
    if layer.output.shape.channels != shape.channels || layer.output.shape.is_empty() {
        return None;
    }
    let ranges = [layer.input, layer.output].map(|tensor| {
        let first = tensor.offset as usize;
        first..first.saturating_add(tensor.shape.len())
    });
    let [input, output] = arena.get_disjoint_mut(ranges).ok()?;
    let (low, high) = (_mm512_set1_epi8(layer.low), _mm512_set1_epi8(layer.high));
    let width = layer.output.shape.width as usize;
    for (index, output) in output.chunks_exact_mut(channels).enumerate() {
        let place = [(index / width) as u32, (index % width) as u32];
        let [down, across] = crate::ops::Axis::both(&window, shape, place);
        for (block, output) in output.chunks_mut(64).enumerate() {
            let mask = u64::MAX >> (64 - output.len());
            let mut most = _mm512_set1_epi8(-128);
            for y in (0..window.kernel[0]).filter_map(|tap| down.tap(tap)) {
                for x in (0..window.kernel[1]).filter_map(|tap| across.tap(tap)) {
                    let at = (y * shape.width as usize + x) * channels + block * 64;
                    // SAFETY: taps are within the input, and the mask has none but channels of the
                    // pixel.
                    let values =
                        unsafe { _mm512_maskz_loadu_epi8(mask, input.as_ptr().add(at).cast()) };
                    most = _mm512_max_epi8(most, values);
                }
            }
            let most = _mm512_min_epi8(_mm512_max_epi8(most, low), high);
            // SAFETY: the mask has as many bits as `output` has bytes.
            unsafe { _mm512_mask_storeu_epi8(output.as_mut_ptr().cast(), mask, most) };
        }
    }
    Some(())
}
