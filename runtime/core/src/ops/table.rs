//! A table of each value: activations, PRelu, requantization. QUANTIZATION.md, equation (16).

use crate::layer::Table;

/// Runs the layer.
pub fn run(layer: &Table<'_>, arena: &mut [u8]) -> Option<()> {
    let (tables, _) = layer.table.as_chunks::<256>();
    let [input, output] = [layer.input, layer.output].map(|tensor| tensor.offset as usize);
    let tables = tables.iter().cycle().take(layer.output.shape.len());
    for (index, table) in tables.enumerate() {
        let value = *arena.get(input + index)?;
        *arena.get_mut(output + index)? = look_up(table, value);
    }
    Some(())
}

/// `table[x + 128]`, for an i8 in a byte.
pub const fn look_up(table: &[u8; 256], value: u8) -> u8 {
    table[(value ^ 0x80) as usize]
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::testing::{Random, tensor};

    #[test]
    fn every_value_is_looked_up() {
        let mut random = Random(1);
        let shape = [3, 5, 4];
        for per_channel in [false, true] {
            let table = random.bytes(if per_channel { 1024 } else { 256 });
            for output in [70, 4] {
                let layer = Table {
                    input: tensor(4, shape, 0),
                    output: tensor(output, shape, 0),
                    table: &table,
                };
                let mut arena = random.bytes(132);
                let before = arena.clone();
                assert_eq!(run(&layer, &mut arena), Some(()));
                let expected: Vec<u8> = (0..60)
                    .map(|index| {
                        let start = if per_channel { index % 4 * 256 } else { 0 };
                        let value = i32::from(before[4 + index] as i8);
                        table[start + (value + 128) as usize]
                    })
                    .collect();
                assert_eq!(arena[output..output + 60], expected);
                assert_eq!(arena[output + 60..], before[output + 60..]);
            }
        }
    }

    #[test]
    fn a_short_arena_is_refused() {
        let layer = Table {
            input: tensor(0, [1, 1, 4], 0),
            output: tensor(0, [1, 1, 4], 0),
            table: &[0; 256],
        };
        assert_eq!(run(&layer, &mut [0; 3]), None);
    }
}
