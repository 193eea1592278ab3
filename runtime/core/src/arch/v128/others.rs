//! Tables, maxima and global averages, for any [`Vector`].

use super::blocks::range;
use super::vector::Vector;
use crate::layer::{Pool, PoolKind, Table};
use crate::ops::Axis;
use crate::ops::table::look_up;
use crate::rounding::{requantize, requantize_fixed};

/// Values that are done together.
const LANES: usize = 16;

/// A table of each value, one for all channels; none where the layer is not one for this kernel: then
/// nothing is written.
///
/// Sixteen values are read before the first of them is written.
pub fn table<V: Vector>(isa: V, layer: &Table<'_>, arena: &mut [u8]) -> Option<()> {
    let table: &[u8; 256] = layer.table.try_into().ok()?;
    let len = layer.output.shape.len();
    let (from, to) = (range(&layer.input), range(&layer.output));
    arena.get(from.clone())?;
    arena.get(to.clone())?;
    if from.len() != len {
        return None;
    }
    let mut done = 0;
    while len - done >= LANES {
        let values = isa.bytes(arena.get(from.start + done..)?.first_chunk()?);
        let found = isa.to_array(isa.look_up(table, values));
        *arena.get_mut(to.start + done..)?.first_chunk_mut()? = found;
        done += LANES;
    }
    for index in done..len {
        let value = *arena.get(from.start + index)?;
        *arena.get_mut(to.start + index)? = look_up(table, value);
    }
    Some(())
}

/// Maxima over windows, averages over the whole input; none where the layer is not one for this
/// kernel: then nothing is written.
pub fn pool<V: Vector>(isa: V, layer: &Pool, arena: &mut [u8]) -> Option<()> {
    let ranges = [range(&layer.input), range(&layer.output)];
    let [input, output] = arena.get_disjoint_mut(ranges).ok()?;
    let channels = layer.input.shape.channels as usize;
    if layer.output.shape.channels as usize != channels || layer.output.shape.is_empty() {
        return None;
    }
    match layer.kind {
        PoolKind::Max => maximum(isa, layer, input, output),
        PoolKind::Average { scales, fixed, .. } => {
            let [rows, columns] = layer.window.kernel.map(u32::from);
            let shape = layer.input.shape;
            let whole = rows == shape.height && columns == shape.width;
            if !whole || layer.window.padding != [0; 4] || output.len() != channels {
                return None;
            }
            average(isa, layer, [scales[0], scales[1]], fixed, input, output)
        }
    }
}

fn maximum<V: Vector>(isa: V, layer: &Pool, input: &[u8], output: &mut [u8]) -> Option<()> {
    let shape = layer.input.shape;
    // Not 0 in a checked model; so that the compiler sees it, too.
    let channels = shape.channels.max(1) as usize;
    let width = layer.output.shape.width.max(1) as usize;
    let (low, high) = (isa.byte(layer.low), isa.byte(layer.high));
    for (index, output) in output.chunks_exact_mut(channels).enumerate() {
        let place = [(index / width) as u32, (index % width) as u32];
        let [down, across] = Axis::both(&layer.window, shape, place);
        for (block, output) in output.chunks_mut(LANES).enumerate() {
            let mut most = isa.byte(-128);
            for y in (0..layer.window.kernel[0]).filter_map(|tap| down.tap(tap)) {
                for x in (0..layer.window.kernel[1]).filter_map(|tap| across.tap(tap)) {
                    let at = (y * shape.width as usize + x) * channels + block * LANES;
                    most = isa.max(most, load(isa, input, at)?);
                }
            }
            let most = isa.to_array(isa.min(isa.max(most, low), high));
            output.copy_from_slice(most.get(..output.len())?);
        }
    }
    Some(())
}

fn average<V: Vector>(
    isa: V,
    layer: &Pool,
    [in_scale, scale]: [f32; 2],
    fixed: i32,
    input: &[u8],
    output: &mut [u8],
) -> Option<()> {
    let (channels, pixels) = (output.len(), layer.input.shape.pixels());
    let zero = i32::from(layer.input.zero_point).wrapping_mul(pixels as i32);
    let factor = in_scale / (scale * pixels as f32);
    let (zero_point, low, high) = (layer.output.zero_point, layer.low, layer.high);
    for (block, output) in output.chunks_mut(LANES).enumerate() {
        let mut sums = [isa.word(0); 4];
        for pixel in 0..pixels {
            let values = load(isa, input, pixel * channels + block * LANES)?;
            let values = isa.widen_more(isa.widen(values));
            sums = core::array::from_fn(|part| isa.add(sums[part], values[part]));
        }
        let sums = sums.map(|part| isa.to_words_array(part));
        for (output, sum) in output.iter_mut().zip(sums.as_flattened()) {
            let sum = sum.wrapping_sub(zero);
            let value = match fixed {
                0 => requantize(sum, factor, zero_point, low, high),
                fixed => requantize_fixed(sum, fixed, zero_point, low, high),
            };
            *output = value.cast_unsigned();
        }
    }
    Some(())
}

/// Sixteen values, zeros behind the end.
#[inline(always)]
fn load<V: Vector>(isa: V, input: &[u8], at: usize) -> Option<V::Bytes> {
    let rest = input.get(at..)?;
    Some(match rest.first_chunk() {
        Some(values) => isa.bytes(values),
        None => {
            let mut values = [0; LANES];
            values
                .iter_mut()
                .zip(rest)
                .for_each(|(to, from)| *to = *from);
            isa.bytes(&values)
        }
    })
}
