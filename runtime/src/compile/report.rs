//! What was compiled, a layer a row.

use std::fmt;

use kiln_core::tensor::Shape;
use serde::Serialize;
use thousands::Separable;

use super::check::text;

/// Characters of a layer's name in the text.
const NAME: usize = 40;

/// What was compiled.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// The model's name.
    pub name: String,
    /// What it was compiled for.
    pub target: String,
    /// Layers, in the order in which they run.
    pub layers: Vec<LayerReport>,
    /// Bytes of RAM that an inference takes, exactly.
    pub arena: usize,
    /// The bytes below which no plan of these layers in this order can come.
    pub arena_bound: usize,
    /// The layer at which the arena is fullest.
    pub peak_layer: String,
    /// Bytes of the file.
    pub file: usize,
    /// Of them, bytes of weights and other constants.
    pub constants: usize,
    /// Multiply-accumulates of an inference.
    pub macs: u64,
    /// Output channels of convolutions.
    pub channels: usize,
    /// Of them, those that no multiplier in integers rounds as the exact one does: they take more
    /// steps on cores with no FPU.
    pub exact_channels: usize,
    /// Golden vectors in the file.
    pub golden: u16,
}

/// One layer.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LayerReport {
    /// ONNX's name.
    pub name: String,
    /// What it computes.
    pub op: &'static str,
    /// Rows, columns and channels of the output.
    pub output: [u32; 3],
    /// Multiply-accumulates.
    pub macs: u64,
    /// Bytes of constants.
    pub constants: usize,
    /// The output's first byte in the arena.
    pub offset: usize,
    /// The output's bytes.
    pub bytes: usize,
    /// Bytes of scratch.
    pub scratch: usize,
    /// Bytes from the arena's start to the end of what is needed while this layer runs.
    pub arena: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let heads = [
            "layer",
            "op",
            "output",
            "MACs",
            "constants",
            "offset",
            "bytes",
            "scratch",
            "arena",
        ];
        let rows = self.layers.iter().map(|layer| {
            let [height, width, channels] = layer.output;
            [
                shortened(&layer.name),
                layer.op.to_owned(),
                text(Shape::new(height, width, channels)),
                layer.macs.separate_with_commas(),
                layer.constants.separate_with_commas(),
                layer.offset.separate_with_commas(),
                layer.bytes.separate_with_commas(),
                layer.scratch.separate_with_commas(),
                layer.arena.separate_with_commas(),
            ]
        });
        let rows: Vec<[String; 9]> = [heads.map(str::to_owned)].into_iter().chain(rows).collect();
        let length = |text: &String| text.chars().count();
        let widths: Vec<usize> = (0..heads.len())
            .map(|column| {
                rows.iter()
                    .map(|row| length(&row[column]))
                    .max()
                    .unwrap_or(0)
            })
            .collect();
        for row in &rows {
            let mut line = String::new();
            for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
                let space = " ".repeat(width - length(cell));
                // Names to the left, numbers to the right.
                line += &match column {
                    0..=2 => format!("{cell}{space}  "),
                    _ => format!("{space}{cell}  "),
                };
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f)?;
        let Self {
            arena, arena_bound, ..
        } = *self;
        write!(f, "arena      {} bytes", arena.separate_with_commas())?;
        match arena.checked_sub(arena_bound) {
            Some(0) => write!(f, ", which is the least for this order")?,
            Some(over) => write!(
                f,
                ", at most {} above the least",
                over.separate_with_commas()
            )?,
            None => {}
        }
        writeln!(f, "; fullest at `{}`", shortened(&self.peak_layer))?;
        let (file, constants) = (
            self.file.separate_with_commas(),
            self.constants.separate_with_commas(),
        );
        writeln!(f, "file       {file} bytes, {constants} of them constants")?;
        writeln!(f, "MACs       {}", self.macs.separate_with_commas())?;
        let (exact, channels) = (self.exact_channels, self.channels);
        write!(
            f,
            "multiplier rule: {exact} of {channels} channels take the exact path"
        )?;
        match self.golden {
            0 => Ok(()),
            count => write!(f, "\ngolden vectors: {count}"),
        }
    }
}

/// The end of a long name: converters join the names of all that they fused, the last one last.
fn shortened(name: &str) -> String {
    match name.char_indices().rev().nth(NAME - 1) {
        Some((start, _)) if start > 0 => format!("…{}", &name[start..]),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_line_up() {
        let layer = LayerReport {
            name: "conv1".into(),
            op: "Conv",
            output: [32, 32, 16],
            macs: 442_368,
            bytes: 16_384,
            ..LayerReport::default()
        };
        let report = Report {
            layers: vec![
                layer.clone(),
                LayerReport {
                    name: "é".into(),
                    ..layer
                },
            ],
            arena: 54_996,
            arena_bound: 54_000,
            peak_layer: "conv1".into(),
            macs: 1_234_567,
            exact_channels: 3,
            channels: 16,
            ..Report::default()
        };
        let text = report.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].contains("32×32×16  442,368"), "{text}");
        let ends = lines[..3].iter().map(|line| line.chars().count());
        assert_eq!(
            ends.collect::<std::collections::HashSet<_>>().len(),
            1,
            "{text}"
        );
        assert!(
            text.contains(
                "arena      54,996 bytes, at most 996 above the least; fullest at `conv1`"
            )
        );
        assert!(text.contains("MACs       1,234,567") && text.contains("3 of 16 channels"));
    }
}
