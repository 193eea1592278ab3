//! Which class is taken for which, and class by class.

use serde::Serialize;

use crate::data::Evaluation;
use crate::tables::{Row, width};
use crate::text::{grouped, percent};

/// Classes up to which the whole matrix is shown.
const MATRIX: usize = 40;
/// Pairs of classes that are named as the most often confused ones.
const PAIRS: usize = 12;

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
                    // No more, so that the numbers can be read on it, light and dark.
                    share: format!("{:.1}", 4.0 + share * 46.0),
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
        assert_eq!(confusion.matrix[0].cells[0].share, "40.8");
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
}
