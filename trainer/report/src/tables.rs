//! Tables with bars: costs by layer, sizes.

use serde::Serialize;

use crate::data::{self, LayerCost, Size};
use crate::text::{bytes, grouped, number};

/// A bar with its number.
#[derive(Clone, Debug, Serialize)]
pub struct Row<'a> {
    pub name: &'a str,
    pub note: &'a str,
    pub value: String,
    /// In percent of the longest.
    pub width: String,
    /// Worth a look.
    pub marked: bool,
}

/// A bar's width in percent.
pub fn width(value: f64, most: f64) -> String {
    let share = value / most;
    let share = if share.is_finite() { share } else { 0.0 };
    format!("{:.2}", share.clamp(0.0, 1.0) * 100.0)
}

pub fn sizes(sizes: &[Size]) -> Vec<Row<'_>> {
    let most = sizes.iter().map(|size| size.bytes).max().unwrap_or(0);
    let rows = sizes.iter().map(|size| Row {
        name: &size.name,
        note: &size.note,
        value: bytes(size.bytes),
        width: width(size.bytes as f64, most as f64),
        marked: false,
    });
    rows.collect()
}

/// Costs by layer: a column for each that was counted.
#[derive(Debug, Serialize)]
pub struct Costs<'a> {
    device: &'a str,
    columns: Vec<Column>,
    layers: Vec<Named<'a>>,
}

#[derive(Debug, Serialize)]
struct Column {
    name: &'static str,
    total: String,
    cells: Vec<Cell>,
}

#[derive(Debug, Serialize)]
struct Cell {
    value: String,
    width: String,
}

#[derive(Debug, Serialize)]
struct Named<'a> {
    name: &'a str,
    op: &'a str,
    output: &'a str,
}

impl<'a> Costs<'a> {
    /// `None` where nothing was counted.
    pub fn new(costs: &'a data::Costs) -> Option<Self> {
        type Get = fn(&LayerCost) -> Option<f64>;
        let columns: [(&str, usize, Get); 4] = [
            ("instructions", 0, |l| l.instructions.map(|n| n as f64)),
            ("milliseconds", 3, |l| l.milliseconds),
            ("MACs", 0, |l| l.macs.map(|n| n as f64)),
            ("weights, bytes", 0, |l| l.constants.map(|n| n as f64)),
        ];
        let columns = columns.into_iter().filter_map(|(name, digits, get)| {
            let values: Vec<_> = costs.layers.iter().map(get).collect();
            let most = values.iter().flatten().copied().fold(0.0, f64::max);
            let text = |value: f64| match digits {
                0 => grouped(value as u64),
                _ => number(value, digits),
            };
            (most > 0.0).then(|| Column {
                name,
                total: text(values.iter().flatten().sum()),
                cells: values
                    .iter()
                    .map(|value| Cell {
                        value: value.map_or(String::new(), text),
                        width: width(value.unwrap_or(0.0), most),
                    })
                    .collect(),
            })
        });
        let columns: Vec<Column> = columns.collect();
        let named = |layer: &'a LayerCost| Named {
            name: &layer.name,
            op: &layer.op,
            output: &layer.output,
        };
        (!columns.is_empty()).then(|| Self {
            device: &costs.device,
            columns,
            layers: costs.layers.iter().map(named).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_with_nothing_counted_is_left_out() {
        let layer = LayerCost {
            macs: Some(1200),
            instructions: Some(0),
            ..LayerCost::default()
        };
        let costs = data::Costs {
            layers: vec![layer, LayerCost::default()],
            ..data::Costs::default()
        };
        let found = Costs::new(&costs).unwrap();
        assert_eq!(found.columns.len(), 1);
        assert_eq!(
            (found.columns[0].name, &found.columns[0].total[..]),
            ("MACs", "1,200")
        );
        assert!(Costs::new(&data::Costs::default()).is_none());
        assert_eq!(width(f64::NAN, 0.0), "0.00");
    }
}
