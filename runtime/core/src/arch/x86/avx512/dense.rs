//! Fully connected layers: each weight is read once.

use core::arch::x86_64::*;

use super::Constants;
use crate::packing::BLOCK;

/// What makes a signed byte unsigned, in four.
const SIGNS: i32 = i32::from_ne_bytes([0x80; 4]);

/// `input` has as many bytes as there are weights for, `output` one a channel.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
pub fn run(constants: &Constants<'_>, input: &[u8], output: &mut [u8]) {
    assert!(input.len().div_ceil(4) * constants.rows <= constants.fours);
    let blocks = constants.blocks();
    for (quad, output) in output.chunks_mut(4 * BLOCK).enumerate() {
        let first = 4 * quad;
        let sums = if first + 4 <= blocks {
            sums::<4, 1>(constants, input, first)
        } else {
            let mut all = [_mm512_setzero_si512(); 4];
            for block in first..blocks {
                let [sum] = sums::<1, 4>(constants, input, block);
                all[block - first] = sum;
            }
            all
        };
        write(constants, sums, first, output);
    }
    // What follows in the file is most often what the next layer begins with.
    let next = constants.multipliers.as_ptr_range().end;
    for line in 0..16 {
        _mm_prefetch::<_MM_HINT_T0>(next.wrapping_add(64 * line).cast());
    }
}

/// Rounds and writes the channels of four blocks, or those of them that there are.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
fn write(constants: &Constants<'_>, sums: [__m512i; 4], first: usize, output: &mut [u8]) {
    debug_assert!((1..=4 * BLOCK).contains(&output.len()));
    let multipliers = [0, 1, 2, 3].map(|part| constants.multipliers(first + part));
    let bytes = constants.rounder.round(sums, multipliers);
    let mask = u64::MAX >> (64 - output.len());
    // SAFETY: `output` is not empty, of at most 64 bytes, and the mask has as many bits.
    unsafe { _mm512_mask_storeu_epi8(output.as_mut_ptr().cast(), mask, bytes) };
}

/// Accumulators of `B` blocks; each adds up in `S` parts, so that additions need not wait for each
/// other.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512vnni,avx512vbmi")]
#[inline]
fn sums<const B: usize, const S: usize>(
    constants: &Constants<'_>,
    input: &[u8],
    first: usize,
) -> [__m512i; B] {
    assert!(first + B <= constants.blocks());
    let mut sums = [[_mm512_setzero_si512(); S]; B];
    for block in 0..B {
        sums[block][0] = constants.start(first + block);
    }
    let (fours, tail) = input.as_chunks::<4>();
    let (many, few) = fours.as_chunks::<S>();
    let mut four = 0;
    let weights = |block: usize, four: usize| {
        let at = (first + block) * constants.block + four * 4 * BLOCK;
        // SAFETY: the block exists, as asserted, and so does the four: there are no more in the input.
        unsafe { _mm512_loadu_si512(constants.weights.as_ptr().add(at).cast()) }
    };
    for values in many {
        for part in 0..S {
            let values = _mm512_set1_epi32(i32::from_le_bytes(values[part]) ^ SIGNS);
            for block in 0..B {
                let weights = weights(block, four + part);
                sums[block][part] = _mm512_dpbusd_epi32(sums[block][part], values, weights);
            }
        }
        four += S;
    }
    let mut last = [0; 4];
    for (last, byte) in last.iter_mut().zip(tail) {
        *last = *byte;
    }
    let last = if tail.is_empty() { None } else { Some(&last) };
    for values in few.iter().chain(last) {
        let values = _mm512_set1_epi32(i32::from_le_bytes(*values) ^ SIGNS);
        for block in 0..B {
            sums[block][0] = _mm512_dpbusd_epi32(sums[block][0], values, weights(block, four));
        }
        four += 1;
    }
    let mut whole = [_mm512_setzero_si512(); B];
    for block in 0..B {
        whole[block] = sums[block][0];
        for part in 1..S {
            whole[block] = _mm512_add_epi32(whole[block], sums[block][part]);
        }
    }
    whole
}
