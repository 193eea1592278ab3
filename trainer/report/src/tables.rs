//! Tables: bars by layer, sizes, classes, the confusion matrix.

use serde::Serialize;

use crate::data::{self, Evaluation, LayerCost, Size};
use crate::text::{bytes, grouped, number, percent};

/// Classes up to which the whole matrix is shown.
const MATRIX: usize = 40;
/// Pairs of classes that are named as the most often confused ones.
const PAIRS: usize = 12;

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

/// Class by class.
#[derive(Debug, Serialize)]
pub struct Classes<'a> {
    rows: Vec<Class<'a>>,
}

#[derive(Debug, Serialize)]
struct Class<'a> {
    label: &'a str,
    n: String,
    precision: String,
    recall: String,
    width: String,
}

impl<'a> Classes<'a> {
    /// `None` where there is no confusion matrix.
    pub fn new(evaluation: &'a Evaluation) -> Option<Self> {
        let at = |row: usize, column: usize| count(evaluation, row, column);
        let n = evaluation.confusion.len();
        let share = |part: usize, whole: usize| part as f64 / whole.max(1) as f64;
        let rows = (0..n).map(|class| {
            let of_class: usize = evaluation.confusion[class].iter().sum();
            let answered: usize = (0..n).map(|row| at(row, class)).sum();
            let recall = share(at(class, class), of_class);
            Class {
                label: label(evaluation, class),
                n: grouped(of_class as u64),
                precision: percent(share(at(class, class), answered)),
                recall: percent(recall),
                width: width(recall, 1.0),
            }
        });
        (n > 0).then(|| Self {
            rows: rows.collect(),
        })
    }
}

/// Which class is taken for which.
#[derive(Debug, Serialize)]
pub struct Confusion<'a> {
    /// None for a model with many classes.
    matrix: Vec<Line<'a>>,
    labels: Vec<&'a str>,
    dense: bool,
    pairs: Vec<Row<'a>>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    label: &'a str,
    cells: Vec<Entry>,
}

#[derive(Debug, Serialize)]
struct Entry {
    count: String,
    right: bool,
    /// Of the row, in percent.
    share: String,
    strong: bool,
}

impl<'a> Confusion<'a> {
    /// `None` where there is no confusion matrix.
    pub fn new(evaluation: &'a Evaluation) -> Option<Self> {
        let n = evaluation.confusion.len();
        if n == 0 {
            return None;
        }
        let line = |row: usize| {
            let total = evaluation.confusion[row].iter().sum::<usize>().max(1);
            let entry = |column: usize| {
                let count = count(evaluation, row, column);
                let share = count as f64 / total as f64;
                Entry {
                    count: grouped(count as u64),
                    right: row == column,
                    share: format!("{:.1}", 4.0 + share * 91.0),
                    strong: share > 0.55,
                }
            };
            Line {
                label: label(evaluation, row),
                cells: (0..n).map(entry).collect(),
            }
        };
        let mut wrong: Vec<(usize, usize, usize)> = Vec::new();
        for (row, counts) in evaluation.confusion.iter().enumerate() {
            let found = counts.iter().enumerate();
            let found = found.filter(|&(column, &count)| column != row && count > 0);
            wrong.extend(found.map(|(column, &count)| (count, row, column)));
        }
        wrong.sort_by_key(|&(count, row, column)| (std::cmp::Reverse(count), row, column));
        let most = wrong.first().map_or(0, |pair| pair.0);
        // With two classes the matrix says it all.
        wrong.truncate(if n > 2 { PAIRS } else { 0 });
        let pair = |&(count, row, column): &(usize, usize, usize)| Row {
            name: label(evaluation, row),
            note: label(evaluation, column),
            value: grouped(count as u64),
            width: width(count as f64, most as f64),
            marked: false,
        };
        Some(Self {
            matrix: match n <= MATRIX {
                true => (0..n).map(line).collect(),
                false => Vec::new(),
            },
            labels: (0..n).map(|class| label(evaluation, class)).collect(),
            dense: n > 6,
            pairs: wrong.iter().map(pair).collect(),
        })
    }
}

fn count(evaluation: &Evaluation, row: usize, column: usize) -> usize {
    let row = evaluation.confusion.get(row);
    row.and_then(|row| row.get(column)).copied().unwrap_or(0)
}

fn label(evaluation: &Evaluation, class: usize) -> &str {
    evaluation.labels.get(class).map_or("?", |label| label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_and_pairs_are_those_counted_by_hand() {
        let evaluation = Evaluation {
            labels: ["a", "b", "c"].map(String::from).to_vec(),
            confusion: vec![vec![8, 2, 0], vec![1, 9, 0], vec![0, 5]],
            ..Evaluation::default()
        };
        let classes = Classes::new(&evaluation).unwrap().rows;
        assert_eq!(
            (&classes[0].n[..], &classes[0].recall[..]),
            ("10", "80.00%")
        );
        assert_eq!(&classes[1].precision[..], "56.25%");
        assert_eq!(&classes[2].recall[..], "0.00%");
        let confusion = Confusion::new(&evaluation).unwrap();
        let pairs = confusion
            .pairs
            .iter()
            .map(|pair| (pair.name, pair.note, &pair.value[..]));
        let pairs: Vec<_> = pairs.collect();
        assert_eq!(pairs, [("c", "b", "5"), ("a", "b", "2"), ("b", "a", "1")]);
        assert_eq!(confusion.matrix[0].cells[0].share, "76.8");
    }

    #[test]
    fn many_classes_have_no_matrix_but_pairs() {
        let n = MATRIX + 1;
        let mut confusion = vec![vec![0; n]; n];
        confusion[3][n - 1] = 7;
        let evaluation = Evaluation {
            confusion,
            ..Evaluation::default()
        };
        let found = Confusion::new(&evaluation).unwrap();
        assert!(found.matrix.is_empty());
        assert_eq!((found.pairs.len(), &found.pairs[0].value[..]), (1, "7"));
    }

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
