//! What is around the animal: the background, things lying about, the light and the camera.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::fur::{Color, Ink, blend, shade};
use super::shape::{Point, at, clouds, ellipse, mix, noise, smoothstep, stroke, triangle};

fn random_color(rng: &mut ChaCha8Rng) -> Color {
    // Half of all things are nearly grey or brown, as rooms and gardens are.
    let value: f32 = rng.random_range(0.15..0.9);
    let vivid = if rng.random_bool(0.5) { 0.15 } else { 0.5 };
    std::array::from_fn(|_| (value + vivid * rng.random_range(-0.5..0.5f32)).clamp(0.03, 0.97))
}

#[derive(Clone, Copy)]
enum Backdrop {
    /// From one colour to the other.
    Gradient,
    /// Grass, carpet, gravel: noise of a random coarseness.
    Texture,
    /// Planks or a striped cloth.
    Stripes,
    /// Tiles or a chequered blanket.
    Tiles,
    /// A wall and a floor.
    Room,
}

#[derive(Clone, Copy)]
enum Thing {
    Disc,
    Block,
    Wedge,
    Stick,
}

struct Clutter {
    thing: Thing,
    centre: Point,
    size: Point,
    angle: f32,
    softness: f32,
    color: Color,
}

impl Clutter {
    fn random(rng: &mut ChaCha8Rng) -> Self {
        Self {
            thing: [Thing::Disc, Thing::Block, Thing::Wedge, Thing::Stick]
                [rng.random_range(0..4usize)],
            centre: at(rng.random_range(-0.1..1.1), rng.random_range(-0.1..1.1)),
            size: at(rng.random_range(0.03..0.22), rng.random_range(0.03..0.22)),
            angle: rng.random_range(-1.6..1.6),
            softness: rng.random_range(0.0..0.06),
            color: random_color(rng),
        }
    }

    fn paint(&self, p: Point, ink: &mut Ink) {
        let q = (p - self.centre).turned(self.angle);
        let size = self.size;
        let distance = match self.thing {
            Thing::Disc => ellipse(q, at(0.0, 0.0), size),
            Thing::Block => (q.x.abs() - size.x).max(q.y.abs() - size.y),
            Thing::Wedge => {
                let corners = [at(-size.x, size.y), at(size.x, size.y), at(0.0, -size.y)];
                triangle(q, corners, 0.01)
            }
            Thing::Stick => stroke(
                q,
                at(-2.0 * size.x, 0.0),
                at(2.0 * size.x, 0.0),
                0.02,
                0.012,
            ),
        };
        let lit = shade(self.color, 1.0 - 0.8 * q.y);
        ink.soft(distance, self.softness.max(ink.pixel * 0.6), lit, 1.0);
    }
}

/// Everything but the animal. Points are in pictures: 0..1 from the left and from the top.
pub(super) struct Scene {
    backdrop: Backdrop,
    colors: [Color; 2],
    angle: f32,
    fineness: f32,
    seed: u32,
    clutter: Vec<Clutter>,
    in_front: Option<Clutter>,
}

impl Scene {
    pub(super) fn random(rng: &mut ChaCha8Rng) -> Self {
        let backdrop = [
            Backdrop::Gradient,
            Backdrop::Texture,
            Backdrop::Stripes,
            Backdrop::Tiles,
            Backdrop::Room,
        ][rng.random_range(0..5usize)];
        let things = rng.random_range(0..6);
        Self {
            backdrop,
            colors: [random_color(rng), random_color(rng)],
            angle: rng.random_range(-3.1..3.1),
            fineness: rng.random_range(3.0..14.0),
            seed: rng.random(),
            clutter: (0..things).map(|_| Clutter::random(rng)).collect(),
            in_front: rng.random_bool(0.15).then(|| {
                let mut thing = Clutter::random(rng);
                // At the rim, so that it hides a part and never the face.
                thing.centre.y = rng.random_range(0.85..1.05);
                thing
            }),
        }
    }

    pub(super) fn paint_behind(&self, p: Point, ink: &mut Ink) {
        let [one, two] = self.colors;
        let q = (p - at(0.5, 0.5)).turned(self.angle);
        ink.color = match self.backdrop {
            Backdrop::Gradient => blend(one, two, (q.x + 0.6) / 1.2),
            Backdrop::Texture => {
                let grain = clouds(
                    at(q.x * self.fineness * 2.0, q.y * self.fineness),
                    4,
                    self.seed,
                );
                blend(one, blend(one, two, 0.6), 0.5 + 0.6 * grain)
            }
            Backdrop::Stripes => {
                let wave = (q.x * self.fineness * 5.0).sin();
                let grain = noise(at(q.x * 40.0, q.y * 5.0), self.seed);
                let color = blend(one, two, 0.5 * smoothstep(-0.2, 0.2, wave));
                shade(color, 1.0 + 0.08 * grain)
            }
            Backdrop::Tiles => {
                let tile = q * self.fineness;
                let odd = (tile.x.floor() + tile.y.floor()).rem_euclid(2.0);
                let grain = noise(q * 23.0, self.seed);
                shade(blend(one, two, 0.45 * odd), 1.0 + 0.05 * grain)
            }
            Backdrop::Room => {
                let horizon = 0.62 + 0.1 * self.angle.sin() + 0.1 * self.angle.cos() * (p.x - 0.5);
                let floor = smoothstep(horizon - 0.01, horizon + 0.01, p.y);
                let grain = clouds(
                    at(p.x * self.fineness, p.y * self.fineness * 3.0),
                    3,
                    self.seed,
                );
                shade(
                    blend(one, two, floor),
                    1.0 + 0.2 * floor * grain - 0.1 * p.y,
                )
            }
        };
        for thing in &self.clutter {
            thing.paint(p, ink);
        }
    }

    pub(super) fn paint_in_front(&self, p: Point, ink: &mut Ink) {
        if let Some(thing) = &self.in_front {
            thing.paint(p, ink);
        }
    }
}

/// The light on the scene and what the camera makes of it.
pub(super) struct Camera {
    from: Point,
    side_light: f32,
    vignette: f32,
    white: Color,
    exposure: f32,
    gamma: f32,
    contrast: f32,
    blur: f32,
    noise: f32,
    /// The JPEG file's quality, 1..=100.
    pub(super) quality: u8,
}

impl Camera {
    pub(super) fn random(rng: &mut ChaCha8Rng) -> Self {
        let warmth: f32 = rng.random_range(-0.1..0.1);
        let tint: f32 = rng.random_range(-0.03..0.03);
        Self {
            from: at(0.5, 0.0).turned(rng.random_range(-3.1..3.1)),
            side_light: rng.random_range(0.0..0.7),
            vignette: rng.random_range(0.0..0.5),
            white: [1.0 + warmth, 1.0 + tint, 1.0 - warmth],
            exposure: rng.random_range(0.72..1.22),
            gamma: rng.random_range(0.8..1.3),
            contrast: rng.random_range(0.75..1.1),
            blur: if rng.random_bool(0.4) {
                rng.random_range(0.0..0.3)
            } else {
                0.0
            },
            noise: rng.random_range(0.0..1.0f32).powi(2) * 0.055,
            quality: rng.random_range(62..=95),
        }
    }

    /// The light falling on the point `p` of the picture (0..1), applied to a colour.
    pub(super) fn expose(&self, p: Point, color: Color) -> Color {
        let q = p - at(0.5, 0.5);
        let light = (1.0 + self.side_light * q.dot(self.from))
            * (1.0 - self.vignette * q.dot(q))
            * self.exposure;
        let mut seen = color;
        for (value, white) in seen.iter_mut().zip(self.white) {
            let lit = (*value * light * white).max(0.0).powf(self.gamma);
            *value = mix(0.5, lit, self.contrast);
        }
        seen
    }

    /// Lens and sensor: blurs the finished picture (rows of `side` pixels), adds noise, and rounds.
    pub(super) fn develop(
        &self,
        mut pixels: Vec<Color>,
        side: usize,
        rng: &mut ChaCha8Rng,
    ) -> Vec<u8> {
        if self.blur > 0.0 {
            blur(&mut pixels, side, 1, self.blur);
            blur(&mut pixels, side, side, self.blur);
        }
        let mut bytes = Vec::with_capacity(pixels.len() * 3);
        for pixel in pixels {
            let shared = self.grain(rng);
            for value in pixel {
                let noisy = value + 0.7 * shared + 0.5 * self.grain(rng);
                bytes.push((noisy.clamp(0.0, 1.0) * 255.0).round() as u8);
            }
        }
        bytes
    }

    /// Noise that is nearly Gaussian, of the camera's strength.
    fn grain(&self, rng: &mut ChaCha8Rng) -> f32 {
        let bits: u32 = rng.random();
        let sum: u32 = bits.to_le_bytes().iter().map(|&byte| u32::from(byte)).sum();
        (sum as f32 / 510.0 - 1.0) * 1.7 * self.noise
    }
}

/// Three taps along rows (`step` 1) or columns (`step` = the side) of a square picture.
fn blur(pixels: &mut [Color], side: usize, step: usize, weight: f32) {
    let across = if step == 1 { side } else { 1 };
    for line in 0..side {
        let start = line * across;
        let mut before = pixels[start];
        for i in 0..side {
            let here = pixels[start + i * step];
            let after = pixels[start + (i + 1).min(side - 1) * step];
            pixels[start + i * step] = std::array::from_fn(|c| {
                here[c] * (1.0 - 2.0 * weight) + (before[c] + after[c]) * weight
            });
            before = here;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blur_spreads_a_dot_along_its_own_axis_only() {
        for (step, beside, apart) in [(1, 7, 11), (4, 10, 7)] {
            let mut pixels = vec![[0.0; 3]; 16];
            pixels[6] = [1.0, 0.0, 0.0];
            blur(&mut pixels, 4, step, 0.25);
            assert_eq!(pixels[6], [0.5, 0.0, 0.0], "step {step}");
            assert_eq!(pixels[beside], [0.25, 0.0, 0.0], "step {step}");
            assert_eq!(pixels[apart], [0.0; 3], "step {step}");
        }
    }
}
