//! Flips and rotation of a picture's bytes.

/// Swaps left and right: `pixels` are rows of `width` pixels of `channels` bytes.
pub fn flip_horizontal(pixels: &mut [u8], width: usize, channels: usize) {
    for row in pixels.chunks_exact_mut(width * channels) {
        match channels {
            1 => row.reverse(),
            _ => row.as_chunks_mut::<3>().0.reverse(),
        }
    }
}

/// Swaps top and bottom: `pixels` are rows of `row` bytes.
pub fn flip_vertical(pixels: &mut [u8], row: usize) {
    let height = pixels.len() / row;
    let (upper, lower) = pixels.split_at_mut((height - height / 2) * row);
    for (above, below) in upper
        .chunks_exact_mut(row)
        .zip(lower.chunks_exact_mut(row).rev())
    {
        above.swap_with_slice(below);
    }
}

/// Turns the picture clockwise around its middle, with bilinear interpolation; what comes in from outside is
/// the picture mirrored at its edges.
pub fn rotate(pixels: &mut [u8], width: usize, channels: usize, degrees: f32) {
    let from = pixels.to_vec();
    let height = from.len() / (width * channels);
    let (sin, cos) = degrees.to_radians().sin_cos();
    let middle = [width, height].map(|side| (side - 1) as f32 / 2.0);
    for (y, row) in pixels.chunks_exact_mut(width * channels).enumerate() {
        let down = y as f32 - middle[1];
        for (x, pixel) in row.chunks_exact_mut(channels).enumerate() {
            let across = x as f32 - middle[0];
            let columns = Between::new(middle[0] + cos * across + sin * down, width);
            let rows = Between::new(middle[1] - sin * across + cos * down, height);
            for (channel, value) in pixel.iter_mut().enumerate() {
                let at = |y: usize, x: usize| f32::from(from[(y * width + x) * channels + channel]);
                let [above, below] = rows
                    .ends
                    .map(|y| columns.mix(columns.ends.map(|x| at(y, x))));
                *value = (rows.mix([above, below]) + 0.5) as u8;
            }
        }
    }
}

/// A place between two pixels of a line.
struct Between {
    ends: [usize; 2],
    /// How far from the first to the second.
    share: f32,
}

impl Between {
    /// `place` may be outside a line of `length` pixels.
    fn new(place: f32, length: usize) -> Self {
        let floor = place.floor();
        Self {
            ends: [floor as i64, floor as i64 + 1].map(|index| mirrored(index, length)),
            share: place - floor,
        }
    }

    fn mix(&self, [first, second]: [f32; 2]) -> f32 {
        first + (second - first) * self.share
    }
}

/// The pixel that is seen at `index` of a line that is mirrored at both ends, for ever.
fn mirrored(index: i64, length: usize) -> usize {
    let length = length as i64;
    let index = index.rem_euclid(2 * length);
    index.min(2 * length - 1 - index) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flips_swap_pixels_not_channels() {
        // 3 columns, 2 rows.
        let mut rgb: Vec<u8> = (0..18).collect();
        flip_horizontal(&mut rgb, 3, 3);
        assert_eq!(rgb[..9], [6, 7, 8, 3, 4, 5, 0, 1, 2]);
        assert_eq!(rgb[9..12], [15, 16, 17]);
        let mut grey: Vec<u8> = (0..6).collect();
        flip_horizontal(&mut grey, 3, 1);
        assert_eq!(grey, [2, 1, 0, 5, 4, 3]);
        flip_vertical(&mut grey, 3);
        assert_eq!(grey, [5, 4, 3, 2, 1, 0]);
        // 2 columns, 3 rows: the middle row stays.
        flip_vertical(&mut grey, 2);
        assert_eq!(grey, [1, 0, 3, 2, 5, 4]);
    }

    #[test]
    fn quarter_turns_are_exact() {
        // 2 rows of 3 RGB pixels: half a turn is both flips.
        let from: Vec<u8> = (0..18).map(|value| value * 14).collect();
        let (mut turned, mut flipped) = (from.clone(), from.clone());
        rotate(&mut turned, 3, 3, 180.0);
        flip_horizontal(&mut flipped, 3, 3);
        flip_vertical(&mut flipped, 9);
        assert_eq!(turned, flipped);
        rotate(&mut flipped, 3, 3, 0.0);
        assert_eq!(turned, flipped);
        let mut square = vec![1, 2, 3, 4, 5, 6, 7, 8, 9];
        rotate(&mut square, 3, 1, 90.0);
        assert_eq!(square, [7, 4, 1, 8, 5, 2, 9, 6, 3]);
        rotate(&mut square, 3, 1, -90.0);
        assert_eq!(square, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    }

    #[test]
    fn the_edges_are_mirrored() {
        // A row of four turned upright in its middle: one pixel of the column is inside.
        let mut row = vec![10, 20, 40, 80];
        rotate(&mut row, 4, 1, 90.0);
        // All four look at columns 1 and 2 half each, on rows that are the only one, mirrored.
        assert_eq!(row, [30; 4]);
        let seen: Vec<usize> = (-4..8).map(|index| mirrored(index, 3)).collect();
        assert_eq!(seen, [2, 2, 1, 0, 0, 1, 2, 2, 1, 0, 0, 1]);
        let mut one = vec![7, 8, 9];
        rotate(&mut one, 1, 3, 33.0);
        assert_eq!(one, [7, 8, 9]);
    }

    #[test]
    fn a_small_turn_moves_a_spot_along_its_circle() {
        let (width, height) = (41, 31);
        let mut pixels = vec![0; width * height];
        // Ten pixels right of the middle.
        pixels[15 * width + 30] = 240;
        rotate(&mut pixels, width, 1, 30.0);
        let sum: f32 = pixels.iter().map(|&value| f32::from(value)).sum();
        let mean = |of: &dyn Fn(usize) -> usize| {
            let weighted = pixels.iter().enumerate();
            let total: f32 = weighted.map(|(i, &v)| of(i) as f32 * f32::from(v)).sum();
            total / sum
        };
        assert!((sum / 240.0 - 1.0).abs() < 0.15, "{sum}");
        let (x, y) = (mean(&|i| i % width), mean(&|i| i / width));
        assert!((x - 28.66).abs() < 0.2 && (y - 20.0).abs() < 0.2, "{x} {y}");
    }
}
