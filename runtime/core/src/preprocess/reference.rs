//! The equations of the module as they stand, with no thought of speed or memory, and random
//! pictures. For the tests.

use std::vec::Vec;

use super::{Color, Fit, LETTERBOX_GREY, PictureView, Recipe};

/// Equation (2), by x and j.
fn weight(n: i64, m: i64, x: i64, j: i64) -> i64 {
    let s = n.max(m);
    (2 * s - ((2 * j + 1) * m - (2 * x + 1) * n).abs()).max(0)
}

/// Equations (2) to (5) for one output value.
fn filter(input: &[u8], m: usize, x: usize) -> u8 {
    let (n, m, x) = (input.len() as i64, m as i64, x as i64);
    if n == m {
        return input[x as usize];
    }
    let total: i64 = (0..n).map(|j| weight(n, m, x, j)).sum();
    let sum: i64 = (0..n)
        .zip(input)
        .map(|(j, &value)| {
            let c = ((weight(n, m, x, j) << 23) + total) / (2 * total);
            c * i64::from(value)
        })
        .sum();
    (((1 << 21) + sum) >> 22).min(255) as u8
}

/// The resize of interleaved pixels: along x, then along y.
pub fn resize(view: PictureView<'_>, width: usize, height: usize) -> Vec<u8> {
    let rows = view.height() as usize;
    // [rows][width][3]
    let mut wide = std::vec![0; rows * width * 3];
    for y in 0..rows {
        for channel in 0..3 {
            let row: Vec<u8> = view.row(y as u32).chunks(3).map(|p| p[channel]).collect();
            for x in 0..width {
                wide[(y * width + x) * 3 + channel] = filter(&row, width, x);
            }
        }
    }
    let mut out = std::vec![0; height * width * 3];
    for at in 0..width * 3 {
        let column: Vec<u8> = (0..rows).map(|y| wide[y * width * 3 + at]).collect();
        for y in 0..height {
            out[y * width * 3 + at] = filter(&column, height, y);
        }
    }
    out
}

/// `a / b` to the nearest integer, half up, at least 1.
fn rounded(a: u32, b: u32) -> u32 {
    (f64::from(a) / f64::from(b) + 0.5).floor().max(1.0) as u32
}

/// Fit, resize, colour: equations (6) to (9).
pub fn preprocess(view: PictureView<'_>, recipe: &Recipe) -> Vec<u8> {
    let (picture_w, picture_h) = (view.width(), view.height());
    let (w, h) = (u32::from(recipe.width), u32::from(recipe.height));
    let wider = picture_w * h >= picture_h * w;
    let (used_w, used_h) = match recipe.fit {
        Fit::Crop if wider => (rounded(picture_h * w, h), picture_h),
        Fit::Crop => (picture_w, rounded(picture_w * h, w)),
        _ => (picture_w, picture_h),
    };
    let (filled_w, filled_h) = match recipe.fit {
        Fit::Letterbox if !wider || w * picture_h == h * picture_w => {
            (rounded(h * picture_w, picture_h), h)
        }
        Fit::Letterbox => (w, rounded(w * picture_h, picture_w)),
        _ => (w, h),
    };
    let share = |side| rounded(u32::from(recipe.crop_pct) * side, 100);
    let (used_w, used_h) = (share(used_w), share(used_h));
    let used = view
        .region(
            (picture_w - used_w) / 2,
            (picture_h - used_h) / 2,
            used_w,
            used_h,
        )
        .unwrap();
    let resized = resize(used, filled_w as usize, filled_h as usize);
    let (left, top) = ((w - filled_w) / 2, (h - filled_h) / 2);
    let mut out = Vec::new();
    for y in 0..h {
        for x in 0..w {
            let inside = (left..left + filled_w).contains(&x) && (top..top + filled_h).contains(&y);
            let pixel: [u8; 3] = if inside {
                let at = ((y - top) * filled_w + x - left) as usize * 3;
                resized[at..at + 3].try_into().unwrap()
            } else {
                [LETTERBOX_GREY; 3]
            };
            match recipe.color {
                Color::Rgb => out.extend(pixel),
                Color::Grey => {
                    let [r, g, b] = pixel.map(u64::from);
                    out.push(((19595 * r + 38470 * g + 7471 * b + 32768) / 65536) as u8);
                }
            }
        }
    }
    out
}

/// Numbers for tests (xorshift64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// 1..=most, one time in eight 1.
    pub fn side(&mut self, most: u32) -> u32 {
        if self.next().is_multiple_of(8) {
            1
        } else {
            1 + (self.next() >> 20) as u32 % most
        }
    }

    /// The bytes of a picture; one in three is black and white only, for the extremes.
    pub fn picture(&mut self, width: u32, height: u32) -> Vec<u8> {
        let extreme = self.next().is_multiple_of(3);
        (0..width * height * 3)
            .map(|_| {
                let byte = (self.next() >> 24) as u8;
                if extreme { 255 * (byte & 1) } else { byte }
            })
            .collect()
    }

    /// Words that were something else before.
    pub fn scratch(&mut self, len: usize) -> Vec<i32> {
        (0..len).map(|_| self.next() as i32).collect()
    }
}
