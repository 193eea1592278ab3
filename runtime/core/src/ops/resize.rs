//! Nearest neighbour by whole factors. QUANTIZATION.md, equation (18).

use crate::layer::Resize;

/// Runs the layer.
pub fn run(layer: &Resize, arena: &mut [u8]) -> Option<()> {
    let (input, output) = (layer.input.shape, layer.output.shape);
    let channels = output.channels as usize;
    let mut to = layer.output.offset as usize;
    for row in 0..output.height {
        let in_row = row.checked_div(layer.factors[0])? as usize;
        for column in 0..output.width {
            let in_column = column.checked_div(layer.factors[1])? as usize;
            let pixel = in_row * input.width as usize + in_column;
            let from = layer.input.offset as usize + pixel * channels;
            for channel in 0..channels {
                *arena.get_mut(to + channel)? = *arena.get(from + channel)?;
            }
            to += channels;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, tensor};

    #[test]
    fn every_pixel_is_repeated() {
        for factors in [[2, 3], [1, 1], [3, 1]] {
            let [down, across] = factors;
            let layer = Resize {
                input: tensor(2, [2, 3, 4], 0),
                output: tensor(30, [2 * down, 3 * across, 4], 0),
                factors,
            };
            let mut arena = Random(1).bytes(180);
            let mut expected = arena.clone();
            let mut to = 30;
            for y in 0..2 {
                for _ in 0..down {
                    for x in 0..3 {
                        for _ in 0..across {
                            for c in 0..4 {
                                expected[to] = arena[2 + (y * 3 + x) * 4 + c];
                                to += 1;
                            }
                        }
                    }
                }
            }
            assert_eq!(run(&layer, &mut arena), Some(()));
            assert_eq!(arena, expected, "{factors:?}");
            assert_eq!(run(&layer, &mut arena[..to - 1]), None);
        }
    }

    #[test]
    fn no_factor_is_refused() {
        let layer = Resize {
            input: tensor(0, [1, 1, 1], 0),
            output: tensor(1, [1, 1, 1], 0),
            factors: [0, 1],
        };
        assert_eq!(run(&layer, &mut [0; 2]), None);
    }
}
