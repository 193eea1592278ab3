//! What is done to the bytes of one picture at the input's size.

use kiln_core::preprocess::Recipe;
use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;

use super::turn::{flip_horizontal, flip_vertical, rotate};
use super::{AugmentConfig, between};

/// Rotation, flips, colour jitter and erasing on a preprocessed picture: `pixels` is [`Recipe::len`] bytes, NHWC.
pub fn augment_pixels(
    recipe: &Recipe,
    config: &AugmentConfig,
    rng: &mut ChaCha8Rng,
    pixels: &mut [u8],
) {
    let (width, channels) = (usize::from(recipe.width), recipe.channels());
    if config.rotate > 0.0 {
        let degrees = between(rng, [-config.rotate, config.rotate]);
        rotate(pixels, width, channels, degrees);
    }
    if config.flip && rng.random::<bool>() {
        flip_horizontal(pixels, width, channels);
    }
    if config.flip_vertical && rng.random::<bool>() {
        flip_vertical(pixels, width * channels);
    }
    let colors = [
        config.brightness,
        config.contrast,
        config.saturation,
        config.hue,
    ];
    if colors.iter().any(|&amount| amount > 0.0) {
        let [brightness, contrast, saturation, hue] =
            colors.map(|amount| between(rng, [-amount, amount]));
        let jitter = Jitter {
            brightness: 1.0 + brightness,
            contrast: 1.0 + contrast,
            saturation: 1.0 + saturation,
            hue,
        };
        match channels {
            1 => jitter.apply_grey(pixels),
            _ => jitter.apply_rgb(pixels),
        }
    }
    if config.erase > 0.0 && rng.random::<f32>() < config.erase {
        erase(rng, pixels, width, channels);
    }
}

/// Luma's weights (ITU-R BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// One draw of colour jitter: factors, and the hue's angle in turns.
struct Jitter {
    brightness: f32,
    contrast: f32,
    saturation: f32,
    hue: f32,
}

impl Jitter {
    fn apply_grey(&self, pixels: &mut [u8]) {
        let sum: u64 = pixels.iter().map(|&value| u64::from(value)).sum();
        let mean = sum as f32 / pixels.len().max(1) as f32;
        let (factor, offset) = self.gain(mean);
        let table: [u8; 256] = std::array::from_fn(|value| to_byte(value as f32 * factor + offset));
        for value in pixels {
            *value = table[usize::from(*value)];
        }
    }

    /// Brightness, then contrast around the mean grey, as one factor and offset.
    fn gain(&self, mean: f32) -> (f32, f32) {
        (
            self.brightness * self.contrast,
            (1.0 - self.contrast) * self.brightness * mean,
        )
    }

    /// Brightness, contrast, saturation and hue are linear, so they are one matrix and an offset; only the
    /// end is clipped to 0..=255.
    fn apply_rgb(&self, pixels: &mut [u8]) {
        let (pixels, _) = pixels.as_chunks_mut::<3>();
        let mut sums = [0u64; 3];
        for pixel in pixels.iter() {
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += u64::from(value);
            }
        }
        let count = pixels.len().max(1) as f32;
        let mean: f32 = (0..3).map(|i| LUMA[i] * (sums[i] as f32 / count)).sum();
        let (factor, offset) = self.gain(mean);
        let matrix = self.turn_and_saturate().map(|row| row.map(|m| m * factor));
        // The matrix keeps greys, so the offset is the same for every channel.
        for pixel in pixels {
            let [r, g, b] = pixel.map(f32::from);
            *pixel = matrix.map(|[mr, mg, mb]| to_byte(mr * r + mg * g + mb * b + offset));
        }
    }

    /// Saturation, then the turn around the grey axis (Rodrigues' formula about (1, 1, 1)/√3).
    fn turn_and_saturate(&self) -> [[f32; 3]; 3] {
        let (sin, cos) = (self.hue * std::f32::consts::TAU).sin_cos();
        let (third, side) = ((1.0 - cos) / 3.0, sin / 3.0f32.sqrt());
        let (same, next, last) = (cos + third, third - side, third + side);
        let turn = [[same, next, last], [last, same, next], [next, last, same]];
        let saturate: [[f32; 3]; 3] = std::array::from_fn(|i| {
            std::array::from_fn(|j| {
                (1.0 - self.saturation) * LUMA[j] + if i == j { self.saturation } else { 0.0 }
            })
        });
        turn.map(|row| std::array::from_fn(|j| (0..3).map(|k| row[k] * saturate[k][j]).sum()))
    }
}

fn to_byte(value: f32) -> u8 {
    (value + 0.5) as u8
}

/// Replaces a rectangle by noise: 2% to 33% of the area, 0.3 to 3.3 as wide as high (the paper's values).
/// Where ten draws leave the picture, nothing is replaced.
fn erase(rng: &mut ChaCha8Rng, pixels: &mut [u8], width: usize, channels: usize) {
    let height = pixels.len() / (width * channels).max(1);
    for _ in 0..10 {
        let area = between(rng, [0.02, 0.33]) * (width * height) as f32;
        let ratio = between(rng, [0.3f32.ln(), 3.3f32.ln()]).exp();
        let across = (area * ratio).sqrt().round().max(1.0) as usize;
        let down = (area / ratio).sqrt().round().max(1.0) as usize;
        if across <= width && down <= height {
            let x = rng.random_range(0..=width - across);
            let y = rng.random_range(0..=height - down);
            for row in pixels.chunks_exact_mut(width * channels).skip(y).take(down) {
                rng.fill_bytes(&mut row[x * channels..(x + across) * channels]);
            }
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::random::stream;
    use super::*;

    const NEUTRAL: Jitter = Jitter {
        brightness: 1.0,
        contrast: 1.0,
        saturation: 1.0,
        hue: 0.0,
    };

    #[test]
    fn jitter_does_what_its_names_say() {
        struct Case {
            what: &'static str,
            jitter: Jitter,
            want: [[u8; 3]; 2],
        }
        let from = [[200, 100, 40], [20, 20, 20]];
        // Luma of the first: 0.299*200 + 0.587*100 + 0.114*40 = 123.06; the picture's mean: 71.53.
        let cases = [
            Case {
                what: "nothing",
                jitter: NEUTRAL,
                want: from,
            },
            Case {
                what: "brightness, clipped",
                jitter: Jitter {
                    brightness: 1.5,
                    ..NEUTRAL
                },
                want: [[255, 150, 60], [30, 30, 30]],
            },
            Case {
                what: "no contrast",
                jitter: Jitter {
                    contrast: 0.0,
                    ..NEUTRAL
                },
                want: [[72; 3]; 2],
            },
            Case {
                what: "no saturation",
                jitter: Jitter {
                    saturation: 0.0,
                    ..NEUTRAL
                },
                want: [[123; 3], [20; 3]],
            },
            Case {
                what: "a third of a turn of hue",
                jitter: Jitter {
                    hue: 1.0 / 3.0,
                    ..NEUTRAL
                },
                want: [[40, 200, 100], [20; 3]],
            },
        ];
        for Case { what, jitter, want } in cases {
            let mut pixels = from.as_flattened().to_vec();
            jitter.apply_rgb(&mut pixels);
            assert_eq!(pixels, want.as_flattened(), "{what}");
        }
    }

    #[test]
    fn grey_jitter_is_that_of_grey_pixels() {
        let jitter = Jitter {
            brightness: 1.2,
            contrast: 0.7,
            saturation: 0.5,
            hue: 0.2,
        };
        let mut grey = vec![0, 60, 130, 200, 255];
        let mut rgb: Vec<u8> = grey.iter().flat_map(|&value| [value; 3]).collect();
        jitter.apply_grey(&mut grey);
        jitter.apply_rgb(&mut rgb);
        for (pixel, value) in rgb.chunks_exact(3).zip(grey) {
            let most = pixel.iter().map(|channel| channel.abs_diff(value)).max();
            assert!(most <= Some(1), "{pixel:?} {value}");
        }
    }

    #[test]
    fn erasing_replaces_one_rectangle_of_the_stated_area() {
        let (width, height, channels) = (40, 25, 3);
        for index in 0..100 {
            let mut pixels = vec![0; width * height * channels];
            erase(&mut stream("erase", &[index]), &mut pixels, width, channels);
            let hit: Vec<(usize, usize)> = (0..width * height)
                .filter(|i| pixels[i * channels..(i + 1) * channels] != [0; 3])
                .map(|i| (i % width, i / width))
                .collect();
            let span = |values: Vec<usize>| {
                let (least, most) = (values.iter().min().unwrap(), values.iter().max().unwrap());
                most - least + 1
            };
            let across = span(hit.iter().map(|&(x, _)| x).collect());
            let down = span(hit.iter().map(|&(_, y)| y).collect());
            assert_eq!(across * down, hit.len(), "not a rectangle");
            let share = hit.len() as f32 / (width * height) as f32;
            assert!((0.015..0.35).contains(&share), "{share}");
        }
    }

    #[test]
    fn probabilities_are_kept() {
        let recipe = Recipe {
            width: 4,
            height: 3,
            fit: kiln_core::preprocess::Fit::Stretch,
            crop_pct: 100,
            color: kiln_core::preprocess::Color::Rgb,
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        let erase_some = AugmentConfig {
            erase: 0.25,
            ..AugmentConfig::off()
        };
        let flip_some = AugmentConfig {
            flip: true,
            ..AugmentConfig::off()
        };
        let flip_upside_down = AugmentConfig {
            flip_vertical: true,
            ..AugmentConfig::off()
        };
        for (config, expected) in [(erase_some, 250), (flip_some, 500), (flip_upside_down, 500)] {
            let changed = (0..1000)
                .filter(|&index| {
                    let before: Vec<u8> = (0..36).collect();
                    let mut after = before.clone();
                    augment_pixels(&recipe, &config, &mut stream("p", &[index]), &mut after);
                    after != before
                })
                .count();
            assert!(changed.abs_diff(expected) < 60, "{changed} of 1000");
        }
    }
}
