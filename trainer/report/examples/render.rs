//! Renders the page of a report in JSON: `cargo run -p kiln-report --example render < report.json > page.html`

use std::io::{self, Read, Write};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut text = String::new();
    io::stdin().read_to_string(&mut text)?;
    let report: kiln_report::Report = serde_json::from_str(&text)?;
    io::stdout().write_all(kiln_report::render(&report)?.as_bytes())?;
    Ok(())
}
