//! What networks may take on each core: `benches/mcu.json`, as `cargo xtask bench mcu --json` prints it.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::Count;
use crate::repo::Repo;

/// Fails where a figure is above its budget by more than a hundredth, which another version of the
/// compiler may take; says where one is below.
pub fn compare(repo: &Repo, counts: &[Count]) -> Result<()> {
    let path = path(repo);
    let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
    let budgets: Vec<Count> =
        serde_json::from_str(&text).with_context(|| format!("{}", path.display()))?;
    let (above, below) = differences(counts, &budgets);
    for line in &below {
        println!("{line}");
    }
    if !below.is_empty() {
        println!("commit the lower figures: cargo xtask bench mcu --write");
    }
    match above.is_empty() {
        true => Ok(()),
        false => bail!("{}", above.join("\n")),
    }
}

/// Makes counted figures the budgets.
pub fn write(repo: &Repo, counts: &[Count]) -> Result<()> {
    let lines: Result<Vec<_>, _> = counts.iter().map(serde_json::to_string).collect();
    let text = format!("[\n{}\n]\n", lines?.join(",\n"));
    let path = path(repo);
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn path(repo: &Repo) -> PathBuf {
    repo.root.join("benches/mcu.json")
}

/// A line for each figure above its budget, and for each below.
fn differences(counts: &[Count], budgets: &[Count]) -> (Vec<String>, Vec<String>) {
    let (mut above, mut below) = (Vec::new(), Vec::new());
    for count in counts {
        let (core, net) = (&count.core, &count.net);
        let budget = budgets
            .iter()
            .find(|budget| (&budget.core, &budget.net) == (core, net));
        let Some(budget) = budget else {
            above.push(format!("{core} {net}: no budget"));
            continue;
        };
        for (what, found, allowed) in [
            ("instructions", count.instructions, budget.instructions),
            ("bytes of arena", count.arena, budget.arena),
            ("bytes of code", count.code, budget.code),
        ] {
            let line = |by, how| format!("{core} {net}: {found} {what}, {by} {how} the budget");
            if found > allowed + allowed / 100 {
                above.push(line(found - allowed, "above"));
            } else if found < allowed {
                below.push(line(allowed - found, "below"));
            }
        }
    }
    (above, below)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_figure_is_compared() {
        let count = |core: &str, instructions, code| Count {
            core: core.into(),
            net: "ic".into(),
            instructions,
            arena: 30,
            code,
            layers: String::new(),
        };
        let budgets = [count("m3", 100, 20), count("m4", 50, 20)];
        let (above, below) = differences(&budgets, &budgets);
        assert!(above.is_empty() && below.is_empty());
        let counts = [count("m3", 102, 18), count("m4", 50, 20), count("m7", 1, 1)];
        let (above, below) = differences(&counts, &budgets);
        let expected = [
            "m3 ic: 102 instructions, 2 above the budget",
            "m7 ic: no budget",
        ];
        assert_eq!(above, expected);
        assert_eq!(below, ["m3 ic: 18 bytes of code, 2 below the budget"]);
    }
}
