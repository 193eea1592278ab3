//! What is known about a classifier, as one HTML file that needs nothing else: no network, no script,
//! light and dark as the reader's system is, wide and narrow.
//!
//! [`Report`] is plain data, every part of which may be missing; [`render`] makes the page. Names, labels
//! and paths may hold anything: all are escaped, and a content security policy in the page forbids what
//! it does not need.

mod chart;
mod classes;
mod curves;
mod data;
mod memory;
mod tables;
mod text;
mod thumbnail;
mod view;

use minijinja::{AutoEscape, Environment};
use thiserror::Error;

pub use self::data::{
    Bin, Block, BlockKind, Card, Costs, Epoch, Evaluation, Group, LayerCost, LayerNoise, Memory,
    Mistake, Quantization, Report, Size, Training,
};
pub use self::thumbnail::{SIDE, Thumbnail, ThumbnailError};

/// Why there is no page.
#[derive(Debug, Error)]
pub enum ReportError {
    /// A chart could not be drawn.
    #[error("a chart cannot be drawn: {0}")]
    Chart(String),
    /// The template could not be filled.
    #[error("the page cannot be written: {0:#}")]
    Template(#[from] minijinja::Error),
}

/// The page: HTML in UTF-8. Sections whose data are missing are left out.
///
/// # Errors
/// A chart that plotters refuses, a template that cannot be filled; neither depends on the data that
/// [`Report`]'s own types allow.
pub fn render(report: &Report) -> Result<String, ReportError> {
    let view = view::View::new(report).map_err(|error| ReportError::Chart(error.to_string()))?;
    let mut environment = Environment::new();
    environment.set_trim_blocks(true);
    environment.set_lstrip_blocks(true);
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.add_template("macros", include_str!("macros.html"))?;
    environment.add_template("page", include_str!("page.html"))?;
    let style = include_str!("style.css");
    let page = environment.get_template("page")?;
    let page =
        page.render(minijinja::context! { style, ..minijinja::Value::from_serialize(&view) })?;
    Ok(text::allowed(&page))
}
