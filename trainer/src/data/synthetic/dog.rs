//! A dog's face, in the same units as the cat's.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::fur::{Coat, Color, Ink, Pattern, blend, shade};
use super::shape::{Point, at, bent, ellipse, melt, smoothstep, stroke, triangle};

/// How the ears are carried.
#[derive(Clone, Copy, PartialEq)]
enum Ears {
    /// Beside the head, as a spaniel's.
    Hanging,
    /// Raised and folded over, as a terrier's.
    Folded,
    /// Upright, as a husky's.
    Pricked,
}

/// All that is free about one dog.
pub(super) struct Dog {
    coat: Coat,
    turn: Point,
    width: f32,
    ears: Ears,
    ear_length: f32,
    ear_swing: [f32; 2],
    ear_shade: f32,
    eye: Point,
    eye_size: f32,
    iris: Color,
    brow: bool,
    eye_patch: f32,
    gaze: Point,
    snout: Point,
    snout_light: f32,
    nose: f32,
    mouth_open: f32,
    tongue: f32,
    collar: Option<Color>,
}

impl Dog {
    pub(super) fn random(rng: &mut ChaCha8Rng, turn: Point) -> Self {
        let pattern = match rng.random_range(0..100) {
            0..8 => Pattern::Tabby,
            8..40 => Pattern::Plain,
            40..58 => Pattern::Patches,
            58..74 => Pattern::Mask,
            _ => Pattern::Blaze,
        };
        let ears = match rng.random_range(0..100) {
            0..52 => Ears::Hanging,
            52..76 => Ears::Folded,
            _ => Ears::Pricked,
        };
        let open = rng.random_bool(0.45);
        Self {
            coat: Coat::random(rng, pattern),
            turn,
            width: rng.random_range(0.84..1.0),
            ears,
            ear_length: rng.random_range(0.8..1.3),
            ear_swing: [rng.random_range(-0.15..0.25), rng.random_range(-0.15..0.25)],
            ear_shade: rng.random_range(0.55..1.0),
            eye: at(rng.random_range(0.33..0.42), rng.random_range(-0.22..-0.12)),
            eye_size: rng.random_range(0.12..0.165),
            iris: if rng.random_bool(0.1) {
                [0.55, 0.72, 0.85]
            } else {
                [0.36, 0.20, 0.10]
            },
            brow: rng.random_bool(0.35),
            eye_patch: if rng.random_bool(0.2) {
                if rng.random_bool(0.5) { 1.0 } else { -1.0 }
            } else {
                0.0
            },
            gaze: at(rng.random_range(-0.03..0.03), rng.random_range(-0.02..0.02)),
            snout: at(rng.random_range(0.40..0.52), rng.random_range(0.36..0.46)),
            snout_light: rng.random_range(0.0..0.75),
            nose: rng.random_range(0.85..1.2),
            mouth_open: if open {
                rng.random_range(0.5..1.0)
            } else {
                0.0
            },
            tongue: if open {
                rng.random_range(0.0..1.0)
            } else {
                0.0
            },
            collar: rng
                .random_bool(0.45)
                .then(|| std::array::from_fn(|_| rng.random_range(0.1..0.9))),
        }
    }

    /// Paints what is seen of the dog at `p`.
    pub(super) fn paint(&self, p: Point, ink: &mut Ink) {
        self.paint_body(p, ink);
        if self.ears == Ears::Pricked {
            self.paint_ears(p, ink);
        }
        let head = self.head(p);
        if head < 0.5 {
            let rim = smoothstep(-0.35, 0.05, head);
            let color = shade(self.coat.color(p), 1.04 - 0.24 * rim - 0.05 * p.y);
            ink.paint(self.coat.furry(p, head), color);
        }
        self.paint_eyes(p - self.turn * 0.2, ink);
        let snout = p - self.turn * 0.42;
        if snout.length() < 1.8 {
            self.paint_snout(snout, ink);
        }
        if self.ears != Ears::Pricked {
            self.paint_ears(p, ink);
        }
    }

    fn paint_body(&self, p: Point, ink: &mut Ink) {
        let body = melt(
            ellipse(p, at(0.0, 2.25), at(1.15, 1.3)),
            ellipse(p, at(0.0, 1.05), at(0.66, 0.7)),
            0.35,
        );
        if body < 0.3 {
            let dark = shade(self.coat.color(p), 0.64 + 0.14 * smoothstep(1.0, 1.9, p.y));
            ink.paint(self.coat.furry(p, body), dark);
        }
        if let Some(color) = self.collar {
            let band = bent(p, [at(-0.68, 1.0), at(0.0, 1.5), at(0.68, 1.0)], 0.09, 0.09);
            ink.paint(band, color);
            ink.paint(
                ellipse(p, at(0.0, 1.42), at(0.11, 0.12)),
                [0.80, 0.80, 0.78],
            );
        }
    }

    fn head(&self, p: Point) -> f32 {
        let q = at(p.x.abs() / self.width, p.y);
        melt(
            ellipse(q, at(0.0, -0.12), at(0.84, 0.78)),
            ellipse(q, at(0.12, 0.42), at(0.5, 0.5)),
            0.35,
        )
    }

    fn ear_color(&self, p: Point) -> Color {
        let color = match self.coat.pattern {
            Pattern::Mask | Pattern::Patches => self.coat.second,
            _ => self.coat.color(p),
        };
        shade(color, self.ear_shade)
    }

    fn paint_ears(&self, p: Point, ink: &mut Ink) {
        for side in [-1.0, 1.0] {
            let swing = self.ear_swing[usize::from(side > 0.0)];
            let root = at(0.62 * self.width, -0.62);
            let q = at(p.x * side, p.y) + at(self.turn.x * side, self.turn.y) * 0.06;
            let q = (q - root).turned(match self.ears {
                Ears::Hanging => swing,
                _ => -swing,
            }) + root;
            let length = self.ear_length;
            let ear = match self.ears {
                Ears::Hanging => melt(
                    bent(
                        q,
                        [root, root + at(0.42, 0.05), root + at(0.36, 0.95 * length)],
                        0.14,
                        0.27,
                    ),
                    ellipse(q, root + at(0.1, 0.05), at(0.2, 0.15)),
                    0.2,
                ),
                Ears::Folded => triangle(
                    q,
                    [
                        root + at(-0.22, -0.22),
                        root + at(0.26, -0.02),
                        root + at(0.38, 0.55 * length),
                    ],
                    0.1,
                ),
                Ears::Pricked => triangle(
                    q,
                    [
                        root + at(-0.26, 0.0),
                        root + at(0.28, 0.36),
                        root + at(0.2, -0.85 * length),
                    ],
                    0.1,
                ),
            };
            if ear > 0.4 {
                continue;
            }
            let color = self.ear_color(at(q.x * side, q.y));
            if self.ears != Ears::Pricked {
                ink.soft(ear, 0.12, [0.05, 0.04, 0.04], 0.35);
            }
            let curl = 1.0 - 0.25 * smoothstep(-0.18, 0.03, ear);
            ink.paint(self.coat.furry(p, ear), shade(color, curl));
            if self.ears == Ears::Pricked {
                let inner = [
                    root + at(-0.1, 0.0),
                    root + at(0.22, 0.2),
                    root + at(0.18, -0.62 * length),
                ];
                let pink = blend([0.72, 0.50, 0.46], color, 0.45);
                ink.soft(triangle(q, inner, 0.03), 0.06, pink, 0.9);
            }
        }
    }

    fn paint_eyes(&self, p: Point, ink: &mut Ink) {
        for side in [-1.0, 1.0] {
            let q = at(p.x * side, p.y) - self.eye;
            if q.length() > 0.55 {
                continue;
            }
            if self.eye_patch == side {
                let patch = self
                    .coat
                    .furry(p, ellipse(q, at(0.03, 0.0), at(0.28, 0.33)));
                ink.soft(patch, 0.03, self.coat.second, 1.0);
            }
            if self.brow {
                let brow = ellipse(q, at(-0.06, -0.26), at(0.1, 0.06));
                let color = blend(self.coat.base, [0.85, 0.62, 0.38], 0.7);
                ink.soft(brow, 0.04, color, 0.9);
            }
            let size = self.eye_size;
            let lens = ellipse(q, at(0.0, 0.0), at(size * 1.2, size));
            ink.soft(lens - 0.03, 0.03, [0.12, 0.08, 0.07], 0.9);
            ink.paint(lens, [0.88, 0.85, 0.82]);
            let middle = at(self.gaze.x * side, self.gaze.y);
            let iris = ellipse(q, middle, at(size * 0.98, size * 0.98)).max(lens);
            ink.paint(iris, self.iris);
            ink.paint(
                ellipse(q, middle, at(size * 0.62, size * 0.62)),
                [0.04, 0.03, 0.03],
            );
            let lid = (q.y + size * 0.75 + q.x * 0.25).max(lens - 0.02);
            ink.paint(lid, shade(self.coat.color(p), 0.72));
            let shine = at(-0.05 * side, -0.05);
            ink.paint(ellipse(q, shine, at(0.04, 0.04)), [1.0, 1.0, 1.0]);
        }
    }

    fn paint_snout(&self, p: Point, ink: &mut Ink) {
        let q = at(p.x.abs(), p.y);
        let size = self.snout;
        let fur = blend(self.coat.color(p), self.coat.white, self.snout_light);
        let base = 0.34 + size.y;
        if self.mouth_open > 0.0 {
            let drop = 0.32 * self.mouth_open;
            let jaw = ellipse(q, at(0.0, base - 0.1), at(size.x * 0.68, 0.2 + drop));
            ink.paint(self.coat.furry(p, jaw), shade(fur, 0.75));
            let mouth = ellipse(q, at(0.0, base - 0.1), at(size.x * 0.5, 0.12 + drop));
            ink.paint(mouth, [0.22, 0.08, 0.09]);
            if self.tongue > 0.2 {
                let end = at(0.0, base + drop * 0.6 + 0.35 * (self.tongue - 0.2));
                let tongue = stroke(p, at(0.0, base - 0.1), end, 0.15, 0.17);
                ink.paint(tongue, [0.91, 0.47, 0.51]);
                let crease = stroke(p, at(0.0, base - 0.1), end, 0.0, 0.0);
                ink.hair(crease, 0.012, [0.70, 0.30, 0.36]);
            }
        }
        // The upper lip's two lobes, and the bridge that joins them to the forehead.
        let lobes = ellipse(q, at(size.x * 0.42, 0.40), at(size.x * 0.62, size.y * 0.82));
        let bridge = stroke(q, at(0.0, -0.05), at(0.0, 0.35), 0.17, size.x * 0.62);
        let snout = melt(lobes, bridge, 0.2);
        ink.soft(snout, 0.14, [0.06, 0.04, 0.04], 0.22);
        let lit = 1.08 - 0.28 * smoothstep(0.3, 0.95, p.y) - 0.12 * smoothstep(-0.15, 0.0, snout);
        ink.soft(self.coat.furry(p, snout), 0.05, shade(fur, lit), 1.0);

        let line = [0.12, 0.08, 0.08];
        let split = stroke(p, at(0.0, 0.3), at(0.0, 0.34 + size.y * 0.62), 0.0, 0.0);
        ink.hair(split, 0.018, line);
        let mouth = [
            at(0.0, 0.34 + size.y * 0.62),
            at(size.x * 0.5, 0.42 + size.y * 0.95),
            at(size.x * 1.0, 0.36 + size.y * 0.5),
        ];
        ink.hair(bent(q, mouth, 0.0, 0.0), 0.022, line);
        for (x, y) in [(0.5, 0.5), (0.68, 0.44), (0.62, 0.62)] {
            ink.hair(
                (q - at(size.x * x, 0.1 + size.y * y * 1.6)).length(),
                0.014,
                shade(fur, 0.5),
            );
        }

        let wide = self.nose;
        let nose = melt(
            ellipse(p, at(0.0, 0.17), at(0.2 * wide, 0.12 * wide)),
            ellipse(p, at(0.0, 0.25), at(0.11 * wide, 0.1 * wide)),
            0.08,
        );
        ink.paint(nose, [0.10, 0.08, 0.09]);
        let nostril = ellipse(q, at(0.085 * wide, 0.2), at(0.04, 0.028));
        ink.paint(nostril, [0.01, 0.01, 0.01]);
        let shine = ellipse(p, at(-0.04, 0.11), at(0.09, 0.03));
        ink.soft(shine, 0.03, [0.9, 0.9, 0.95], 0.55);
    }
}
