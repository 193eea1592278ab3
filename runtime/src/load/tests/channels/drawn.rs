//! Networks drawn by chance.

use super::start;
use crate::load::testing::*;

/// A network of these many layers drawn by chance, of which each reads one of the last ones.
fn drawn(seed: u64, layers: usize) -> Model {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut below = move |end: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % end
    };
    let mut model = start(8);
    let mut values = vec![("x".to_owned(), 8), ("c".to_owned(), 8)];
    for layer in 0..layers {
        let recent = values.len().saturating_sub(4);
        let (from, channels) = values[recent + below(values.len() - recent)].clone();
        let name = format!("v{layer}");
        let alike: Vec<String> = values
            .iter()
            .filter(|(name, other)| *other == channels && *name != from)
            .map(|(name, _)| name.clone())
            .collect();
        let axis = [("axis", I(1))];
        let to = match below(8) {
            0 if channels > 1 => {
                let first = 1 + below(channels - 1);
                let (rest, sizes) = (format!("{name}r"), format!("{name}s"));
                model = model
                    .ints(&sizes, &[first as i64, (channels - first) as i64])
                    .node(
                        "Split",
                        &format!("{from} {sizes}"),
                        &format!("{name} {rest}"),
                        &axis,
                    );
                values.push((rest, channels - first));
                first
            }
            1 => {
                let (other, more) = values[below(values.len())].clone();
                model = model.node("Concat", &format!("{from} {other}"), &name, &axis);
                channels + more
            }
            2 => {
                let order: Vec<i64> = (0..1 + below(10)).map(|_| below(channels) as i64).collect();
                let indices = format!("{name}i");
                model = model.ints(&indices, &order).node(
                    "Gather",
                    &format!("{from} {indices}"),
                    &name,
                    &axis,
                );
                order.len()
            }
            3 if channels % 2 == 0 => {
                model = model.shuffle(&from, &name, channels as i64);
                channels
            }
            4 if !alike.is_empty() => {
                let other = &alike[below(alike.len())];
                model = model.node("Add", &format!("{from} {other}"), &name, &[]);
                channels
            }
            5 => {
                model = model.depthwise(&from, &name, channels);
                channels
            }
            6 => {
                model = model.mix(&from, &name, channels, 6);
                6
            }
            _ => {
                let slopes = format!("{name}a");
                model = model.random(&slopes, &[channels, 1, 1]).node(
                    "PRelu",
                    &format!("{from} {slopes}"),
                    &name,
                    &[],
                );
                channels
            }
        };
        values.push((name, to));
    }
    let [.., (a, i), (b, j)] = &values[..] else {
        return model;
    };
    let join = format!("{a} {b}");
    model
        .node("Concat", &join, "j", &[("axis", I(1))])
        .mix("j", "y", i + j, 3)
}

#[test]
fn drawn_networks_compute_the_same() {
    for seed in 0..300 {
        let file = drawn(seed, 4 + seed as usize % 20).file();
        check(&format!("seed {seed}"), &file);
    }
}
