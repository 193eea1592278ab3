use super::{MAX_INPUT_SIDE, MAX_SIDE, PreprocessError, scratch_len};

/// How a picture of another shape is brought to the model's shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// Both sides are scaled on their own: the whole picture, its shape not kept.
    Stretch,
    /// The largest centred part of the model's shape.
    Crop,
    /// The whole picture with its shape kept; what is left over is grey ([`LETTERBOX_GREY`]).
    ///
    /// [`LETTERBOX_GREY`]: super::LETTERBOX_GREY
    Letterbox,
}

/// What the model's channels hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Color {
    /// Red, green, blue.
    Rgb,
    /// One channel of luma (ITU-R BT.601).
    Grey,
}

impl Color {
    /// 3 or 1.
    pub const fn channels(self) -> usize {
        match self {
            Self::Rgb => 3,
            Self::Grey => 1,
        }
    }
}

/// How a picture becomes a model's input. It travels inside the model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// The input's columns.
    pub width: u16,
    /// The input's rows.
    pub height: u16,
    /// How the shape is fitted.
    pub fit: Fit,
    /// Per cent of each side of what [`fit`](Self::fit) uses that are used, around the middle: 1 to 100.
    pub crop_pct: u8,
    /// The input's channels.
    pub color: Color,
    /// Subtracted from each channel's pixel value in 0..=1. Grey uses the first.
    pub mean: [f32; 3],
    /// Divides what is left. Grey uses the first.
    pub std: [f32; 3],
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rect {
    /// The first column.
    pub x: u32,
    /// The first row.
    pub y: u32,
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
}

/// What of a picture goes where in the model's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The part of the picture that is used.
    pub source: Rect,
    /// The part of the input that it is resized to.
    pub target: Rect,
}

impl Recipe {
    /// The input's channels: 3 or 1.
    pub const fn channels(&self) -> usize {
        self.color.channels()
    }

    /// The input's bytes: height * width * channels.
    pub const fn len(&self) -> usize {
        (self.height as usize)
            .saturating_mul(self.width as usize)
            .saturating_mul(self.channels())
    }

    /// Whether a side is zero.
    pub const fn is_empty(&self) -> bool {
        self.width == 0 || self.height == 0
    }

    /// Whether a model may carry this recipe.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::InputSize`], [`PreprocessError::CropPct`], [`PreprocessError::Mean`] or
    /// [`PreprocessError::Std`]. The channels that the colour does not use are not looked at.
    pub fn check(&self) -> Result<(), PreprocessError> {
        let sides = 1..=MAX_INPUT_SIDE;
        if !sides.contains(&self.width) || !sides.contains(&self.height) {
            return Err(PreprocessError::InputSize);
        }
        if !(1..=100).contains(&self.crop_pct) {
            return Err(PreprocessError::CropPct);
        }
        for channel in 0..self.channels() {
            if !self.mean[channel].is_finite() {
                return Err(PreprocessError::Mean);
            }
            let (std, end) = (self.std[channel], |value| self.normalise(channel, value));
            let positive = std > 0.0 && std <= f32::MAX;
            if !positive || !end(0).is_finite() || !end(255).is_finite() {
                return Err(PreprocessError::Std);
            }
        }
        Ok(())
    }

    /// What the float model sees for a byte of the preprocessed picture.
    ///
    /// `((f32(value) / 255) - mean) / std`, each of the three operations rounded to the nearest
    /// f32 (ties to even), in this order, none fused: the same bits on every machine. A channel
    /// above 2 is taken as 2.
    pub const fn normalise(&self, channel: usize, value: u8) -> f32 {
        let channel = if channel < 3 { channel } else { 2 };
        (value as f32 / 255.0 - self.mean[channel]) / self.std[channel]
    }

    /// [`normalise`](Self::normalise) of all 256 bytes.
    pub fn table(&self, channel: usize) -> [f32; 256] {
        let mut table = [0.0; 256];
        for (entry, value) in table.iter_mut().zip(0..=255) {
            *entry = self.normalise(channel, value);
        }
        table
    }

    /// What of a picture of `width * height` pixels goes where in the input. Equations (7) to
    /// (9) of the [module](super). A `crop_pct` above 100 is taken as 100, and one pixel is always used.
    ///
    /// # Errors
    ///
    /// [`PreprocessError::Size`] if a side of the picture is not in `1..=MAX_SIDE`,
    /// [`PreprocessError::InputSize`] if one of the recipe is not in `1..=MAX_INPUT_SIDE`.
    pub const fn place(&self, width: u32, height: u32) -> Result<Placement, PreprocessError> {
        if width == 0 || width > MAX_SIDE || height == 0 || height > MAX_SIDE {
            return Err(PreprocessError::Size);
        }
        if self.is_empty() || self.width > MAX_INPUT_SIDE || self.height > MAX_INPUT_SIDE {
            return Err(PreprocessError::InputSize);
        }
        let picture = (width, height);
        let input = (self.width as u32, self.height as u32);
        let (used, target) = match self.fit {
            Fit::Stretch => (picture, input),
            Fit::Crop => (largest_within(picture, input), input),
            Fit::Letterbox => (picture, largest_within(input, picture)),
        };
        let pct = if self.crop_pct > 100 {
            100
        } else {
            self.crop_pct as u32
        };
        let source = (scaled(used.0, pct, 100), scaled(used.1, pct, 100));
        Ok(Placement {
            source: centred(source, picture),
            target: centred(target, input),
        })
    }

    /// Words of scratch to preprocess pictures of `width * height` pixels; 0 if they are refused.
    /// Never more than [`scratch_len`] of the picture's and the input's whole sides.
    pub const fn scratch_len(&self, width: u32, height: u32) -> usize {
        match self.place(width, height) {
            Ok(Placement { source, target }) => {
                scratch_len(source.width, source.height, target.width, target.height)
            }
            Err(_) => 0,
        }
    }
}

/// The largest size within `outer` that has the shape of `shape`; rounded half up, at least 1. Sides
/// are up to `MAX_SIDE`, so that products have 32 bits.
const fn largest_within(outer: (u32, u32), shape: (u32, u32)) -> (u32, u32) {
    let ((width, height), (across, down)) = (outer, shape);
    if width * down >= height * across {
        (scaled(height, across, down), height)
    } else {
        (width, scaled(width, down, across))
    }
}

const _: () = assert!(MAX_SIDE.checked_mul(MAX_SIDE).is_some());

/// `side * up / down`, rounded half up, at least 1.
#[inline(never)]
const fn scaled(side: u32, up: u32, down: u32) -> u32 {
    let product = side * up;
    let Some(whole) = product.checked_div(down) else {
        return 1;
    };
    let rounded = whole + (2 * (product - whole * down) >= down) as u32;
    if rounded == 0 { 1 } else { rounded }
}

const fn centred(inner: (u32, u32), outer: (u32, u32)) -> Rect {
    Rect {
        x: (outer.0 - inner.0) / 2,
        y: (outer.1 - inner.1) / 2,
        width: inner.0,
        height: inner.1,
    }
}

#[cfg(test)]
mod tests {
    use super::super::reference::Random;
    use super::*;

    const RECIPE: Recipe = Recipe {
        width: 6,
        height: 4,
        fit: Fit::Stretch,
        crop_pct: 100,
        color: Color::Rgb,
        mean: [0.485, 0.456, 0.406],
        std: [0.229, 0.224, 0.225],
    };

    #[test]
    fn lengths() {
        assert_eq!((RECIPE.channels(), RECIPE.len()), (3, 72));
        let color = Color::Grey;
        let grey = Recipe { color, ..RECIPE };
        assert_eq!((grey.channels(), grey.len()), (1, 24));
        let huge = Recipe {
            width: u16::MAX,
            height: u16::MAX,
            ..RECIPE
        };
        assert_eq!(
            huge.len() as u64,
            (65535 * 65535 * 3).min(usize::MAX as u64)
        );
        assert!(!RECIPE.is_empty() && Recipe { width: 0, ..RECIPE }.is_empty());
    }

    #[test]
    fn check_names_what_is_wrong() {
        assert_eq!(RECIPE.check(), Ok(()));
        let sides = [(0, 4), (4, 0), (4097, 4), (4, u16::MAX)];
        for (width, height) in sides {
            let recipe = Recipe {
                width,
                height,
                ..RECIPE
            };
            assert_eq!(recipe.check(), Err(PreprocessError::InputSize));
            assert_eq!(recipe.place(9, 9), Err(PreprocessError::InputSize));
            assert_eq!(recipe.scratch_len(9, 9), 0);
        }
        for crop_pct in [0, 101, 255] {
            let recipe = Recipe { crop_pct, ..RECIPE };
            assert_eq!(recipe.check(), Err(PreprocessError::CropPct));
            let side = if crop_pct == 0 { 1 } else { 9 };
            let source = recipe.place(9, 9).unwrap().source;
            assert_eq!((source.width, source.height), (side, side));
        }
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for channel in 0..3 {
                let mut recipe = RECIPE;
                recipe.mean[channel] = bad;
                assert_eq!(recipe.check(), Err(PreprocessError::Mean));
            }
        }
        for bad in [f32::NAN, f32::INFINITY, 0.0, -0.0, -1.0, 1e-45] {
            for channel in 0..3 {
                let mut recipe = RECIPE;
                recipe.std[channel] = bad;
                assert_eq!(recipe.check(), Err(PreprocessError::Std));
            }
        }
        let unused = Recipe {
            color: Color::Grey,
            mean: [0.5, f32::NAN, 0.0],
            std: [0.5, 0.0, 0.0],
            ..RECIPE
        };
        assert_eq!(unused.check(), Ok(()));
    }

    /// The bits are those of numpy's float32.
    #[test]
    fn normalise_rounds_after_each_operation() {
        let cases = [
            (0, 128, 0x3d97_af32),
            (2, 255, 0x4028_f5c3),
            (1, 1, 0xc001_2a4f),
            (usize::MAX, 255, 0x4028_f5c3),
        ];
        for (channel, value, bits) in cases {
            assert_eq!(RECIPE.normalise(channel, value).to_bits(), bits);
        }
        let table = RECIPE.table(1);
        for (value, entry) in (0..=255).zip(table) {
            assert_eq!(entry.to_bits(), RECIPE.normalise(1, value).to_bits());
        }
    }

    #[test]
    fn places() {
        let rect = |x, y, width, height| Rect {
            x,
            y,
            width,
            height,
        };
        let all = rect(0, 0, 6, 4);
        // fit, picture, source, target
        let cases = [
            (Fit::Stretch, (5, 9), rect(0, 0, 5, 9), all),
            (Fit::Crop, (12, 8), rect(0, 0, 12, 8), all),
            (Fit::Crop, (15, 8), rect(1, 0, 12, 8), all),
            (Fit::Crop, (12, 11), rect(0, 1, 12, 8), all),
            // 7 * 6 / 4 = 10.5 and 7 * 4 / 6 = 4.67.
            (Fit::Crop, (20, 7), rect(4, 0, 11, 7), all),
            (Fit::Crop, (7, 20), rect(0, 7, 7, 5), all),
            (Fit::Crop, (1, 50), rect(0, 24, 1, 1), all),
            (Fit::Crop, (50, 1), rect(24, 0, 2, 1), all),
            (Fit::Letterbox, (12, 8), rect(0, 0, 12, 8), all),
            (Fit::Letterbox, (3, 1), rect(0, 0, 3, 1), rect(0, 1, 6, 2)),
            (Fit::Letterbox, (5, 5), rect(0, 0, 5, 5), rect(1, 0, 4, 4)),
            // 4 * 5 / 8 = 2.5, an odd rest of 3.
            (Fit::Letterbox, (5, 8), rect(0, 0, 5, 8), rect(1, 0, 3, 4)),
            (
                Fit::Letterbox,
                (60000, 1),
                rect(0, 0, 60000, 1),
                rect(0, 1, 6, 1),
            ),
            (
                Fit::Letterbox,
                (1, 60000),
                rect(0, 0, 1, 60000),
                rect(2, 0, 1, 4),
            ),
        ];
        for (fit, (width, height), source, target) in cases {
            let recipe = Recipe { fit, ..RECIPE };
            assert_eq!(
                recipe.place(width, height),
                Ok(Placement { source, target }),
                "{fit:?} of {width} x {height}"
            );
        }
        // fit, per cent, picture, source, target
        let cases = [
            (Fit::Stretch, 90, (128, 100), rect(6, 5, 115, 90), all),
            // 4.5 and 8.1
            (Fit::Stretch, 90, (5, 9), rect(0, 0, 5, 8), all),
            (Fit::Crop, 50, (15, 8), rect(4, 2, 6, 4), all),
            (
                Fit::Letterbox,
                80,
                (5, 8),
                rect(0, 1, 4, 6),
                rect(1, 0, 3, 4),
            ),
            (Fit::Stretch, 1, (60, 1000), rect(29, 495, 1, 10), all),
        ];
        for (fit, crop_pct, (width, height), source, target) in cases {
            let recipe = Recipe {
                fit,
                crop_pct,
                ..RECIPE
            };
            assert_eq!(
                recipe.place(width, height),
                Ok(Placement { source, target }),
                "{crop_pct}% of {width} x {height}"
            );
        }
        for (width, height) in [(0, 1), (1, 0), (u32::MAX, 1), (1, MAX_SIDE + 1)] {
            let place = RECIPE.place(width, height);
            assert_eq!(place, Err(PreprocessError::Size));
        }
    }

    #[test]
    fn a_place_lies_inside_and_needs_no_more_scratch_than_the_whole() {
        let mut random = Random(9);
        for _ in 0..3000 {
            let (width, height) = (random.side(MAX_SIDE), random.side(3000));
            for fit in [Fit::Stretch, Fit::Crop, Fit::Letterbox] {
                let recipe = Recipe {
                    width: random.side(4096) as u16,
                    height: random.side(300) as u16,
                    fit,
                    crop_pct: random.side(100) as u8,
                    ..RECIPE
                };
                let (w, h) = (u32::from(recipe.width), u32::from(recipe.height));
                let Placement { source, target } = recipe.place(width, height).unwrap();
                for (inner, outer) in [(source, (width, height)), (target, (w, h))] {
                    assert!(inner.width > 0 && inner.height > 0);
                    assert!(inner.x + inner.width <= outer.0);
                    assert!(inner.y + inner.height <= outer.1);
                }
                let needed = recipe.scratch_len(width, height);
                assert!(0 < needed && needed <= scratch_len(width, height, w, h));
            }
        }
    }
}
