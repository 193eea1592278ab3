//! Writes its input into a part of its output: Concat, Pad.

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
