//! A convolution's constants, as inner loops take them.

use core::ptr::NonNull;

use crate::layer::Conv;

/// Pointers to what is one for each output channel.
#[derive(Clone, Copy)]
pub struct Constants {
    /// i8 or i16 by the packing.
    pub weights: *const u8,
    /// i32.
    pub bias: *const i32,
    /// f32.
    pub multipliers: *const f32,
    /// i32, or zeros for as many channels as go together.
    pub factors: *const i32,
    /// Whether there are factors.
    pub fixed: bool,
}

/// No factors of channels that go together.
static NONE: [i32; 4] = [0; 4];

/// What words are for four channels that are not all there.
#[derive(Clone, Copy, Default)]
pub struct Last {
    bias: [i32; 4],
    multipliers: [f32; 4],
    factors: [i32; 4],
}

/// Where so many words lie; none where there are fewer, or not at a multiple of 4.
#[inline(never)]
fn words(bytes: &[u8], count: usize) -> Option<NonNull<u8>> {
    let place = NonNull::new(bytes.as_ptr().cast_mut());
    let fits = bytes.as_ptr().addr().is_multiple_of(4) && bytes.len() / 4 >= count;
    place.filter(|_| fits)
}

impl Constants {
    /// None where one is too short or does not lie at a multiple of 4.
    pub fn of(conv: &Conv<'_>) -> Option<Self> {
        let channels = conv.output.shape.channels as usize;
        let weights = conv.packing.len(conv.kernel_shape()).div_ceil(4);
        let fixed = !conv.rounding.fixed.is_empty();
        // Where there are none, each channel has a factor: they are read, but nothing is made of them, and any as
        // many words will do.
        let multipliers = match conv.rounding.multipliers {
            [] => conv.rounding.fixed,
            multipliers => multipliers,
        };
        Some(Self {
            weights: words(conv.weights, weights)?.as_ptr(),
            bias: words(conv.bias, channels)?.cast().as_ptr(),
            multipliers: words(multipliers, channels)?.cast().as_ptr(),
            factors: match fixed {
                true => words(conv.rounding.fixed, channels)?.cast().as_ptr(),
                false => NONE.as_ptr(),
            },
            fixed,
        })
    }

    /// Bytes between the factors of channels that go together, if there are `count` of them.
    pub const fn factor_step(&self, count: usize) -> usize {
        if self.fixed { 4 * count } else { 0 }
    }

    /// Those of the channels from `first` on, the last of `channels` for those that are not there.
    ///
    /// # Safety
    ///
    /// The constants are those of a convolution with so many output channels, more than `first`.
    pub unsafe fn last(&self, first: usize, channels: usize) -> Last {
        let mut last = Last::default();
        for index in 0..4 {
            let channel = (first + index).min(channels - 1);
            // SAFETY: there are so many biases, multipliers and, where there are any, factors.
            unsafe {
                last.bias[index] = self.bias.add(channel).read();
                last.multipliers[index] = self.multipliers.add(channel).read();
                if self.fixed {
                    last.factors[index] = self.factors.add(channel).read();
                }
            }
        }
        last
    }

    /// With words from elsewhere, and weights that begin so many bytes later.
    pub const fn with(&self, last: &Last, weights: usize) -> Self {
        Self {
            weights: self.weights.wrapping_add(weights),
            bias: last.bias.as_ptr(),
            multipliers: last.multipliers.as_ptr(),
            factors: last.factors.as_ptr(),
            fixed: true,
        }
    }

    /// Bytes from biases to multipliers.
    pub fn multipliers_behind(&self) -> isize {
        self.multipliers.addr().wrapping_sub(self.bias.addr()) as isize
    }
}
