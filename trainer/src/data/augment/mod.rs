//! Augmentation: what training may do to a picture that leaves its class as it is.
//!
//! - Of one picture ([`augment`]), on bytes, in this order: random resized crop, rotation, flips, colour
//!   jitter, random erasing.
//! - Of a batch ([`mix()`]), on normalised floats and targets: mixup or cutmix.
//!
//! With everything off, [`augment`] is [`kiln_core::preprocess::preprocess`].

mod mix;
mod pixels;
mod turn;

use kiln_core::preprocess::{Fit, PictureView, PreprocessError, Recipe, preprocess};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use self::mix::{Cut, Mixed, mix};
pub use self::pixels::augment_pixels;

/// What is done to the pictures while training. [`off`](Self::off) is nothing.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AugmentConfig {
    /// Random resized crop (Szegedy et al., "Going deeper with convolutions", 2014): a random part of the
    /// picture is resized to the input.
    pub crop: bool,
    /// The part's area: least and most, as a share of the area that evaluation sees with a
    /// `crop_pct` of 100.
    pub crop_scale: [f32; 2],
    /// The part's width / height: least and most, over that of the area that evaluation sees.
    pub crop_ratio: [f32; 2],
    /// Rotation by ± this many degrees, around the middle; what comes in at the corners is the picture mirrored
    /// at its edges. 180 is any, for things that lie under a camera.
    pub rotate: f32,
    /// Left and right are swapped, one time in two.
    pub flip: bool,
    /// Top and bottom are swapped, one time in two.
    pub flip_vertical: bool,
    /// Colour jitter (Howard, "Some improvements on deep convolutional neural network based image
    /// classification", 2013): pixels are multiplied by 1 ± this.
    pub brightness: f32,
    /// The distance to the picture's mean grey is multiplied by 1 ± this.
    pub contrast: f32,
    /// The distance to the pixel's own grey is multiplied by 1 ± this.
    pub saturation: f32,
    /// Colours are turned by ± this many turns around the grey axis; 0.5 is any.
    pub hue: f32,
    /// Random erasing (Zhong et al., 2017): probability that a rectangle is replaced by noise.
    pub erase: f32,
    /// Mixup (Zhang et al., "mixup: beyond empirical risk minimization", 2017): pictures and targets are
    /// blended in pairs, the share drawn from Beta(this, this). 0 is off; the paper has 0.2 to 0.4.
    pub mixup: f32,
    /// Cutmix (Yun et al., 2019): a rectangle is taken from another picture, and its share of the target;
    /// drawn from Beta(this, this). 0 is off; the paper has 1.
    pub cutmix: f32,
    /// Share of the batches that are mixed at all.
    pub mix_probability: f32,
    /// Where mixup and cutmix are both on: share of the mixed batches that get cutmix.
    pub cutmix_share: f32,
}

impl Default for AugmentConfig {
    /// Crops of 35% to 100% of the area, flips, and light colour jitter.
    fn default() -> Self {
        Self {
            crop: true,
            crop_scale: [0.35, 1.0],
            crop_ratio: [0.75, 1.3333],
            rotate: 0.0,
            flip: true,
            flip_vertical: false,
            brightness: 0.2,
            contrast: 0.2,
            saturation: 0.2,
            hue: 0.0,
            erase: 0.0,
            mixup: 0.0,
            cutmix: 0.0,
            mix_probability: 1.0,
            cutmix_share: 0.5,
        }
    }
}

/// A key of [`AugmentConfig`] is out of its range.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("augment.{key} is {value}: choose {range}")]
pub struct AugmentError {
    /// The key.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What is allowed.
    pub range: &'static str,
}

impl AugmentConfig {
    /// No augmentation, as for evaluation.
    pub fn off() -> Self {
        Self {
            crop: false,
            flip: false,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            ..Self::default()
        }
    }

    /// Whether batches may have soft targets.
    pub fn mixes(&self) -> bool {
        (self.mixup > 0.0 || self.cutmix > 0.0) && self.mix_probability > 0.0
    }

    /// Whether every value is in its range.
    ///
    /// # Errors
    ///
    /// The first key that is not, and its range.
    pub fn check(&self) -> Result<(), AugmentError> {
        let [least, most] = self.crop_scale;
        require(
            0.0 < least && least <= most && most <= 1.0,
            "crop_scale",
            self.crop_scale,
            "[least, most] with 0 < least <= most <= 1",
        )?;
        let [least, most] = self.crop_ratio;
        require(
            0.1 <= least && least <= most && most <= 10.0,
            "crop_ratio",
            self.crop_ratio,
            "[least, most] with 0.1 <= least <= most <= 10",
        )?;
        for (key, value) in [
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("saturation", self.saturation),
            ("erase", self.erase),
            ("mix_probability", self.mix_probability),
            ("cutmix_share", self.cutmix_share),
        ] {
            require((0.0..=1.0).contains(&value), key, value, "0 to 1")?;
        }
        require((0.0..=0.5).contains(&self.hue), "hue", self.hue, "0 to 0.5")?;
        let turned = (0.0..=180.0).contains(&self.rotate);
        require(turned, "rotate", self.rotate, "0 to 180 degrees")?;
        for (key, value) in [("mixup", self.mixup), ("cutmix", self.cutmix)] {
            let allowed = value == 0.0 || (0.01..=100.0).contains(&value);
            require(allowed, key, value, "0 (off) or 0.01 to 100")?;
        }
        Ok(())
    }
}

fn require(
    holds: bool,
    key: &'static str,
    value: impl std::fmt::Debug,
    range: &'static str,
) -> Result<(), AugmentError> {
    if holds {
        return Ok(());
    }
    Err(AugmentError {
        key,
        value: format!("{value:?}"),
        range,
    })
}

/// Brings a picture to the recipe's input, augmented: `out` is [`Recipe::len`] bytes, NHWC. `scratch` grows
/// to what is needed. `config` has been [checked](AugmentConfig::check).
///
/// # Errors
///
/// Those of [`preprocess`].
pub fn augment(
    view: PictureView<'_>,
    recipe: &Recipe,
    config: &AugmentConfig,
    rng: &mut ChaCha8Rng,
    scratch: &mut Vec<i32>,
    out: &mut [u8],
) -> Result<(), PreprocessError> {
    let (view, recipe) = if config.crop {
        random_crop(view, recipe, config, rng)?
    } else {
        (view, *recipe)
    };
    let words = recipe.scratch_len(view.width(), view.height());
    if scratch.len() < words {
        scratch.resize(words, 0);
    }
    preprocess(view, &recipe, scratch, out)?;
    augment_pixels(&recipe, config, rng, out);
    Ok(())
}

/// The part of the picture to resize, and the recipe that does so.
///
/// Area and shape are relative to the part that evaluation would use with a `crop_pct` of 100, so that scale 1
/// and ratio 1 are what it sees then (for square pictures and inputs that is the paper's definition). Where ten
/// draws leave the picture, that part itself is taken.
fn random_crop<'a>(
    view: PictureView<'a>,
    recipe: &Recipe,
    config: &AugmentConfig,
    rng: &mut ChaCha8Rng,
) -> Result<(PictureView<'a>, Recipe), PreprocessError> {
    let whole = Recipe {
        crop_pct: 100,
        ..*recipe
    };
    let seen = whole.place(view.width(), view.height())?.source;
    let (seen_width, seen_height) = (seen.width as f32, seen.height as f32);
    let recipe = Recipe {
        fit: match recipe.fit {
            Fit::Letterbox => Fit::Letterbox,
            Fit::Stretch | Fit::Crop => Fit::Stretch,
        },
        ..whole
    };
    for _ in 0..10 {
        let scale = between(rng, config.crop_scale);
        let ratio = between(rng, config.crop_ratio.map(f32::ln)).exp();
        let width = ((scale * ratio).sqrt() * seen_width).round().max(1.0) as u32;
        let height = ((scale / ratio).sqrt() * seen_height).round().max(1.0) as u32;
        if width <= view.width() && height <= view.height() {
            let x = rng.random_range(0..=view.width() - width);
            let y = rng.random_range(0..=view.height() - height);
            return Ok((view.region(x, y, width, height)?, recipe));
        }
    }
    let whole = view.region(seen.x, seen.y, seen.width, seen.height)?;
    Ok((whole, recipe))
}

/// Uniform in `[least, most]`.
fn between(rng: &mut ChaCha8Rng, [least, most]: [f32; 2]) -> f32 {
    least + (most - least) * rng.random::<f32>()
}

#[cfg(test)]
mod tests {
    use kiln_core::preprocess::Color;

    use super::super::random::stream;
    use super::*;

    fn recipe(fit: Fit, color: Color) -> Recipe {
        Recipe {
            width: 11,
            height: 7,
            fit,
            crop_pct: 100,
            color,
            mean: [0.5; 3],
            std: [0.25; 3],
        }
    }

    /// A picture whose bytes are all but random.
    fn picture(width: u32, height: u32) -> Vec<u8> {
        let mut rgb = vec![0; (width * height * 3) as usize];
        rand::RngCore::fill_bytes(&mut stream("picture", &[]), &mut rgb);
        rgb
    }

    #[test]
    fn off_is_preprocess_to_the_byte() {
        let rgb = picture(29, 23);
        let view = PictureView::new(29, 23, &rgb).unwrap();
        for fit in [Fit::Stretch, Fit::Crop, Fit::Letterbox] {
            for color in [Color::Rgb, Color::Grey] {
                let recipe = recipe(fit, color);
                let mut scratch = vec![0; recipe.scratch_len(29, 23)];
                let mut want = vec![0; recipe.len()];
                preprocess(view, &recipe, &mut scratch, &mut want).unwrap();
                let mut got = vec![1; recipe.len()];
                let mut rng = stream("augment", &[1]);
                let off = AugmentConfig::off();
                augment(view, &recipe, &off, &mut rng, &mut Vec::new(), &mut got).unwrap();
                assert_eq!(got, want, "{fit:?} {color:?}");
            }
        }
    }

    #[test]
    fn a_crop_of_scale_and_ratio_one_is_what_evaluation_sees() {
        let rgb = picture(29, 23);
        let view = PictureView::new(29, 23, &rgb).unwrap();
        let whole = AugmentConfig {
            crop: true,
            crop_scale: [1.0; 2],
            crop_ratio: [1.0; 2],
            ..AugmentConfig::off()
        };
        for fit in [Fit::Stretch, Fit::Letterbox] {
            let recipe = recipe(fit, Color::Rgb);
            let mut outs = [vec![0; recipe.len()], vec![0; recipe.len()]];
            for (config, out) in [AugmentConfig::off(), whole].iter().zip(&mut outs) {
                let mut rng = stream("augment", &[1]);
                augment(view, &recipe, config, &mut rng, &mut Vec::new(), out).unwrap();
            }
            assert_eq!(outs[0], outs[1], "{fit:?}");
        }
    }

    #[test]
    fn the_share_that_evaluation_keeps_changes_no_random_crop() {
        let rgb = picture(29, 23);
        let view = PictureView::new(29, 23, &rgb).unwrap();
        let whole = recipe(Fit::Crop, Color::Rgb);
        let middle = Recipe {
            crop_pct: 60,
            ..whole
        };
        for (config, same) in [
            (AugmentConfig::default(), true),
            (AugmentConfig::off(), false),
        ] {
            let mut outs = [vec![0; whole.len()], vec![0; whole.len()]];
            for (recipe, out) in [whole, middle].iter().zip(&mut outs) {
                let mut rng = stream("augment", &[3]);
                augment(view, recipe, &config, &mut rng, &mut Vec::new(), out).unwrap();
            }
            assert_eq!(outs[0] == outs[1], same);
        }
    }

    #[test]
    fn crops_have_the_stated_area_and_shape() {
        struct Case {
            fit: Fit,
            size: (u32, u32),
            seen: (f32, f32),
        }
        let cases = [
            Case {
                fit: Fit::Stretch,
                size: (300, 200),
                seen: (300.0, 200.0),
            },
            Case {
                fit: Fit::Letterbox,
                size: (200, 300),
                seen: (200.0, 300.0),
            },
            Case {
                fit: Fit::Crop,
                size: (440, 140),
                seen: (220.0, 140.0),
            },
        ];
        let config = AugmentConfig {
            crop: true,
            crop_scale: [0.25, 0.5],
            crop_ratio: [0.8, 1.25],
            ..AugmentConfig::off()
        };
        for Case { fit, size, seen } in cases {
            let rgb = picture(size.0, size.1);
            let view = PictureView::new(size.0, size.1, &rgb).unwrap();
            let recipe = recipe(fit, Color::Rgb);
            let mut areas = Vec::new();
            for index in 0..300 {
                let mut rng = stream("crop", &[index]);
                let (region, _) = random_crop(view, &recipe, &config, &mut rng).unwrap();
                let across = region.width() as f32 / seen.0;
                let down = region.height() as f32 / seen.1;
                assert!((0.24..0.52).contains(&(across * down)), "{fit:?}");
                assert!((0.78..1.28).contains(&(across / down)), "{fit:?}");
                areas.push(across * down);
            }
            areas.sort_by(f32::total_cmp);
            assert!(areas[20] < 0.29 && areas[280] > 0.46, "{fit:?}: not spread");
        }
    }

    #[test]
    fn the_same_stream_gives_the_same_bytes() {
        let rgb = picture(40, 30);
        let view = PictureView::new(40, 30, &rgb).unwrap();
        let recipe = recipe(Fit::Stretch, Color::Rgb);
        let config = AugmentConfig {
            erase: 0.5,
            hue: 0.1,
            ..AugmentConfig::default()
        };
        let bytes = |index: u64, scratch: &mut Vec<i32>| {
            let mut out = vec![0; recipe.len()];
            let mut rng = stream("augment", &[index]);
            augment(view, &recipe, &config, &mut rng, scratch, &mut out).unwrap();
            out
        };
        let used = &mut vec![-1; 5000];
        assert_eq!(bytes(3, &mut Vec::new()), bytes(3, used));
        assert_ne!(bytes(3, used), bytes(4, used));
    }

    #[test]
    fn a_value_out_of_range_is_named() {
        let good = AugmentConfig::default();
        assert_eq!(good.check(), Ok(()));
        assert_eq!(AugmentConfig::off().check(), Ok(()));
        let bad = [
            (
                "crop_scale",
                AugmentConfig {
                    crop_scale: [0.0, 1.0],
                    ..good
                },
            ),
            (
                "crop_scale",
                AugmentConfig {
                    crop_scale: [0.9, 0.1],
                    ..good
                },
            ),
            (
                "crop_ratio",
                AugmentConfig {
                    crop_ratio: [f32::NAN, 1.0],
                    ..good
                },
            ),
            (
                "contrast",
                AugmentConfig {
                    contrast: -0.1,
                    ..good
                },
            ),
            ("hue", AugmentConfig { hue: 0.6, ..good }),
            ("erase", AugmentConfig { erase: 1.5, ..good }),
            (
                "rotate",
                AugmentConfig {
                    rotate: 200.0,
                    ..good
                },
            ),
            (
                "cutmix",
                AugmentConfig {
                    cutmix: f32::INFINITY,
                    ..good
                },
            ),
            (
                "mixup",
                AugmentConfig {
                    mixup: 0.001,
                    ..good
                },
            ),
        ];
        for (key, config) in bad {
            let error = config.check().unwrap_err();
            assert_eq!(error.key, key, "{error}");
        }
        let error = AugmentConfig { erase: 1.5, ..good }.check().unwrap_err();
        assert_eq!(error.to_string(), "augment.erase is 1.5: choose 0 to 1");
    }

    #[test]
    fn it_is_written_to_toml_and_read_back() {
        let config = AugmentConfig {
            mixup: 0.2,
            ..AugmentConfig::default()
        };
        let text = toml::to_string(&config).unwrap();
        assert!(text.contains("crop_scale = [0.35, 1.0]"), "{text}");
        assert_eq!(toml::from_str::<AugmentConfig>(&text).unwrap(), config);
        let partial: AugmentConfig = toml::from_str("flip = false").unwrap();
        assert!(partial.crop && !partial.flip);
        let error = toml::from_str::<AugmentConfig>("flipp = false").unwrap_err();
        assert!(error.to_string().contains("flipp"), "{error}");
    }
}
