//! Nearest neighbour by whole factors.

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
