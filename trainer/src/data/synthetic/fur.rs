//! Colours, and fur: what colour a coat has at a point of the animal.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::shape::{Point, at, clouds, mix, noise, smoothstep, stroke};

/// Red, green and blue in 0..=1.
pub(super) type Color = [f32; 3];

/// Between `from` and `to`.
pub(super) fn blend(from: Color, to: Color, share: f32) -> Color {
    std::array::from_fn(|i| mix(from[i], to[i], share))
}

/// Lighter (above 1) or darker (below 1).
pub(super) fn shade(color: Color, factor: f32) -> Color {
    color.map(|value| value * factor)
}

/// One pixel being painted, layer over layer.
pub(super) struct Ink {
    /// What is seen so far.
    pub(super) color: Color,
    /// The pixel's width in the units of the shapes.
    pub(super) pixel: f32,
}

impl Ink {
    /// Paints a shape over what is there; the edge is one pixel soft.
    pub(super) fn paint(&mut self, distance: f32, color: Color) {
        self.glaze(distance, color, 1.0);
    }

    /// [`paint`](Self::paint), partly transparent.
    pub(super) fn glaze(&mut self, distance: f32, color: Color, opacity: f32) {
        let cover = (0.5 - distance / self.pixel).clamp(0.0, 1.0) * opacity;
        if cover > 0.0 {
            self.color = blend(self.color, color, cover);
        }
    }

    /// Paints a shape whose edge fades over `width`.
    pub(super) fn soft(&mut self, distance: f32, width: f32, color: Color, opacity: f32) {
        let cover = smoothstep(width, -width, distance) * opacity;
        if cover > 0.0 {
            self.color = blend(self.color, color, cover);
        }
    }

    /// Paints a line that may be thinner than a pixel: then it is fainter, never broken.
    pub(super) fn hair(&mut self, distance_to_middle: f32, half_width: f32, color: Color) {
        let drawn = half_width.max(self.pixel * 0.5);
        self.glaze(distance_to_middle - drawn, color, half_width / drawn);
    }
}

/// How a coat's two colours are laid out.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Pattern {
    Plain,
    /// Stripes on the forehead, the cheeks and the body.
    Tabby,
    /// Large irregular patches.
    Patches,
    /// A dark face on a lighter body.
    Mask,
    /// A white stripe from the forehead over the muzzle to the chest.
    Blaze,
}

/// An animal's coat.
pub(super) struct Coat {
    pub(super) base: Color,
    pub(super) second: Color,
    pub(super) white: Color,
    pub(super) pattern: Pattern,
    /// How rough the outline is.
    pub(super) rough: f32,
    strength: f32,
    seed: u32,
}

/// Coats that cats and dogs share, so that colour alone tells nothing: base and second colour.
const COATS: [(Color, Color); 10] = [
    ([0.83, 0.55, 0.28], [0.62, 0.34, 0.14]), // ginger
    ([0.92, 0.78, 0.56], [0.76, 0.55, 0.32]), // cream
    ([0.55, 0.40, 0.27], [0.28, 0.19, 0.13]), // brown
    ([0.60, 0.58, 0.56], [0.32, 0.31, 0.31]), // grey
    ([0.47, 0.50, 0.55], [0.28, 0.30, 0.34]), // blue-grey
    ([0.16, 0.15, 0.15], [0.36, 0.26, 0.18]), // black
    ([0.93, 0.91, 0.87], [0.55, 0.42, 0.30]), // white and brown
    ([0.94, 0.92, 0.89], [0.20, 0.18, 0.18]), // white and black
    ([0.70, 0.60, 0.48], [0.42, 0.34, 0.27]), // fawn
    ([0.40, 0.24, 0.15], [0.22, 0.13, 0.09]), // chocolate
];

impl Coat {
    /// A random coat with the given pattern.
    pub(super) fn random(rng: &mut ChaCha8Rng, pattern: Pattern) -> Self {
        let (base, second) = COATS[rng.random_range(0..COATS.len())];
        let light = rng.random_range(0.85..1.12);
        let vary = |color: Color, rng: &mut ChaCha8Rng| {
            color.map(|value| (value * light * rng.random_range(0.95..1.05)).min(0.98))
        };
        Self {
            base: vary(base, rng),
            second: vary(second, rng),
            white: [0.95, 0.93, 0.90].map(|value| value * rng.random_range(0.94..1.0)),
            pattern,
            rough: rng.random_range(0.012..0.05),
            strength: rng.random_range(0.06..0.2),
            seed: rng.random(),
        }
    }

    /// The coat's colour at a point of the face (`p.y` above 1 is the body).
    pub(super) fn color(&self, p: Point) -> Color {
        let wavy = noise(p * 2.3, self.seed);
        let share = match self.pattern {
            Pattern::Plain => 0.0,
            Pattern::Tabby => {
                let (down, across) = if p.y > 0.95 {
                    (0.0, (p.y * 15.0 + wavy * 1.4 + p.x.abs() * 3.0).sin())
                } else {
                    let forehead = smoothstep(-0.2, -0.4, p.y) * smoothstep(0.62, 0.45, p.x.abs());
                    let cheeks = smoothstep(0.48, 0.6, p.x.abs()) * smoothstep(-0.35, -0.1, p.y);
                    (
                        forehead * ((p.x * 17.0 + wavy * 0.6).cos() + 0.1),
                        cheeks * (p.y * 15.0 - p.x.abs() * 5.0 + wavy).sin(),
                    )
                };
                smoothstep(0.0, 0.6, down.max(across)) * 0.85
            }
            Pattern::Patches => smoothstep(0.02, 0.12, clouds(p * 0.95, 2, self.seed)),
            Pattern::Mask => smoothstep(0.95, 0.35, (p - at(0.0, 0.28)).length() + wavy * 0.08),
            Pattern::Blaze => 0.0,
        };
        let mut color = blend(self.base, self.second, share);
        if self.pattern == Pattern::Blaze {
            let face = stroke(p, at(0.0, -0.75), at(0.0, 0.55), 0.05, 0.36);
            let chest = stroke(p, at(0.0, 1.1), at(0.0, 2.2), 0.3, 0.5);
            let edge = face.min(chest) + wavy * 0.06;
            color = blend(color, self.white, smoothstep(0.04, -0.04, edge));
        }
        let strands = clouds(at(p.x * 13.0 + wavy, p.y * 6.0), 3, self.seed ^ 0x51);
        shade(color, 1.0 + self.strength * strands)
    }

    /// The same with a coarse, furry disturbance added to `distance`.
    pub(super) fn furry(&self, p: Point, distance: f32) -> f32 {
        if distance.abs() > 3.0 * self.rough {
            return distance;
        }
        distance + self.rough * noise(p * 17.0, self.seed ^ 0xF0)
    }

    /// How light the base colour is, 0..=1.
    pub(super) fn lightness(&self) -> f32 {
        0.3 * self.base[0] + 0.59 * self.base[1] + 0.11 * self.base[2]
    }
}
