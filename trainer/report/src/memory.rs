//! The memory plan as rectangles: steps go down, addresses to the right.

use serde::Serialize;

use crate::data::{BlockKind, Memory};
use crate::text::{bytes, grouped};

/// Pixels of a step.
const ROW: usize = 26;
/// Pixels that the plan has on a narrow page and on a wide one, roughly, and of a digit.
const NARROW: f64 = 190.0;
const WIDE: f64 = 600.0;
const DIGIT: f64 = 7.5;

/// A memory plan, ready to be drawn.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    target: String,
    arena: String,
    height: usize,
    row: usize,
    ticks: Vec<Tick>,
    steps: Vec<Step>,
    blocks: Vec<Rect>,
}

#[derive(Clone, Debug, Serialize)]
struct Tick {
    percent: String,
    address: String,
}

#[derive(Clone, Debug, Serialize)]
struct Step {
    name: String,
    end: String,
    fullest: bool,
    y: usize,
}

#[derive(Clone, Debug, Serialize)]
struct Rect {
    name: String,
    kind: &'static str,
    x: String,
    width: String,
    y: usize,
    height: usize,
    /// Of the number: in the row in which the block is written, where what it replaces has none.
    center: String,
    middle: usize,
    bytes: String,
    /// Where the number has room: `always`, `wide` or `never`.
    room: &'static str,
    offset: String,
    end: String,
    steps: String,
}

/// Lays a plan out; `None` where there is nothing to draw. Blocks beyond the steps or the arena are cut.
pub fn plan(memory: &Memory) -> Option<Plan> {
    let steps = memory.steps.len();
    if steps == 0 || memory.arena == 0 {
        return None;
    }
    let percent = |at: usize| at.min(memory.arena) as f64 * 100.0 / memory.arena as f64;
    let mut ends = vec![0; steps];
    let mut blocks = Vec::new();
    for block in &memory.blocks {
        let last = block.last.min(steps - 1);
        if block.first > last || block.bytes == 0 {
            continue;
        }
        let end = block.offset.saturating_add(block.bytes);
        for step in &mut ends[block.first..=last] {
            *step = end.max(*step);
        }
        let width = percent(end) - percent(block.offset);
        let number = grouped(block.bytes as u64);
        let needed = number.chars().count() as f64 * DIGIT + 8.0;
        let height = (last - block.first + 1) * ROW;
        let names = [block.first, last].map(|step| memory.steps[step].as_str());
        blocks.push(Rect {
            name: block.name.clone(),
            kind: match block.kind {
                BlockKind::Input => "input",
                BlockKind::Activation => "activation",
                BlockKind::Output => "output",
                BlockKind::Scratch => "scratch",
            },
            x: format!("{:.3}", percent(block.offset)),
            width: format!("{width:.3}"),
            y: block.first * ROW,
            height,
            center: format!("{:.3}", percent(block.offset) + width / 2.0),
            middle: block.first * ROW + ROW / 2,
            room: match width / 100.0 {
                share if share * NARROW >= needed => "always",
                share if share * WIDE >= needed => "wide",
                _ => "never",
            },
            bytes: number,
            offset: grouped(block.offset as u64),
            end: grouped(end as u64),
            steps: match names {
                [first, last] if block.first == block.last || first == last => first.to_owned(),
                [first, last] => format!("{first} … {last}"),
            },
        });
    }
    let fullest = ends.iter().copied().max();
    let steps = memory.steps.iter().zip(&ends).enumerate();
    Some(Plan {
        target: memory.target.clone(),
        arena: bytes(memory.arena as u64),
        height: memory.steps.len() * ROW,
        row: ROW,
        ticks: (0..=4)
            .map(|quarter| Tick {
                percent: (quarter * 25).to_string(),
                address: grouped((memory.arena as u64).saturating_mul(quarter) / 4),
            })
            .collect(),
        steps: steps
            .map(|(index, (name, &end))| Step {
                name: name.clone(),
                end: grouped(end as u64),
                fullest: Some(end) == fullest,
                y: index * ROW,
            })
            .collect(),
        blocks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Block;

    fn block(offset: usize, bytes: usize, first: usize, last: usize) -> Block {
        Block {
            name: "b".into(),
            offset,
            bytes,
            first,
            last,
            ..Block::default()
        }
    }

    #[test]
    fn rectangles_are_where_the_bytes_are() {
        let memory = Memory {
            arena: 2000,
            steps: ["a", "b", "c"].map(String::from).to_vec(),
            blocks: vec![block(500, 1000, 1, 2), block(0, 2000, 0, 0)],
            ..Memory::default()
        };
        let plan = plan(&memory).unwrap();
        let rect = &plan.blocks[0];
        assert_eq!((&rect.x[..], &rect.width[..]), ("25.000", "50.000"));
        assert_eq!((rect.y, rect.height), (ROW, 2 * ROW));
        assert_eq!((&rect.bytes[..], &rect.steps[..]), ("1,000", "b … c"));
        let ends: Vec<_> = plan.steps.iter().map(|step| &step.end[..]).collect();
        assert_eq!(ends, ["2,000", "1,500", "1,500"]);
        assert!(plan.steps[0].fullest && !plan.steps[1].fullest);
    }

    #[test]
    fn a_plan_that_contradicts_itself_is_cut_and_an_empty_one_left_out() {
        let memory = Memory {
            arena: 10,
            steps: vec!["a".into()],
            blocks: vec![
                block(usize::MAX, usize::MAX, 0, usize::MAX),
                block(0, 5, 3, 4),
                block(0, 5, 1, 0),
            ],
            ..Memory::default()
        };
        let cut = plan(&memory).unwrap();
        assert_eq!(cut.blocks.len(), 1);
        assert_eq!(&cut.blocks[0].width[..], "0.000");
        assert!(plan(&Memory::default()).is_none());
    }
}
