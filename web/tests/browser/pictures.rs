//! Pictures for the page, as PNG files: what browsers and Kiln decode to the same pixels.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use image::{Rgb, RgbImage};

/// Sides: the model's own, single pixels, long ones, odd ones, and larger than what the page reads at a time.
const SIZES: [[u32; 2]; 13] = [
    [64, 64],
    [1, 1],
    [1, 300],
    [700, 2],
    [63, 65],
    [97, 61],
    [128, 128],
    [160, 120],
    [255, 257],
    [31, 500],
    [640, 480],
    [1500, 900],
    [4100, 37],
];

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// Noise, gradients, discs and stripes, each of all sizes.
pub fn drawn(folder: &Path) -> Vec<PathBuf> {
    let kinds = ["noise", "gradient", "discs", "stripes"];
    let mut files = Vec::new();
    for (seed, kind) in (1..).zip(kinds) {
        for [width, height] in SIZES {
            let mut random = Random(seed * 1_000_003 + u64::from(width * 7 + height));
            let colours: Vec<[u8; 3]> = (0..4)
                .map(|_| random.next().to_le_bytes())
                .map(|[a, b, c, ..]| [a, b, c])
                .collect();
            let disc = |x: u32, y: u32| {
                let (x, y) = (i64::from(x), i64::from(y));
                let (w, h) = (i64::from(width), i64::from(height));
                (2 * x - w).pow(2) * h * h + (2 * y - h).pow(2) * w * w < w * w * h * h / 2
            };
            let picture = RgbImage::from_fn(width, height, |x, y| {
                Rgb(match kind {
                    "noise" => {
                        let [a, b, c, ..] = random.next().to_le_bytes();
                        [a, b, c]
                    }
                    "gradient" => [
                        (x * 255 / width) as u8,
                        (y * 255 / height) as u8,
                        ((x + y) * 255 / (width + height)) as u8,
                    ],
                    "discs" => colours[usize::from(disc(x, y)) + usize::from(x > y)],
                    _ => colours[((x / 5 + y / 9) % 4) as usize],
                })
            });
            let path = folder.join(format!("{kind}-{width}x{height}.png"));
            picture.save(&path).unwrap();
            files.push(path);
        }
    }
    files
}

/// Photographs from `data/catsdogs` in `$KILN_SHARED`, or in `shared` beside the workspace, as PNG files;
/// none where there is no such folder, which is said on stderr.
pub fn photographs(folder: &Path) -> Vec<PathBuf> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let data = env::var_os("KILN_SHARED").map_or_else(beside, PathBuf::from);
    let data = data.join("data/catsdogs/test");
    let mut files = Vec::new();
    for class in ["cat", "dog"] {
        let Ok(entries) = fs::read_dir(data.join(class)) else {
            eprintln!("no photographs at {}", data.display());
            continue;
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for (number, path) in paths.iter().step_by(paths.len() / 12 + 1).enumerate() {
            let out = folder.join(format!("{class}-{number}.png"));
            image::open(path).unwrap().into_rgb8().save(&out).unwrap();
            files.push(out);
        }
    }
    files
}
