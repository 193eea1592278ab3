//! A table of each value: activations, PRelu, requantization. QUANTIZATION.md, equation (13).

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
