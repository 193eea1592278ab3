//! Pictures that are the same, by their bytes or by their looks.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

use super::super::Split;
use super::super::inspect::{Look, Oddity, Seen};
use super::super::near::repeats;
use super::super::scan::Scan;
use super::{Group, Member};

/// Brings together the pictures that are the same, in order of their first paths.
pub(super) fn groups(scan: &Scan, looks: &[Look], near: Option<u32>) -> Vec<Group> {
    let mut order: Vec<(usize, &Seen)> = (0..looks.len())
        .filter_map(|i| Some((i, looks[i].picture.as_ref().ok()?)))
        .collect();
    order.sort_by_key(|&(i, seen)| {
        let pixels = u64::from(seen.width) * u64::from(seen.height);
        let file = &scan.files[i];
        let odd = seen.oddities.len();
        (Reverse(file.split), odd, Reverse(pixels), &file.path)
    });

    // First by content. Each list begins with the picture that is preferred.
    let mut lists: Vec<Vec<usize>> = Vec::new();
    let mut list_of: HashMap<[u8; 32], usize> = HashMap::new();
    for &(i, _) in &order {
        let next = lists.len();
        match *list_of.entry(looks[i].content).or_insert(next) {
            list if list == next => lists.push(vec![i]),
            list => lists[list].push(i),
        }
    }

    // Then by looks, content by content. All blank pictures look the same, which says nothing.
    if let Some(max_distance) = near {
        let blank = |seen: &&Seen| seen.oddities.contains(&Oddity::Blank);
        let seen_of = |list: &[usize]| looks[list[0]].picture.as_ref().ok();
        let (compared, prints): (Vec<usize>, Vec<_>) = lists
            .iter()
            .enumerate()
            .filter_map(|(at, list)| Some((at, &seen_of(list).filter(|s| !blank(s))?.print)))
            .unzip();
        for (at, original) in repeats(&prints, max_distance).into_iter().enumerate() {
            if let Some(original) = original {
                let more = std::mem::take(&mut lists[compared[at]]);
                lists[compared[original]].extend(more);
            }
        }
    }

    let mut groups: Vec<Group> = lists
        .into_iter()
        .filter(|list| list.len() > 1)
        .map(|list| group(scan, looks, &list))
        .collect();
    groups.sort_by(|a, b| a.files[0].path.cmp(&b.files[0].path));
    groups
}

fn group(scan: &Scan, looks: &[Look], list: &[usize]) -> Group {
    let splits: BTreeSet<_> = list.iter().map(|&i| scan.files[i].split).collect();
    let classes: BTreeSet<_> = list.iter().map(|&i| scan.files[i].class).collect();
    let member = |&i: &usize| {
        let file = &scan.files[i];
        Member {
            path: file.path.clone(),
            split: file.split.map(Split::name),
            class: scan.classes[file.class].clone(),
            exact: looks[i].content == looks[list[0]].content,
        }
    };
    Group {
        leak: splits.len() > 1,
        conflict: classes.len() > 1,
        files: list.iter().map(member).collect(),
    }
}
