//! Mixup and cutmix: pictures of a batch are mixed in pairs, and their targets with them.

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Beta, Distribution};

use super::AugmentConfig;

/// How a batch was mixed.
#[derive(Clone, Debug, PartialEq)]
pub struct Mixed {
    /// The rectangle that came from the partner; none for mixup.
    pub cut: Option<Cut>,
    /// The picture's own share; the partner has the rest.
    pub own: f32,
    /// For each picture, the one that it was mixed with.
    pub partners: Vec<usize>,
}

/// A rectangle of pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Columns from `left` up to and without `right`.
    pub left: usize,
    /// Rows from `top` up to and without `bottom`.
    pub top: usize,
    /// See `left`.
    pub right: usize,
    /// See `top`.
    pub bottom: usize,
}

/// Mixes a batch: `pixels` of `shape` (`[n, channels, height, width]`) and `targets` (`[n, classes]`).
///
/// One share for the batch; partners are a random permutation. None where the configuration or the dice say
/// no, or there is but one picture.
pub fn mix(
    config: &AugmentConfig,
    rng: &mut ChaCha8Rng,
    shape: [usize; 4],
    pixels: &mut [f32],
    targets: &mut [f32],
) -> Option<Mixed> {
    let [count, _, height, width] = shape;
    if count < 2 || pixels.len() < count || targets.len() < count {
        return None;
    }
    if !config.mixes() || rng.random::<f32>() >= config.mix_probability {
        return None;
    }
    let cutting = if config.mixup > 0.0 && config.cutmix > 0.0 {
        rng.random::<f32>() < config.cutmix_share
    } else {
        config.cutmix > 0.0
    };
    let alpha = if cutting { config.cutmix } else { config.mixup };
    let drawn = Beta::new(alpha, alpha).ok()?.sample(rng).clamp(0.0, 1.0);
    let mut partners: Vec<usize> = (0..count).collect();
    partners.shuffle(rng);

    let (cut, own) = if cutting {
        let cut = random_cut(rng, drawn, height, width);
        let taken = (cut.right - cut.left) * (cut.bottom - cut.top);
        (Some(cut), 1.0 - taken as f32 / (height * width) as f32)
    } else {
        (None, drawn)
    };
    let unmixed = pixels.to_vec();
    let picture_len = pixels.len() / count;
    for (picture, &partner) in pixels.chunks_exact_mut(picture_len).zip(&partners) {
        let other = &unmixed[partner * picture_len..][..picture_len];
        match &cut {
            Some(cut) => paste(picture, other, width, height, cut),
            None => blend(picture, other, own),
        }
    }
    let unmixed = targets.to_vec();
    let classes = targets.len() / count;
    for (target, &partner) in targets.chunks_exact_mut(classes).zip(&partners) {
        blend(target, &unmixed[partner * classes..][..classes], own);
    }
    Some(Mixed { cut, own, partners })
}

fn blend(own: &mut [f32], other: &[f32], share: f32) {
    for (value, other) in own.iter_mut().zip(other) {
        *value = *value * share + other * (1.0 - share);
    }
}

/// A rectangle of the picture's shape with 1 - `own` of its area, its middle anywhere, cut at the rim.
fn random_cut(rng: &mut ChaCha8Rng, own: f32, height: usize, width: usize) -> Cut {
    let share = (1.0 - own).sqrt();
    let mut span = |side: usize| {
        let half = (side as f32 * share / 2.0).round() as usize;
        let middle = rng.random_range(0..side);
        (middle.saturating_sub(half), (middle + half).min(side))
    };
    let (left, right) = span(width);
    let (top, bottom) = span(height);
    Cut {
        left,
        top,
        right,
        bottom,
    }
}

fn paste(picture: &mut [f32], other: &[f32], width: usize, height: usize, cut: &Cut) {
    let planes = picture
        .chunks_exact_mut(width * height)
        .zip(other.chunks_exact(width * height));
    for (plane, other) in planes {
        for y in cut.top..cut.bottom {
            let row = y * width + cut.left..y * width + cut.right;
            plane[row.clone()].copy_from_slice(&other[row]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::random::stream;
    use super::*;

    const SHAPE: [usize; 4] = [5, 2, 6, 10];

    /// Every pixel tells its picture; one-hot targets of 5 classes.
    fn batch() -> (Vec<f32>, Vec<f32>) {
        let pixels = (0..5).flat_map(|i| vec![i as f32; 2 * 6 * 10]).collect();
        let targets = (0..25)
            .map(|i| if i % 6 == 0 { 1.0 } else { 0.0 })
            .collect();
        (pixels, targets)
    }

    fn only(mixup: f32, cutmix: f32) -> AugmentConfig {
        AugmentConfig {
            mixup,
            cutmix,
            ..AugmentConfig::off()
        }
    }

    fn check_targets(targets: &[f32], mixed: &Mixed) {
        for (i, row) in targets.chunks_exact(5).enumerate() {
            let sum: f32 = row.iter().sum();
            assert!((sum - 1.0).abs() < 1e-6, "{row:?}");
            if mixed.partners[i] != i {
                assert!((row[i] - mixed.own).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn mixup_blends_pixels_and_targets_alike() {
        let mut shares = Vec::new();
        for index in 0..200 {
            let (mut pixels, mut targets) = batch();
            let mut rng = stream("mix", &[index]);
            let mixed = mix(&only(0.4, 0.0), &mut rng, SHAPE, &mut pixels, &mut targets).unwrap();
            assert_eq!(mixed.cut, None);
            check_targets(&targets, &mixed);
            for (i, picture) in pixels.chunks_exact(120).enumerate() {
                let want = i as f32 * mixed.own + mixed.partners[i] as f32 * (1.0 - mixed.own);
                assert!(picture.iter().all(|value| (value - want).abs() < 1e-5));
            }
            shares.push(mixed.own);
        }
        // Beta(0.4, 0.4): mean 1/2, most of the mass near the ends.
        let mean = shares.iter().sum::<f32>() / 200.0;
        let ends = shares.iter().filter(|s| (**s - 0.5).abs() > 0.4).count();
        assert!((0.4..0.6).contains(&mean) && ends > 70, "{mean} {ends}");
    }

    #[test]
    fn cutmix_takes_the_stated_area() {
        for index in 0..200 {
            let (mut pixels, mut targets) = batch();
            let mut rng = stream("mix", &[index]);
            let mixed = mix(&only(0.0, 1.0), &mut rng, SHAPE, &mut pixels, &mut targets).unwrap();
            check_targets(&targets, &mixed);
            let cut = mixed.cut.unwrap();
            for (i, plane) in pixels.chunks_exact(60).enumerate() {
                let (own, partner) = (i / 2, mixed.partners[i / 2]);
                let mut kept = 0;
                for (at, &value) in plane.iter().enumerate() {
                    let (x, y) = (at % 10, at / 10);
                    let inside =
                        (cut.left..cut.right).contains(&x) && (cut.top..cut.bottom).contains(&y);
                    assert_eq!(value, if inside { partner } else { own } as f32);
                    kept += usize::from(!inside);
                }
                assert!((kept as f32 / 60.0 - mixed.own).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn the_dice_choose_between_none_mixup_and_cutmix() {
        let config = AugmentConfig {
            mix_probability: 0.5,
            cutmix_share: 0.2,
            ..only(0.2, 1.0)
        };
        let (mut none, mut cut) = (0, 0);
        for index in 0..1000 {
            let (mut pixels, mut targets) = batch();
            let mut rng = stream("mix", &[index]);
            match mix(&config, &mut rng, SHAPE, &mut pixels, &mut targets) {
                None => {
                    none += 1;
                    assert_eq!((pixels, targets), batch());
                }
                Some(mixed) => cut += i32::from(mixed.cut.is_some()),
            }
        }
        assert!((440..560).contains(&none), "{none} of 1000 were left alone");
        assert!((60..140).contains(&cut), "{cut} of about 500 were cut");
    }

    #[test]
    fn one_picture_or_none_configured_stays() {
        let (mut pixels, mut targets) = batch();
        let mut rng = stream("mix", &[]);
        assert_eq!(
            mix(
                &AugmentConfig::off(),
                &mut rng,
                SHAPE,
                &mut pixels,
                &mut targets
            ),
            None
        );
        let (one, row) = (&mut pixels[..120], &mut targets[..5]);
        assert_eq!(
            mix(&only(1.0, 0.0), &mut rng, [1, 2, 6, 10], one, row),
            None
        );
        assert_eq!((pixels, targets), batch());
    }
}
