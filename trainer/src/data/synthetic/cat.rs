//! A cat's face. The unit is about half of the head's width; the origin is between the eyes' lower rims.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::fur::{Coat, Color, Ink, Pattern, blend, shade};
use super::shape::{Point, at, bent, ellipse, melt, smoothstep, stroke, triangle};

const IRISES: [Color; 6] = [
    [0.62, 0.72, 0.26],
    [0.42, 0.66, 0.36],
    [0.88, 0.68, 0.22],
    [0.80, 0.48, 0.16],
    [0.42, 0.66, 0.86],
    [0.70, 0.74, 0.62],
];

/// All that is free about one cat.
pub(super) struct Cat {
    coat: Coat,
    turn: Point,
    width: f32,
    ear_height: f32,
    ear_spread: f32,
    ear_tilt: [f32; 2],
    ear_inside: Color,
    eye: Point,
    eye_tilt: f32,
    iris: Color,
    pupil: f32,
    lid: f32,
    gaze: Point,
    nose: Color,
    whiskers: [f32; 3],
    whisker_color: Color,
    collar: Option<Color>,
    tongue: bool,
}

impl Cat {
    pub(super) fn random(rng: &mut ChaCha8Rng, turn: Point) -> Self {
        let pattern = match rng.random_range(0..100) {
            0..38 => Pattern::Tabby,
            38..58 => Pattern::Plain,
            58..72 => Pattern::Patches,
            72..84 => Pattern::Mask,
            _ => Pattern::Blaze,
        };
        let coat = Coat::random(rng, pattern);
        Self {
            width: rng.random_range(0.93..1.06),
            ear_height: rng.random_range(0.82..1.15),
            ear_spread: rng.random_range(0.92..1.1),
            ear_tilt: [rng.random_range(-0.1..0.2), rng.random_range(-0.1..0.2)],
            ear_inside: blend([0.90, 0.64, 0.60], coat.base, rng.random_range(0.1..0.5)),
            eye: at(rng.random_range(0.40..0.48), rng.random_range(-0.12..-0.02)),
            eye_tilt: rng.random_range(0.1..0.4),
            iris: IRISES[rng.random_range(0..IRISES.len())],
            pupil: if rng.random_bool(0.2) {
                rng.random_range(0.11..0.16)
            } else {
                rng.random_range(0.025..0.08)
            },
            lid: if rng.random_bool(0.08) {
                1.0
            } else {
                rng.random_range(-0.2..0.3)
            },
            gaze: at(rng.random_range(-0.04..0.04), rng.random_range(-0.03..0.03)),
            nose: if rng.random_bool(0.6) {
                [0.85, 0.52, 0.50]
            } else {
                [0.30, 0.19, 0.18]
            },
            whiskers: std::array::from_fn(|_| rng.random_range(0.7..1.15)),
            whisker_color: if coat.lightness() > 0.7 {
                [0.35, 0.33, 0.32]
            } else {
                [0.95, 0.95, 0.94]
            },
            collar: rng
                .random_bool(0.3)
                .then(|| std::array::from_fn(|_| rng.random_range(0.1..0.9))),
            tongue: rng.random_bool(0.05),
            coat,
            turn,
        }
    }

    /// Paints what is seen of the cat at `p`.
    pub(super) fn paint(&self, p: Point, ink: &mut Ink) {
        self.paint_body(p, ink);
        for side in [-1.0, 1.0] {
            self.paint_ear(p, side, ink);
        }
        let head = self.head(p);
        if head < 0.5 {
            ink.paint(self.coat.furry(p, head), self.head_color(p, head));
        }
        let muzzle = p - self.turn * 0.3;
        if muzzle.length() < 2.2 {
            self.paint_muzzle(muzzle, ink);
        }
        self.paint_eyes(p - self.turn * 0.2, ink);
        if muzzle.length() < 2.2 {
            self.paint_whiskers(muzzle, ink);
        }
    }

    fn paint_body(&self, p: Point, ink: &mut Ink) {
        let body = melt(
            ellipse(p, at(0.0, 2.1), at(1.0, 1.25)),
            ellipse(p, at(0.0, 1.0), at(0.62, 0.6)),
            0.3,
        );
        if body < 0.3 {
            let dark = shade(self.coat.color(p), 0.62 + 0.16 * smoothstep(1.0, 1.9, p.y));
            ink.paint(self.coat.furry(p, body), dark);
        }
        if let Some(color) = self.collar {
            let band = bent(
                p,
                [at(-0.62, 0.86), at(0.0, 1.3), at(0.62, 0.86)],
                0.07,
                0.07,
            );
            ink.paint(band, color);
            ink.paint(ellipse(p, at(0.0, 1.2), at(0.09, 0.1)), [0.86, 0.72, 0.25]);
        }
    }

    fn head(&self, p: Point) -> f32 {
        let q = at(p.x.abs() / self.width, p.y);
        melt(
            ellipse(q, at(0.0, 0.0), at(0.96, 0.82)),
            ellipse(q, at(0.42, 0.34), at(0.56, 0.42)),
            0.25,
        )
    }

    fn head_color(&self, p: Point, head: f32) -> Color {
        let rim = smoothstep(-0.35, 0.05, head);
        let color = self.coat.color(p);
        shade(color, 1.04 - 0.22 * rim - 0.05 * p.y)
    }

    fn paint_ear(&self, p: Point, side: f32, ink: &mut Ink) {
        let tilt = self.ear_tilt[usize::from(side > 0.0)];
        let root = at(0.56, -0.55);
        let q = at(p.x * side, p.y) + at(self.turn.x * side, self.turn.y) * 0.08;
        let q = (q - root).turned(-tilt) + root;
        let tip = at(0.80 * self.ear_spread, -0.62 - 0.85 * self.ear_height);
        let ear = triangle(q, [at(0.18, -0.62), at(0.92, -0.18), tip], 0.05);
        if ear > 0.2 {
            return;
        }
        let back = if self.coat.pattern == Pattern::Mask {
            self.coat.second
        } else {
            self.coat.color(at(q.x * side * 0.6, q.y * 0.5))
        };
        ink.paint(self.coat.furry(p, ear), shade(back, 0.92));
        let inner = [at(0.36, -0.66), at(0.82, -0.34), tip.towards(root, 0.22)];
        let depth = 0.75 + 0.3 * smoothstep(-0.5, -1.2, q.y);
        ink.soft(
            triangle(q, inner, 0.02),
            0.05,
            shade(self.ear_inside, depth),
            1.0,
        );
        let tuft = bent(
            q,
            [at(0.3, -0.6), at(0.42, -0.85), at(0.55, -1.05)],
            0.07,
            0.005,
        );
        ink.soft(tuft, 0.03, shade(back, 1.15), 0.7);
    }

    fn paint_muzzle(&self, p: Point, ink: &mut Ink) {
        let light = match self.coat.pattern {
            Pattern::Mask => shade(self.coat.second, 1.15),
            _ => blend(self.coat.color(p), self.coat.white, 0.62),
        };
        let q = at(p.x.abs(), p.y);
        let chin = ellipse(q, at(0.0, 0.66), at(0.2, 0.15));
        ink.soft(chin, 0.05, shade(light, 0.93), 1.0);
        if self.tongue {
            ink.paint(
                stroke(p, at(0.0, 0.58), at(0.0, 0.7), 0.08, 0.08),
                [0.90, 0.50, 0.52],
            );
        }
        let pad = ellipse(q, at(0.19, 0.48), at(0.27, 0.2));
        let lit = 1.02 - 0.25 * smoothstep(0.45, 0.72, p.y);
        ink.soft(pad, 0.035, shade(light, lit), 1.0);

        let line = [0.22, 0.15, 0.14];
        let bridge = ellipse(q, at(0.0, 0.1), at(0.13, 0.32));
        ink.soft(bridge, 0.12, shade(self.coat.color(p), 1.12), 0.5);
        ink.hair(
            stroke(p, at(0.0, 0.34), at(0.0, 0.5), 0.0, 0.0),
            0.016,
            line,
        );
        let smile = bent(q, [at(0.0, 0.5), at(0.12, 0.63), at(0.28, 0.56)], 0.0, 0.0);
        ink.hair(smile, 0.018, line);
        let nose = triangle(p, [at(-0.09, 0.25), at(0.09, 0.25), at(0.0, 0.345)], 0.03);
        ink.paint(nose, self.nose);
        let shine = ellipse(p, at(-0.03, 0.245), at(0.045, 0.018));
        ink.soft(shine, 0.02, [1.0, 0.95, 0.93], 0.5);
        for (x, y) in [(0.16, 0.46), (0.26, 0.44), (0.22, 0.53)] {
            ink.hair((q - at(x, y)).length(), 0.014, shade(light, 0.55));
        }
    }

    fn paint_eyes(&self, p: Point, ink: &mut Ink) {
        for side in [-1.0, 1.0] {
            let q = at(p.x * side, p.y) - self.eye;
            if q.length() > 0.5 {
                continue;
            }
            let q = q.turned(self.eye_tilt);
            // An almond: where two discs overlap.
            let (bow, radius) = (0.15, 0.36);
            let almond =
                ((q - at(0.0, bow)).length() - radius).max((q - at(0.0, -bow)).length() - radius);
            if self.lid >= 1.0 {
                let shut = bent(q, [at(-0.26, 0.0), at(0.0, 0.2), at(0.26, -0.02)], 0.0, 0.0);
                ink.hair(shut, 0.03, [0.13, 0.10, 0.10]);
                continue;
            }
            ink.paint(almond - 0.05, [0.10, 0.08, 0.08]);
            let middle = at(self.gaze.x * side, self.gaze.y);
            let spoke = (q - middle).length();
            let iris = blend(
                shade(self.iris, 1.15),
                shade(self.iris, 0.6),
                smoothstep(0.08, 0.27, spoke),
            );
            ink.paint(almond, iris);
            let slit = ellipse(q.turned(-self.eye_tilt), middle, at(self.pupil, 0.19));
            ink.paint(slit.max(almond), [0.04, 0.04, 0.05]);
            let lid = (q.y + 0.21 - self.lid.max(0.0) * 0.4).max(almond - 0.03);
            ink.paint(lid, shade(self.coat.color(p), 0.7));
            let shine = at(-0.07 * side, -0.08);
            ink.paint(ellipse(q, shine, at(0.045, 0.045)), [1.0, 1.0, 1.0]);
        }
    }

    fn paint_whiskers(&self, p: Point, ink: &mut Ink) {
        for side in [-1.0, 1.0] {
            let q = at(p.x * side, p.y);
            for (row, &length) in self.whiskers.iter().enumerate() {
                let row = row as f32 - 1.0;
                let from = at(0.24, 0.48 + 0.05 * row);
                let bend = from + at(0.45 * length, -0.10 + 0.13 * row);
                let to = from + at(0.95 * length, 0.02 + 0.32 * row);
                ink.hair(
                    bent(q, [from, bend, to], 0.0, 0.0),
                    0.011,
                    self.whisker_color,
                );
            }
        }
    }
}
