//! The drawing's tools: signed distances to simple shapes, and noise.
//!
//! A distance is negative inside a shape and positive outside, in the units of the point. The formulas are
//! Inigo Quilez's well-known ones (<https://iquilezles.org/articles/distfunctions2d>).

use std::ops::{Add, Mul, Sub};

/// A point or a direction; x to the right, y down.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f32,
    pub(super) y: f32,
}

/// A point.
pub(super) const fn at(x: f32, y: f32) -> Point {
    Point { x, y }
}

impl Add for Point {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        at(self.x + other.x, self.y + other.y)
    }
}

impl Sub for Point {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        at(self.x - other.x, self.y - other.y)
    }
}

impl Mul<f32> for Point {
    type Output = Self;
    fn mul(self, factor: f32) -> Self {
        at(self.x * factor, self.y * factor)
    }
}

impl Point {
    pub(super) fn dot(self, other: Self) -> f32 {
        self.x * other.x + self.y * other.y
    }

    pub(super) fn length(self) -> f32 {
        self.dot(self).sqrt()
    }

    /// Turned clockwise on the screen by `angle` radians.
    pub(super) fn turned(self, angle: f32) -> Self {
        let (sin, cos) = angle.sin_cos();
        at(self.x * cos - self.y * sin, self.x * sin + self.y * cos)
    }

    pub(super) fn towards(self, other: Self, share: f32) -> Self {
        self + (other - self) * share
    }
}

/// Between `from` and `to`.
pub(super) fn mix(from: f32, to: f32, share: f32) -> f32 {
    from + (to - from) * share
}

/// 0 below `low`, 1 above `high`, smooth between.
pub(super) fn smoothstep(low: f32, high: f32, value: f32) -> f32 {
    let t = ((value - low) / (high - low)).clamp(0.0, 1.0);
    t * t * (3.0 - 2.0 * t)
}

/// An upright ellipse (first-order distance: exact on the edge).
pub(super) fn ellipse(p: Point, centre: Point, radii: Point) -> f32 {
    let q = p - centre;
    let scaled = at(q.x / radii.x, q.y / radii.y);
    let slope = at(scaled.x / radii.x, scaled.y / radii.y).length();
    let k = scaled.length();
    if slope < 1e-6 {
        return -radii.x.min(radii.y);
    }
    k * (k - 1.0) / slope
}

/// A line from `a` to `b` whose half-width goes from `at_a` to `at_b`, with round ends.
pub(super) fn stroke(p: Point, a: Point, b: Point, at_a: f32, at_b: f32) -> f32 {
    let (pa, ba) = (p - a, b - a);
    let t = (pa.dot(ba) / ba.dot(ba).max(1e-9)).clamp(0.0, 1.0);
    (pa - ba * t).length() - mix(at_a, at_b, t)
}

/// A bent line: the quadratic Bézier curve from `a` to `c` with control point `b`, as short strokes.
pub(super) fn bent(p: Point, [a, b, c]: [Point; 3], at_a: f32, at_c: f32) -> f32 {
    const PIECES: usize = 6;
    let mut nearest = f32::MAX;
    let (mut last, mut last_width) = (a, at_a);
    for piece in 1..=PIECES {
        let t = piece as f32 / PIECES as f32;
        let next = a.towards(b, t).towards(b.towards(c, t), t);
        let width = mix(at_a, at_c, t);
        nearest = nearest.min(stroke(p, last, next, last_width, width));
        (last, last_width) = (next, width);
    }
    nearest
}

/// A triangle whose corners are rounded by `round` (which also makes it that much larger).
pub(super) fn triangle(p: Point, corners: [Point; 3], round: f32) -> f32 {
    let [a, b, c] = corners;
    let edges = [(a, b), (b, c), (c, a)];
    let turn = ((b - a).x * (c - a).y - (b - a).y * (c - a).x).signum();
    let (mut nearest, mut inside) = (f32::MAX, true);
    for (from, to) in edges {
        let (edge, q) = (to - from, p - from);
        let t = (q.dot(edge) / edge.dot(edge).max(1e-9)).clamp(0.0, 1.0);
        nearest = nearest.min((q - edge * t).length());
        inside &= turn * (edge.x * q.y - edge.y * q.x) >= 0.0;
    }
    (if inside { -nearest } else { nearest }) - round
}

/// Both shapes, melted together over a width of `blend`.
pub(super) fn melt(one: f32, other: f32, blend: f32) -> f32 {
    let h = (blend - (one - other).abs()).max(0.0) / blend;
    one.min(other) - h * h * blend * 0.25
}

/// A well-mixed number of a lattice point.
fn hash(x: i32, y: i32, seed: u32) -> u32 {
    let mut h = (x as u32).wrapping_mul(0x9E37_79B1)
        ^ (y as u32).wrapping_mul(0x85EB_CA77)
        ^ seed.wrapping_mul(0xC2B2_AE3D);
    h = (h ^ (h >> 15)).wrapping_mul(0x2C1B_3C6D);
    h = (h ^ (h >> 12)).wrapping_mul(0x297A_2D39);
    h ^ (h >> 15)
}

/// Smooth noise in -1..=1 with one hump a unit.
pub(super) fn noise(p: Point, seed: u32) -> f32 {
    let (left, top) = (p.x.floor(), p.y.floor());
    let (fx, fy) = (p.x - left, p.y - top);
    let (sx, sy) = (fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy));
    let value = |dx: i32, dy: i32| {
        let h = hash(
            (left as i32).wrapping_add(dx),
            (top as i32).wrapping_add(dy),
            seed,
        );
        (h >> 8) as f32 / 8_388_607.5 - 1.0
    };
    mix(
        mix(value(0, 0), value(1, 0), sx),
        mix(value(0, 1), value(1, 1), sx),
        sy,
    )
}

/// [`noise`] in `octaves` layers, each twice as fine and half as strong; about -1..=1.
pub(super) fn clouds(p: Point, octaves: u32, seed: u32) -> f32 {
    let (mut sum, mut strength, mut q) = (0.0, 0.5, p);
    for octave in 0..octaves {
        sum += strength * noise(q, seed.wrapping_add(octave));
        q = q * 2.03;
        strength *= 0.5;
    }
    sum * 1.3
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_have_the_right_sign_and_size() {
        struct Case {
            what: &'static str,
            distance: f32,
            want: f32,
        }
        let corners = [at(0.0, 0.0), at(4.0, 0.0), at(0.0, 4.0)];
        let cases = [
            Case {
                what: "right of a circle",
                distance: ellipse(at(3.0, 0.0), at(0.0, 0.0), at(1.0, 1.0)),
                want: 2.0,
            },
            Case {
                what: "on an ellipse's top",
                distance: ellipse(at(1.0, -2.0), at(1.0, 1.0), at(5.0, 3.0)),
                want: 0.0,
            },
            Case {
                what: "in an ellipse's middle",
                distance: ellipse(at(1.0, 1.0), at(1.0, 1.0), at(5.0, 3.0)),
                want: -3.0,
            },
            Case {
                what: "above a line",
                distance: stroke(at(1.0, -2.0), at(0.0, 0.0), at(2.0, 0.0), 0.5, 0.5),
                want: 1.5,
            },
            Case {
                what: "past the end of a straight curve",
                distance: bent(
                    at(6.0, 0.0),
                    [at(0.0, 0.0), at(1.0, 0.0), at(2.0, 0.0)],
                    0.5,
                    1.0,
                ),
                want: 3.0,
            },
            Case {
                what: "in a triangle",
                distance: triangle(at(1.0, 0.5), corners, 0.0),
                want: -0.5,
            },
            Case {
                what: "above a rounded triangle",
                distance: triangle(at(1.0, -1.0), corners, 0.25),
                want: 0.75,
            },
            Case {
                what: "in a triangle given the other way round",
                distance: triangle(at(1.0, 0.5), [corners[0], corners[2], corners[1]], 0.0),
                want: -0.5,
            },
        ];
        for Case {
            what,
            distance,
            want,
        } in cases
        {
            assert!((distance - want).abs() < 1e-4, "{what}: {distance}");
        }
    }

    #[test]
    fn noise_is_smooth_bounded_and_seeded() {
        let (mut low, mut high, mut differs) = (f32::MAX, f32::MIN, false);
        for step in -500..500 {
            let p = at(step as f32 * 0.37, step as f32 * -0.21);
            let value = noise(p, 7);
            low = low.min(value);
            high = high.max(value);
            differs |= noise(p, 8) != value;
            let beside = noise(p + at(1e-3, 0.0), 7);
            assert!((value - beside).abs() < 0.01, "a jump at {p:?}");
        }
        assert!((-1.0..-0.5).contains(&low) && (0.5..=1.0).contains(&high) && differs);
    }
}
