//! Writes its input into a part of its output: Concat, Pad. QUANTIZATION.md, equation (17).

use super::table::look_up;
use crate::layer::Copy;

/// Runs the layer.
pub fn run(layer: &Copy<'_>, arena: &mut [u8]) -> Option<()> {
    let (input, output) = (layer.input.shape, layer.output.shape);
    let table = layer.table.first_chunk();
    let within = |at: u32, start: u32, len: u32| at.checked_sub(start).filter(|&at| at < len);
    let mut to = layer.output.offset as usize;
    for row in 0..output.height {
        let in_row = within(row, layer.at[0], input.height);
        for column in 0..output.width {
            let pixel = in_row.zip(within(column, layer.at[1], input.width));
            let from = pixel.map(|(row, column)| {
                let pixel = row as usize * input.width as usize + column as usize;
                layer.input.offset as usize + pixel * input.channels as usize
            });
            for channel in 0..output.channels {
                let from = from.zip(within(channel, layer.at[2], input.channels));
                let value = match from {
                    Some((from, channel)) => {
                        let value = *arena.get(from + channel as usize)?;
                        Some(table.map_or(value, |table| look_up(table, value)))
                    }
                    None => layer.fill.map(|fill| fill as u8),
                };
                if let Some(value) = value {
                    *arena.get_mut(to)? = value;
                }
                to += 1;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Random, tensor};

    #[test]
    fn a_part_of_the_output_becomes_the_input() {
        let mut random = Random(1);
        let table = random.bytes(256);
        // Input, output, where.
        let cases = [
            ([2, 3, 4], [2, 3, 9], [0, 0, 5]),
            ([2, 3, 4], [7, 3, 4], [3, 0, 0]),
            ([2, 3, 4], [2, 5, 4], [0, 2, 0]),
            ([3, 2, 1], [6, 5, 2], [2, 1, 1]),
            ([2, 3, 4], [2, 3, 4], [0, 0, 0]),
        ];
        for (input, output, at) in cases {
            for (fill, table) in [(None, &[][..]), (Some(-77), &[]), (None, &table[..])] {
                let layer = Copy {
                    input: tensor(3, input, 0),
                    output: tensor(40, output, 0),
                    at,
                    fill,
                    table,
                };
                let mut arena = random.bytes(200);
                let before = arena.clone();
                assert_eq!(run(&layer, &mut arena), Some(()));
                let mut expected = before.clone();
                if let Some(fill) = fill {
                    expected[40..40 + layer.output.shape.len()].fill(fill as u8);
                }
                let place = |[_, width, channels]: [u32; 3], [y, x, c]: [u32; 3]| {
                    ((y * width + x) * channels + c) as usize
                };
                for y in 0..input[0] {
                    for x in 0..input[1] {
                        for c in 0..input[2] {
                            let to = 40 + place(output, [at[0] + y, at[1] + x, at[2] + c]);
                            let value = before[3 + place(input, [y, x, c])];
                            expected[to] = match table {
                                [] => value,
                                table => table[(i32::from(value as i8) + 128) as usize],
                            };
                        }
                    }
                }
                assert_eq!(arena, expected, "{input:?} {output:?} {at:?} {fill:?}");
            }
        }
    }

    #[test]
    fn the_output_may_begin_before_the_input() {
        let layer = Copy {
            input: tensor(8, [2, 2, 2], 0),
            output: tensor(0, [2, 4, 2], 0),
            at: [0, 1, 0],
            fill: Some(9),
            table: &[],
        };
        let mut arena = [0; 16];
        for (place, value) in arena[8..].iter_mut().zip(1..) {
            *place = value;
        }
        assert_eq!(run(&layer, &mut arena), Some(()));
        assert_eq!(arena, [9, 9, 1, 2, 3, 4, 9, 9, 9, 9, 5, 6, 7, 8, 9, 9]);
        assert_eq!(run(&layer, &mut arena[..15]), None);
    }
}
