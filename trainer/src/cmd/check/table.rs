//! How many pictures each class has in each split.

use std::collections::BTreeMap;

use indicatif::HumanCount;

use super::text::plain;
use crate::data::Split;

/// Classes above which only the smallest and the largest are shown.
const MANY: usize = 20;
/// Times that the largest class may have the smallest one's pictures before it is worth a word.
const UNEVEN: usize = 3;

type Balance = BTreeMap<&'static str, BTreeMap<String, usize>>;

/// A table of classes by splits, the largest class first, and a word if they are uneven.
pub fn balance(balance: &Balance, all: bool) -> String {
    let mut columns: Vec<&str> = Split::ALL.iter().map(|split| split.name()).collect();
    columns.retain(|split| balance.contains_key(split));
    if columns.is_empty() {
        columns.push("all");
    }
    let cell = |class: &str, split: &&str| {
        let counts = balance.get(split);
        counts
            .and_then(|counts| counts.get(class))
            .copied()
            .unwrap_or(0)
    };
    let mut classes: Vec<&String> = balance.values().flat_map(BTreeMap::keys).collect();
    classes.sort();
    classes.dedup();
    let row = |class: &str| {
        columns
            .iter()
            .map(|split| cell(class, split))
            .collect::<Vec<_>>()
    };
    classes.sort_by_key(|class| std::cmp::Reverse(row(class).iter().sum::<usize>()));

    let mut rows: Vec<(String, Vec<usize>)> = Vec::new();
    let hidden = if all {
        0
    } else {
        classes.len().saturating_sub(MANY)
    };
    for (i, class) in classes.iter().enumerate() {
        let above = (classes.len() - hidden) / 2;
        if hidden == 0 || i < above || i >= above + hidden {
            rows.push((plain(class).into(), row(class)));
        } else if i == above {
            rows.push((format!("… {hidden} more; --all lists them"), Vec::new()));
        }
    }
    let sum = |split| classes.iter().map(|class| cell(class, split)).sum();
    rows.push(("together".into(), columns.iter().map(sum).collect()));
    let mut text = table(&columns, &rows);
    text += &uneven(columns[0], &classes, |class| cell(class, &columns[0]));
    text
}

fn table(columns: &[&str], rows: &[(String, Vec<usize>)]) -> String {
    let names = rows.iter().map(|(name, _)| name.chars().count());
    let width = names.max().unwrap_or(0).max(5);
    let head: String = columns
        .iter()
        .map(|column| format!("  {column:>9}"))
        .collect();
    let mut lines = vec![format!("{:width$}{head}", "Class")];
    for (name, counts) in rows {
        let cells = counts
            .iter()
            .map(|n| format!("  {:>9}", HumanCount(*n as u64).to_string()));
        lines.push(format!("{name:width$}{}", cells.collect::<String>()));
    }
    lines.join("\n")
}

fn uneven(split: &str, classes: &[&String], of: impl Fn(&str) -> usize) -> String {
    let smallest = classes.iter().min_by_key(|class| of(class));
    let largest = classes.iter().max_by_key(|class| of(class));
    let (Some(smallest), Some(largest)) = (smallest, largest) else {
        return String::new();
    };
    let (few, many) = (of(smallest), of(largest));
    if few == 0 || many < UNEVEN * few {
        return String::new();
    }
    let times = many as f64 / few as f64;
    let place = if split == "all" {
        String::new()
    } else {
        format!(" in {split}")
    };
    format!(
        "\nUneven: {} has {times:.1} times the pictures of {}{place}; accuracy will lean towards it.",
        plain(largest),
        plain(smallest)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
        counts
            .iter()
            .map(|(class, n)| ((*class).to_owned(), *n))
            .collect()
    }

    #[test]
    fn splits_are_columns_in_their_order() {
        let counts = [
            ("val", counts(&[("cat", 5), ("dog", 6)])),
            ("train", counts(&[("cat", 1000), ("dog", 24000)])),
        ];
        let want = "\
Class         train        val
dog          24,000          6
cat           1,000          5
together     25,000         11
Uneven: dog has 24.0 times the pictures of cat in train; accuracy will lean towards it.";
        assert_eq!(balance(&counts.into(), false), want);
    }

    #[test]
    fn of_many_classes_the_ends_are_shown() {
        let names: Vec<String> = (0..30).map(|i| format!("c{i:02}")).collect();
        let many: Vec<_> = names.iter().map(|name| (name.as_str(), 10)).collect();
        let many: Balance = [("all", counts(&many))].into();
        let text = balance(&many, false);
        assert_eq!(text.lines().count(), 1 + 10 + 1 + 10 + 1);
        assert!(text.contains("… 10 more; --all lists them"), "{text}");
        assert!(!text.contains("Uneven"), "{text}");
        assert_eq!(balance(&many, true).lines().count(), 1 + 30 + 1);
    }
}
