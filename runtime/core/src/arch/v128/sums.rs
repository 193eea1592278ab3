//! Sum, difference and product of two activations, for any [`Vector`].

use core::array;

use super::vector::Vector;
use crate::layer::{Binary, BinaryFixed, BinaryOp};
use crate::ops::binary::value;

/// Runs the layer; none where it is not one for this kernel: then nothing is written.
///
/// Sixteen values are read before the first of them is written. Equations (8) to (11).
pub fn binary<V: Vector>(isa: V, layer: &Binary, arena: &mut [u8]) -> Option<()> {
    let [za, zb, zc] = [layer.a, layer.b, layer.output].map(|tensor| i32::from(tensor.zero_point));
    let (wa, wb) = (isa.word(za), isa.word(zb));
    if let Some(BinaryFixed { factors, shift }) = layer.fixed {
        let [fa, fb] = factors.map(|factor| isa.word(factor.into()));
        let zc = zc as i16;
        return match layer.op {
            BinaryOp::Add => run(isa, layer, arena, zc, |a, b| {
                let (a, b) = (isa.sub(a, wa), isa.sub(b, wb));
                isa.shift_right(isa.add(isa.mul(a, fa), isa.mul(b, fb)), shift)
            }),
            BinaryOp::Sub => run(isa, layer, arena, zc, |a, b| {
                let (a, b) = (isa.sub(a, wa), isa.sub(b, wb));
                isa.shift_right(isa.sub(isa.mul(a, fa), isa.mul(b, fb)), shift)
            }),
            BinaryOp::Mul => run(isa, layer, arena, zc, |a, b| {
                let product = isa.mul(isa.sub(a, wa), isa.sub(b, wb));
                isa.shift_right(isa.mul(product, fa), shift)
            }),
        };
    }
    let [sa, sb, sc] = layer.scales;
    match layer.op {
        BinaryOp::Add => {
            let (to_a, to_b) = (sa / sc, sb / sc);
            // Else the plain loop, which knows what to make of infinity.
            if to_a.max(to_b) > 1e30 {
                return None;
            }
            let [za, zb, zc] = [za, zb, zc].map(|zero| (zero + 128) as f32);
            let start = isa.float(zc - crate::rounding::fma(to_a, za, to_b * zb));
            let (to_a, to_b, offset) = (isa.float(to_a), isa.float(to_b), isa.word(128));
            run(isa, layer, arena, -128, |a, b| {
                let [a, b] = [a, b].map(|value| isa.to_floats(isa.add(value, offset)));
                isa.to_words(isa.fma(a, to_a, isa.fma(b, to_b, start)))
            })
        }
        BinaryOp::Sub => {
            let (fa, fb, fc) = (isa.float(sa), isa.float(sb), isa.float(sc));
            if sa.max(sb) > 1e30 {
                return None;
            }
            run(isa, layer, arena, zc as i16, |a, b| {
                let a = isa.mul_floats(isa.to_floats(isa.sub(a, wa)), fa);
                let b = isa.mul_floats(isa.to_floats(isa.sub(b, wb)), fb);
                isa.to_words(isa.div_floats(isa.sub_floats(a, b), fc))
            })
        }
        BinaryOp::Mul => {
            let factor = sa * sb / sc;
            if factor.is_nan() || factor > 1e30 {
                return None;
            }
            let (factor, zero) = (isa.float(factor), isa.float((zc + 128) as f32));
            run(isa, layer, arena, -128, |a, b| {
                let product = isa.mul(isa.sub(a, wa), isa.sub(b, wb));
                let real = isa.mul_floats(isa.to_floats(product), factor);
                isa.to_words(isa.add_floats(real, zero))
            })
        }
    }
}

/// `op` makes of two values an output before the zero point.
#[inline(always)]
fn run<V: Vector>(
    isa: V,
    layer: &Binary,
    arena: &mut [u8],
    zero_point: i16,
    op: impl Fn(V::Words, V::Words) -> V::Words,
) -> Option<()> {
    const LANES: usize = 16;
    let (len, period) = (layer.output.shape.len(), layer.b.shape.len());
    let [in_a, in_b, output] =
        [layer.a, layer.b, layer.output].map(|tensor| tensor.offset as usize);
    let ends = [in_a + len, in_b + period, output + len];
    if period == 0 || len % period != 0 || ends.iter().any(|&end| end > arena.len()) {
        return None;
    }
    let (low, high) = (isa.byte(layer.low), isa.byte(layer.high));
    for first in (0..len).step_by(period) {
        let mut index = 0;
        while let Some(b) = arena
            .get(in_b + index..in_b + period)?
            .first_chunk::<LANES>()
        {
            let at = first + index;
            let a = arena.get(in_a + at..)?.first_chunk()?;
            let [a, b] = [a, b].map(|bytes| isa.widen_more(isa.widen(isa.bytes(bytes))));
            let rounded = array::from_fn(|part| op(a[part], b[part]));
            let bytes = isa.min(isa.max(isa.narrow(rounded, zero_point), low), high);
            *arena.get_mut(output + at..)?.first_chunk_mut()? = isa.to_array(bytes);
            index += LANES;
        }
        for index in index..period {
            let at = first + index;
            let a = *arena.get(in_a + at)? as i8;
            let b = *arena.get(in_b + index)? as i8;
            *arena.get_mut(output + at)? = value(layer, a, b) as u8;
        }
    }
    Some(())
}
