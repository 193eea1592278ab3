//! Inputs that are like none of the classes, made of inputs that are: what [`known`](super::known) learns to
//! tell apart from them.
//!
//! Nobody has pictures of all that is not a cat. What is near is in the pictures themselves: a small part of
//! one, enlarged, is fur, grass, wall or blur without the thing itself. Noise and plain colours are added, since
//! those are what a covered or broken camera gives.

use kiln_core::tensor::Shape;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// An enlarged part has this share of the rows and columns.
const PART: u32 = 5;
/// Coarse noise has fields of this share of the rows and columns.
const FIELDS: u32 = 8;

/// Makes up inputs, the same ones in each run.
pub(super) struct Strangers {
    shape: Shape,
    random: ChaCha8Rng,
    /// The least and the greatest value seen, by channel.
    bounds: Vec<(f32, f32)>,
}

impl Strangers {
    pub fn new(shape: Shape) -> Self {
        Self {
            shape,
            random: ChaCha8Rng::seed_from_u64(0),
            bounds: vec![(f32::INFINITY, f32::NEG_INFINITY); shape.channels as usize],
        }
    }

    /// One made of an input: of five, three enlarged parts, then noise, then one colour.
    pub fn of(&mut self, index: usize, input: &[f32]) -> Vec<f32> {
        for pixel in input.chunks_exact(self.bounds.len().max(1)) {
            for ((least, most), value) in self.bounds.iter_mut().zip(pixel) {
                *least = least.min(*value);
                *most = most.max(*value);
            }
        }
        let Shape { height, width, .. } = self.shape;
        match index % 5 {
            3 if index.is_multiple_of(2) => self.noise(height, width),
            3 => self.noise(height.min(FIELDS), width.min(FIELDS)),
            4 => self.noise(1, 1),
            _ => self.part(input),
        }
    }

    /// A part of an input, enlarged to its size.
    fn part(&mut self, input: &[f32]) -> Vec<f32> {
        let Shape { height, width, .. } = self.shape;
        let [rows, columns] = [height, width].map(|side| side.div_ceil(PART));
        let top = self.random.random_range(0..=height - rows);
        let left = self.random.random_range(0..=width - columns);
        let channels = self.bounds.len();
        let row = |y: u32| &input[((top + y) * width + left) as usize * channels..];
        let part: Vec<f32> = (0..rows)
            .flat_map(|y| row(y)[..columns as usize * channels].iter().copied())
            .collect();
        self.enlarge(&part, rows, columns)
    }

    /// Uniform noise in so many rows and columns, enlarged.
    fn noise(&mut self, rows: u32, columns: u32) -> Vec<f32> {
        let mut values = Vec::with_capacity((rows * columns) as usize * self.bounds.len());
        for _ in 0..rows * columns {
            for (least, most) in &self.bounds {
                values.push(least + (most - least) * self.random.random::<f32>());
            }
        }
        self.enlarge(&values, rows, columns)
    }

    /// Bilinear, to the shape of an input.
    fn enlarge(&self, values: &[f32], rows: u32, columns: u32) -> Vec<f32> {
        let Shape { height, width, .. } = self.shape;
        let channels = self.bounds.len();
        // The two nearest and the second's share, of the centre of place `at` among `to`.
        let near = |at: u32, from: u32, to: u32| {
            let place = (at as f32 + 0.5) * from as f32 / to as f32 - 0.5;
            let place = place.clamp(0.0, (from - 1) as f32);
            let low = place.floor();
            (
                low as usize,
                (low as usize + 1).min(from as usize - 1),
                place - low,
            )
        };
        let mut large = Vec::with_capacity(self.shape.len());
        for y in 0..height {
            let (above, below, down) = near(y, rows, height);
            for x in 0..width {
                let (left, right, across) = near(x, columns, width);
                for channel in 0..channels {
                    let value = |y: usize, x: usize| {
                        values[(y * columns as usize + x) * channels + channel]
                    };
                    let mix =
                        |y: usize| value(y, left) + (value(y, right) - value(y, left)) * across;
                    large.push(mix(above) + (mix(below) - mix(above)) * down);
                }
            }
        }
        large
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strangers() -> Strangers {
        Strangers::new(Shape::new(10, 20, 2))
    }

    /// Rises to the right in channel 0, downwards in channel 1.
    fn slopes() -> Vec<f32> {
        let pixels = (0..200).map(|index| [(index % 20) as f32, (index / 20) as f32]);
        pixels.flatten().collect()
    }

    #[test]
    fn a_part_is_enlarged() {
        let large = strangers().of(0, &slopes());
        assert_eq!(large.len(), 400);
        for pair in large.chunks_exact(2).collect::<Vec<_>>().windows(2) {
            let step = pair[1][0] - pair[0][0];
            // From one row to the next it falls back.
            assert!((0.0..=0.2001).contains(&step) || step < -2.0, "{step}");
        }
        let [first, last] = [&large[..2], &large[398..]];
        assert_eq!([last[0] - first[0], last[1] - first[1]], [3.0, 1.0]);
    }

    #[test]
    fn noise_and_colours_are_within_what_was_seen() {
        let mut strangers = strangers();
        for index in [3, 4, 8, 9] {
            let made = strangers.of(index, &slopes());
            let pixels: Vec<_> = made.chunks_exact(2).collect();
            assert!(
                pixels
                    .iter()
                    .all(|pixel| pixel[0] <= 19.0 && pixel[1] <= 9.0)
            );
            assert!(made.iter().all(|value| *value >= 0.0));
            let one_colour = pixels.iter().all(|pixel| *pixel == pixels[0]);
            assert_eq!(one_colour, index % 5 == 4, "{index}");
        }
    }

    #[test]
    fn the_same_in_every_run_and_whatever_the_size() {
        let make = |shape: Shape| {
            let mut strangers = Strangers::new(shape);
            let input: Vec<f32> = (0..shape.len()).map(|value| value as f32).collect();
            (0..10)
                .map(|index| strangers.of(index, &input))
                .collect::<Vec<_>>()
        };
        for shape in [
            Shape::new(1, 1, 3),
            Shape::new(1, 7, 1),
            Shape::new(3, 2, 2),
        ] {
            assert_eq!(make(shape), make(shape));
        }
    }
}
