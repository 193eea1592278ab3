//! Which pictures look the same: saved again, scaled, brightened, or cut at the edges.
//!
//! Two looks. The first compares 64-bit perceptual hashes. Hashes that differ in at most N bits agree
//! wholly in at least one of N + 1 bands of bits, so only pictures that share a band are compared: no
//! comparing of every picture with every other. The second compares small copies of the pictures, because
//! hashes of different pictures come near each other by chance.

use std::collections::HashMap;

use image::imageops::{self, FilterType};
use image::{GrayImage, RgbImage};
use image_hasher::{HashAlg, Hasher, HasherConfig};
use kiln_core::preprocess::{PictureView, PreprocessError, resize, scratch_len};

use super::Picture;

/// The largest distance of hashes that may be asked for. Above it, bands get too short to choose by.
pub const MAX_DISTANCE: u32 = 16;

/// Side of [`Print::grey`].
const GREY_SIDE: u32 = 32;

/// Side of [`Print::colour`].
const COLOUR_SIDE: u32 = 4;

/// Least correlation of the greys of two alike pictures. Of 22,000 photographs of cats and dogs, no two
/// different ones with hashes 10 bits apart reach 0.83; a picture saved again has 0.99, one that lost 2%
/// at its edges 0.95.
const LEAST_CORRELATION: f64 = 0.9;

/// Mean difference of colours, in units of 0..=255, that two alike pictures may always have. Strong
/// colours may differ by half of themselves.
const SMALL_COLOUR_DIFFERENCE: u32 = 12;

/// What a picture looks like, small enough to be kept for every picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    /// Signs of the 64 lowest frequencies.
    hash: u64,
    /// 32×32 greys.
    grey: Box<[u8]>,
    /// 4×4 × (red - green, blue - green).
    colour: Box<[i16]>,
}

/// Makes [`Print`]s. One for a thread.
pub struct Printer(Hasher<[u8; 8]>);

impl Default for Printer {
    fn default() -> Self {
        let config = HasherConfig::with_bytes_type::<[u8; 8]>()
            .hash_size(8, 8)
            .hash_alg(HashAlg::Median)
            .resize_filter(FilterType::Triangle)
            .preproc_dct();
        Printer(config.to_hasher())
    }
}

impl Printer {
    /// The picture's print.
    ///
    /// # Errors
    /// None for pictures from [`decode`](super::decode).
    pub fn print(&self, picture: &Picture) -> Result<Print, PreprocessError> {
        let small = shrink(picture, GREY_SIDE)?;
        let grey: GrayImage = imageops::grayscale(&small);
        let difference = |a: u8, b: u8| i16::from(a) - i16::from(b);
        let colour = shrink(picture, COLOUR_SIDE)?
            .pixels()
            .flat_map(|p| [difference(p.0[0], p.0[1]), difference(p.0[2], p.0[1])])
            .collect();
        Ok(Print {
            hash: u64::from_le_bytes(self.0.hash_image(&grey).into_inner()),
            grey: grey.into_raw().into(),
            colour,
        })
    }
}

/// The picture as a square, its shape not kept.
fn shrink(picture: &Picture, side: u32) -> Result<RgbImage, PreprocessError> {
    let view = PictureView::new(picture.width, picture.height, &picture.rgb)?;
    let mut scratch = vec![0; scratch_len(view.width(), view.height(), side, side)];
    let mut small = RgbImage::new(side, side);
    resize(view, side, side, &mut scratch, &mut small)?;
    Ok(small)
}

impl Print {
    /// Bits in which the hashes differ.
    pub fn distance(&self, other: &Print) -> u32 {
        (self.hash ^ other.hash).count_ones()
    }

    /// The second look.
    pub fn looks_like(&self, other: &Print) -> bool {
        let strength = |p: &Print| p.colour.iter().map(|v| u32::from(v.unsigned_abs())).sum();
        let strongest: u32 = u32::max(strength(self), strength(other));
        let small = SMALL_COLOUR_DIFFERENCE * self.colour.len() as u32;
        let pairs = self.colour.iter().zip(&other.colour);
        let difference: u32 = pairs.map(|(a, b)| u32::from(a.abs_diff(*b))).sum();
        difference <= small.max(strongest / 2)
            && correlation(&self.grey, &other.grey) >= LEAST_CORRELATION
    }

    /// Standard deviation of the greys, in units of 0..=255.
    pub fn spread(&self) -> f64 {
        let [n, a, _, aa, _, _] = sums(&self.grey, &self.grey);
        (aa / n - (a / n).powi(2)).max(0.0).sqrt()
    }
}

/// Pearson's correlation, which neither brightness nor contrast changes.
fn correlation(a: &[u8], b: &[u8]) -> f64 {
    let [n, a, b, aa, bb, ab] = sums(a, b);
    let spread = ((n * aa - a * a) * (n * bb - b * b)).sqrt();
    if spread > 0.0 {
        (n * ab - a * b) / spread
    } else {
        0.0
    }
}

/// Count, then the sums of a, b, a², b² and ab.
fn sums(a: &[u8], b: &[u8]) -> [f64; 6] {
    let mut sums = [0u64; 5];
    for (&a, &b) in a.iter().zip(b) {
        let (a, b) = (u64::from(a), u64::from(b));
        for (sum, term) in sums.iter_mut().zip([a, b, a * a, b * b, a * b]) {
            *sum += term;
        }
    }
    let [sa, sb, saa, sbb, sab] = sums.map(|sum| sum as f64);
    [a.len() as f64, sa, sb, saa, sbb, sab]
}

/// For each picture the earlier one that it repeats, if any: one that repeats none itself.
///
/// So the pictures with none, kept alone, are a set in which no two look the same; and a chain of pictures
/// that change little by little is not taken for one.
pub fn repeats(prints: &[&Print], max_distance: u32) -> Vec<Option<usize>> {
    let bands = max_distance.min(MAX_DISTANCE) + 1;
    let mut originals: HashMap<(u32, u64), Vec<usize>> = HashMap::new();
    let mut found = Vec::with_capacity(prints.len());
    for (i, print) in prints.iter().enumerate() {
        let keys = (0..bands).map(|band| (band, bits(print.hash, band, bands)));
        let mut candidates: Vec<(u32, usize)> = keys
            .clone()
            .filter_map(|key| originals.get(&key))
            .flatten()
            .map(|&j| (print.distance(prints[j]), j))
            .filter(|(distance, _)| *distance <= max_distance)
            .collect();
        candidates.sort_unstable();
        candidates.dedup();
        let original = candidates.into_iter().map(|(_, j)| j);
        let original = original.into_iter().find(|&j| print.looks_like(prints[j]));
        if original.is_none() {
            for key in keys {
                originals.entry(key).or_default().push(i);
            }
        }
        found.push(original);
    }
    found
}

/// One of a hash's bands.
fn bits(hash: u64, band: u32, bands: u32) -> u64 {
    let (from, to) = (64 * band / bands, 64 * (band + 1) / bands);
    match to - from {
        64 => hash,
        width => (hash >> from) & ((1 << width) - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    /// Coloured blobs, of which the smaller are the weaker as in photographs: another picture a seed.
    fn blobs(seed: u64, width: u32, height: u32) -> RgbImage {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut sum = RgbImage::new(width, height);
        for (side, strength) in [(3, 120), (6, 60), (12, 30), (24, 15)] {
            let small = RgbImage::from_fn(side, side, |_, _| {
                image::Rgb([0; 3].map(|_: u8| rng.random_range(0..=strength)))
            });
            let layer = imageops::resize(&small, width, height, FilterType::CatmullRom);
            for (sum, v) in sum.iter_mut().zip(layer.iter()) {
                *sum = sum.saturating_add(*v);
            }
        }
        sum
    }

    fn print(picture: &RgbImage) -> Print {
        let picture = Picture {
            width: picture.width(),
            height: picture.height(),
            rgb: picture.as_raw().clone(),
        };
        Printer::default().print(&picture).unwrap()
    }

    fn found(a: &RgbImage, b: &RgbImage) -> bool {
        repeats(&[&print(a), &print(b)], 10) == [None, Some(0)]
    }

    #[test]
    fn the_same_picture_is_found_in_other_clothes() {
        for seed in 0..20 {
            let a = blobs(seed, 120, 90);
            let other = [
                (
                    "smaller",
                    imageops::resize(&a, 60, 45, FilterType::Triangle),
                ),
                (
                    "squashed",
                    imageops::resize(&a, 64, 64, FilterType::Triangle),
                ),
                ("brighter", imageops::brighten(&a, 20)),
                ("flatter", imageops::contrast(&a, -20.0)),
                ("cut", imageops::crop_imm(&a, 1, 1, 118, 88).to_image()),
            ];
            for (name, b) in other {
                assert!(found(&a, &b), "{seed} {name}");
            }
        }
    }

    #[test]
    fn other_pictures_are_not_found() {
        let mut pictures: Vec<_> = (0..200).map(|seed| blobs(seed, 64, 48)).collect();
        // The same drawing in another colour: a set may tell classes by colour.
        let swapped = pictures[0].clone();
        pictures.push(RgbImage::from_fn(64, 48, |x, y| {
            let [r, g, b] = swapped.get_pixel(x, y).0;
            image::Rgb([b, g, r])
        }));
        let prints: Vec<_> = pictures.iter().map(print).collect();
        let found = repeats(&prints.iter().collect::<Vec<_>>(), 10);
        assert!(found.iter().all(Option::is_none), "{found:?}");
    }

    #[test]
    fn bands_find_what_comparing_all_finds() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let base = print(&blobs(1, 32, 32));
        let mut prints: Vec<Print> = Vec::new();
        for i in 0..600 {
            let mut hash: u64 = match prints.get(i / 2) {
                Some(other) if i % 3 > 0 => other.hash,
                _ => rng.random(),
            };
            for _ in 0..rng.random_range(0..20) {
                hash ^= 1 << rng.random_range(0..64);
            }
            prints.push(Print {
                hash,
                ..base.clone()
            });
        }
        let prints: Vec<&Print> = prints.iter().collect();
        for max in [0, 1, 5, 8, 16] {
            let mut want: Vec<Option<usize>> = Vec::new();
            for (i, print) in prints.iter().enumerate() {
                let originals = (0..i).filter(|j| want[*j].is_none());
                let near = originals.filter(|j| print.distance(prints[*j]) <= max);
                want.push(near.min_by_key(|j| (print.distance(prints[*j]), *j)));
            }
            assert!(
                want.iter().flatten().count() > 10,
                "{max}: a test of nothing"
            );
            assert_eq!(repeats(&prints, max), want, "{max}");
        }
    }

    #[test]
    fn spread_and_correlation_are_those_of_the_books() {
        assert_eq!(correlation(&[1, 2, 3], &[10, 20, 30]), 1.0);
        assert_eq!(correlation(&[1, 2, 3], &[30, 20, 10]), -1.0);
        assert_eq!(correlation(&[5, 5, 5], &[1, 2, 3]), 0.0);
        let half = Print {
            hash: 0,
            grey: [[0; 512], [100; 512]].concat().into(),
            colour: Box::default(),
        };
        assert_eq!(half.spread(), 50.0);
    }
}
