//! Kiln's resize against the one that it is defined by: Pillow's.

use std::fs;

use kiln_core::preprocess::{Color, Fit, PictureView, Recipe, preprocess};
use kiln_tests::{python, script, succeed};

/// xorshift64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// 1..=most, one time in eight 1.
    fn side(&mut self, most: u32) -> u32 {
        if self.next().is_multiple_of(8) {
            1
        } else {
            1 + (self.next() >> 20) as u32 % most
        }
    }

    /// Noise; one picture in three is black and white only, for the extremes.
    fn picture(&mut self, width: u32, height: u32) -> Vec<u8> {
        let extreme = self.next().is_multiple_of(3);
        (0..width * height * 3)
            .map(|_| match (self.next() >> 24) as u8 {
                byte if extreme => 255 * (byte & 1),
                byte => byte,
            })
            .collect()
    }
}

fn cases() -> Vec<[u32; 4]> {
    let mut cases = vec![
        [128, 128, 64, 64],
        [160, 120, 96, 96],
        [640, 480, 224, 224],
        [1, 1, 1, 1],
        [1, 1, 5, 4],
        [4096, 1, 1, 1],
        [1, 4096, 1, 1],
        [3000, 2, 7, 2],
        [2, 3000, 2, 7],
        [20, 2000, 10, 3],
    ];
    let mut random = Random(1);
    for i in 0..600 {
        let most = [8, 40, 200, 400][i % 4];
        cases.push([(); 4].map(|()| random.side(most)));
    }
    cases
}

#[test]
fn every_byte_is_pillows() {
    let mut random = Random(2);
    let mut file = Vec::new();
    let cases = cases();
    for (i, &[width, height, out_width, out_height]) in cases.iter().enumerate() {
        let recipe = Recipe {
            width: out_width.try_into().unwrap(),
            height: out_height.try_into().unwrap(),
            fit: Fit::Stretch,
            crop_pct: 100,
            color: [Color::Rgb, Color::Grey][usize::from(i % 5 == 4)],
            mean: [0.0; 3],
            std: [1.0; 3],
        };
        let rgb = random.picture(width, height);
        let view = PictureView::new(width, height, &rgb).unwrap();
        let mut scratch = vec![0; recipe.scratch_len(width, height)];
        let mut out = vec![0; recipe.len()];
        preprocess(view, &recipe, &mut scratch, &mut out).unwrap();
        let channels = recipe.channels() as u32;
        for number in [width, height, out_width, out_height, channels] {
            file.extend(number.to_le_bytes());
        }
        file.extend(rgb);
        file.extend(out);
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cases.bin");
    fs::write(&path, file).unwrap();
    let script = script("preprocess_pillow.py");
    let printed = succeed(python().arg(script).arg(path));
    let report: serde_json::Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(report["cases"], cases.len(), "{report}");
}
