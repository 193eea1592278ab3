//! Register tiles: the two inner loops that every convolution here is made of.
//!
//! Pictures lie as NHWC, so that output channels fill the vector lanes and the taps of one kernel
//! row are one contiguous run of `kernel width × channels` numbers.
//!
//! - [`Correlate`] keeps eight pixels × one or two vectors of output channels in registers and adds
//!   `pixel value × weights` along the taps (forward pass and input gradient).
//! - [`Outer`] keeps a few taps × output channels in registers and adds along the pixels (weight
//!   gradient).
//!
//! The instruction set is chosen at run time by `pulp`.

#![allow(
    clippy::needless_range_loop,
    reason = "loops of constant length keep a tile in registers"
)]

use pulp::{Arch, Simd, WithSimd};

/// Vector width of this machine, in `f32` lanes, and how many such registers it has.
pub(super) fn lanes() -> (usize, usize) {
    struct Probe;
    impl WithSimd for Probe {
        type Output = (usize, usize);
        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> (usize, usize) {
            (S::F32_LANES, S::REGISTER_COUNT)
        }
    }
    Arch::new().dispatch(Probe)
}

/// How many vectors of output channels one tile holds for `channels` outputs: 1 or 2.
pub(super) fn vectors(channels: usize) -> usize {
    let (lanes, registers) = lanes();
    if registers >= 32 && channels > lanes {
        2
    } else {
        1
    }
}

/// Loads one vector; lanes beyond the slice are zero.
#[inline(always)]
pub(super) fn load<S: Simd>(simd: S, from: &[f32]) -> S::f32s {
    if from.len() >= S::F32_LANES {
        S::as_simd_f32s(&from[..S::F32_LANES]).0[0]
    } else {
        simd.partial_load_f32s(from)
    }
}

/// Stores as many lanes as the slice has room for.
#[inline(always)]
pub(super) fn store<S: Simd>(simd: S, to: &mut [f32], value: S::f32s) {
    if to.len() >= S::F32_LANES {
        S::as_mut_simd_f32s(&mut to[..S::F32_LANES]).0[0] = value;
    } else {
        simd.partial_store_f32s(to, value);
    }
}

/// A contiguous run of taps: where it starts relative to a pixel's window, where its weights start
/// in a panel (in taps), and how many numbers it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment {
    pub offset: usize,
    pub depth: usize,
    pub len: usize,
}

/// Correlation of one (padded) picture with packed weights.
///
/// `out[y * out_row + x * out_step + k] = Σ a[y * a_row + x * a_step + offset + i] × w[depth + i][k]`
/// over all segments and `i < len`, for `y < height`, `x < width`, `k < channels`.
pub(super) struct Correlate<'a> {
    pub a: &'a [f32],
    pub a_row: usize,
    pub a_step: usize,
    pub segments: &'a [Segment],
    /// `[channels / (vectors × lanes), rounded up][depth][vectors × lanes]`
    pub panels: &'a [f32],
    pub depth: usize,
    pub vectors: usize,
    pub out: &'a mut [f32],
    pub out_row: usize,
    pub out_step: usize,
    pub channels: usize,
    pub height: usize,
    pub width: usize,
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        if S::IS_SCALAR {
            return self.run::<S, 1, 0>(simd);
        }
        // A step that the compiler knows needs one pointer for all pixels of a tile.
        match (self.vectors, self.a_step) {
            (1, 3) => self.run::<S, 1, 3>(simd),
            (1, 8) => self.run::<S, 1, 8>(simd),
            (1, 16) => self.run::<S, 1, 16>(simd),
            (1, 24) => self.run::<S, 1, 24>(simd),
            (1, 32) => self.run::<S, 1, 32>(simd),
            (1, 64) => self.run::<S, 1, 64>(simd),
            (1, _) => self.run::<S, 1, 0>(simd),
            (_, 3) => self.run::<S, 2, 3>(simd),
            (_, 16) => self.run::<S, 2, 16>(simd),
            (_, 24) => self.run::<S, 2, 24>(simd),
            (_, 32) => self.run::<S, 2, 32>(simd),
            (_, 48) => self.run::<S, 2, 48>(simd),
            (_, 64) => self.run::<S, 2, 64>(simd),
            (_, 96) => self.run::<S, 2, 96>(simd),
            (_, 128) => self.run::<S, 2, 128>(simd),
            (_, _) => self.run::<S, 2, 0>(simd),
        }
    }
}

impl Correlate<'_> {
    /// `STEP` is the step between pixels, or 0.
    #[inline(always)]
    fn run<S: Simd, const V: usize, const STEP: usize>(mut self, simd: S) {
        let (panels, _) = S::as_simd_f32s(self.panels);
        let many = S::REGISTER_COUNT >= 32 && V == 1 && STEP > 0;
        for y in 0..self.height {
            for (index, panel) in panels.chunks_exact(self.depth * V).enumerate() {
                let mut x = 0;
                while x < self.width {
                    let left = self.width - x;
                    let at = (y, x, index * V * S::F32_LANES);
                    x += if many && left >= 16 {
                        self.pixels::<S, 16, V, STEP>(simd, at, panel)
                    } else if left >= 8 {
                        self.pixels::<S, 8, V, STEP>(simd, at, panel)
                    } else if left >= 4 {
                        self.pixels::<S, 4, V, 0>(simd, at, panel)
                    } else {
                        self.pixels::<S, 1, V, 0>(simd, at, panel)
                    };
                }
            }
        }
    }

    /// `M` pixels from `x` on, `V` vectors of output channels from `first` on; returns `M`.
    #[inline(always)]
    fn pixels<S: Simd, const M: usize, const V: usize, const STEP: usize>(
        &mut self,
        simd: S,
        (y, x, first): (usize, usize, usize),
        panel: &[S::f32s],
    ) -> usize {
        let a = &self.a[y * self.a_row + x * self.a_step..];
        let mut sums = [[simd.splat_f32s(0.0); V]; M];
        for segment in self.segments {
            let weights = panel[segment.depth * V..][..segment.len * V].chunks_exact(V);
            if STEP > 0 {
                let span = (M - 1) * STEP + 1;
                let windows = a[segment.offset..][..segment.len + span - 1].windows(span);
                for (window, weights) in windows.zip(weights) {
                    for m in 0..M {
                        let value = simd.splat_f32s(window[m * STEP]);
                        for v in 0..V {
                            sums[m][v] = simd.mul_add_f32s(value, weights[v], sums[m][v]);
                        }
                    }
                }
            } else {
                let pixels: [&[f32]; M] =
                    std::array::from_fn(|m| &a[segment.offset + m * self.a_step..][..segment.len]);
                for (i, weights) in (0..segment.len).zip(weights) {
                    for m in 0..M {
                        let value = simd.splat_f32s(pixels[m][i]);
                        for v in 0..V {
                            sums[m][v] = simd.mul_add_f32s(value, weights[v], sums[m][v]);
                        }
                    }
                }
            }
        }
        let start = y * self.out_row + x * self.out_step + first;
        let count = (V * S::F32_LANES).min(self.channels - first);
        for m in 0..M {
            let out = &mut self.out[start + m * self.out_step..][..count];
            for v in 0..V {
                let first = count.min(v * S::F32_LANES);
                let end = count.min(first + S::F32_LANES);
                store(simd, &mut out[first..end], sums[m][v]);
            }
        }
        M
    }
}

/// Sum over pixels of `window ⊗ gradient` for one (padded) picture.
///
/// `out[t * run + r][k] += Σ a[(y × a_row × stride) + t × tap_row + x × a_step + r] × dy[y][x][k]`
/// for kernel rows `t < taps` and `r < run`; `out` and `dy` have `channels` numbers per row, a
/// multiple of `vectors × lanes`.
pub(super) struct Outer<'a> {
    pub a: &'a [f32],
    /// Distance between the windows of two output rows.
    pub a_row: usize,
    /// Distance between the windows of two output pixels.
    pub a_step: usize,
    /// Distance between two kernel rows.
    pub tap_row: usize,
    pub taps: usize,
    pub run: usize,
    pub dy: &'a [f32],
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    pub vectors: usize,
    pub out: &'a mut [f32],
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        // Rows of output are taken a few at a time, so that they stay in the first-level cache.
        const CACHED: usize = 4096;
        let rows = (CACHED / (self.width * self.channels).max(1)).clamp(1, self.height.max(1));
        let mut y = 0;
        while y < self.height {
            let rows = rows.min(self.height - y);
            for tap in 0..self.taps {
                match self.vectors {
                    1 => self.tap::<S, 1>(simd, tap, y, rows),
                    _ => self.tap::<S, 2>(simd, tap, y, rows),
                }
            }
            y += rows;
        }
    }
}

impl Outer<'_> {
    #[inline(always)]
    fn tap<S: Simd, const V: usize>(&mut self, simd: S, tap: usize, y: usize, rows: usize) {
        let wide = S::REGISTER_COUNT >= 32 && V == 1;
        let mut r = 0;
        while r < self.run {
            let left = self.run - r;
            let at = (tap, y, rows, r);
            r += if wide && left >= 16 {
                self.tile::<S, 16, V>(simd, at)
            } else if left == 9 {
                self.tile::<S, 9, V>(simd, at)
            } else if left >= 8 {
                self.tile::<S, 8, V>(simd, at)
            } else if left >= 4 {
                self.tile::<S, 4, V>(simd, at)
            } else {
                self.tile::<S, 1, V>(simd, at)
            };
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const V: usize>(
        &mut self,
        simd: S,
        (tap, y, rows, r): (usize, usize, usize, usize),
    ) -> usize {
        let (channels, lanes) = (self.channels, S::F32_LANES);
        for first in (0..channels).step_by(V * lanes) {
            let mut sums = [[simd.splat_f32s(0.0); V]; M];
            for y in y..y + rows {
                let mut a = &self.a[y * self.a_row + tap * self.tap_row + r..];
                let dy = &self.dy[y * self.width * channels..][..self.width * channels];
                for dy in dy.chunks_exact(channels) {
                    let (dy, _) = S::as_simd_f32s(&dy[first..][..V * lanes]);
                    let window = &a[..M];
                    for m in 0..M {
                        let value = simd.splat_f32s(window[m]);
                        for v in 0..V {
                            sums[m][v] = simd.mul_add_f32s(value, dy[v], sums[m][v]);
                        }
                    }
                    a = &a[self.a_step.min(a.len())..];
                }
            }
            for m in 0..M {
                let row = (tap * self.run + r + m) * channels + first;
                let (out, _) = S::as_mut_simd_f32s(&mut self.out[row..][..V * lanes]);
                for v in 0..V {
                    out[v] = simd.add_f32s(out[v], sums[m][v]);
                }
            }
        }
        M
    }
}
