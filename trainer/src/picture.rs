//! Pictures for people, as PNG: the confusion matrix, contact sheets, and what others draw.

use std::path::{Path, PathBuf};
use std::sync::Once;

use anyhow::{Context, anyhow};
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};
use kiln_core::preprocess::{resize, scratch_len};
use kiln_runtime::files::write_atomic;
use plotters::coord::Shift;
use plotters::element::BitMapElement;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font, text_anchor::*};

use crate::data::decode::{Limits, decode_file};

/// The sans-serif face of all drawings. It travels with the binary: a server may have no fonts.
pub const FONT: &str = "sans-serif";

/// Makes [`FONT`] known to plotters.
fn load_font() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // The font is a part of the binary and parses; without it plotters would report each text.
        let _ = register_font(FONT, FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT);
    });
}

/// What is drawn on.
pub type Canvas<'a> = DrawingArea<BitMapBackend<'a>, Shift>;
/// Whether plotters could draw it.
pub type Drawn = Result<(), Box<dyn std::error::Error>>;

/// Writes what `draw` draws on white, `size` being its columns and rows.
///
/// # Errors
///
/// It cannot be drawn or written, by the file's name.
pub fn write_png(
    path: &Path,
    size: (u32, u32),
    draw: impl FnOnce(&Canvas<'_>) -> Drawn,
) -> anyhow::Result<()> {
    load_font();
    let (width, height) = size;
    let mut rgb = vec![0; width as usize * height as usize * 3];
    let drawn = || {
        let canvas = BitMapBackend::with_buffer(&mut rgb, size).into_drawing_area();
        canvas.fill(&WHITE)?;
        draw(&canvas)?;
        canvas.present()?;
        Drawn::Ok(())
    };
    drawn().map_err(|error| anyhow!("{}: {error}", path.display()))?;
    save_png(path, &rgb, size)
}

/// Writes rows of RGB, `size` being their columns and rows: never half a file.
///
/// # Errors
///
/// It cannot be written, by the file's name.
pub fn save_png(path: &Path, rgb: &[u8], size: (u32, u32)) -> anyhow::Result<()> {
    let mut png = Vec::new();
    let encoder = PngEncoder::new(&mut png);
    encoder
        .write_image(rgb, size.0, size.1, ExtendedColorType::Rgb8)
        .map_err(anyhow::Error::from)
        .and_then(|()| Ok(write_atomic(path, &png)?))
        .with_context(|| path.display().to_string())
}

/// Draws counts, rows the truth and columns the answer, shaded by each row's shares.
pub fn draw_confusion(path: &Path, labels: &[String], counts: &[Vec<usize>]) -> anyhow::Result<()> {
    let n = labels.len() as i32;
    // Cells shrink with the number of classes, down to a few pixels.
    let cell = (640 / n.max(1)).clamp(4, 120);
    let (width, height) = (MARGIN + n * cell + 24, 60 + MARGIN + n * cell + 24);
    write_png(path, (width as u32, height as u32), |canvas| {
        confusion(canvas, cell, labels, counts)
    })
}

/// Pixels beside and above the cells of a confusion matrix.
const MARGIN: i32 = 130;

fn confusion(canvas: &Canvas<'_>, cell: i32, labels: &[String], counts: &[Vec<usize>]) -> Drawn {
    let (left, top) = (MARGIN, MARGIN);
    let text = |size: i32| (FONT, size).into_font().color(&BLACK);
    let size = (cell / 4).clamp(10, 22);
    canvas.draw_text("rows: the truth, columns: the answer", &text(16), (12, 16))?;
    for (row, line) in counts.iter().enumerate() {
        let total = line.iter().sum::<usize>().max(1);
        for (column, &count) in line.iter().enumerate() {
            let share = count as f64 / total as f64;
            let color = if row == column {
                RGBColor(27, 118, 187)
            } else {
                RGBColor(217, 95, 2)
            };
            let (x, y) = (left + column as i32 * cell, top + row as i32 * cell);
            let corners = [(x, y), (x + cell - 1, y + cell - 1)];
            canvas.draw(&Rectangle::new(
                corners,
                color.mix(0.05 + 0.9 * share).filled(),
            ))?;
            if cell >= 28 {
                let ink = if share > 0.5 { WHITE } else { BLACK };
                let style = (FONT, size).into_font().color(&ink);
                let style = style.pos(Pos::new(HPos::Center, VPos::Center));
                canvas.draw_text(&count.to_string(), &style, (x + cell / 2, y + cell / 2))?;
            }
        }
        if cell >= 12 {
            let middle = row as i32 * cell + cell / 2;
            let side = text(size.min(18)).pos(Pos::new(HPos::Right, VPos::Center));
            canvas.draw_text(
                &shortened(&labels[row], 14),
                &side,
                (left - 8, top + middle),
            )?;
            let above = text(size.min(18)).pos(Pos::new(HPos::Center, VPos::Bottom));
            if cell >= 60 {
                canvas.draw_text(
                    &shortened(&labels[row], 12),
                    &above,
                    (left + middle, top - 6),
                )?;
            }
        }
    }
    Ok(())
}

fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most - 1).chain(['…']).collect(),
        false => text.to_owned(),
    }
}

/// A picture on a contact sheet.
#[derive(Clone, Debug)]
pub struct Tile {
    /// The picture's file.
    pub file: PathBuf,
    /// Drawn under it.
    pub title: String,
    /// Its name, drawn small.
    pub name: String,
}

const SIDE: u32 = 128;
const COLUMNS: usize = 8;
/// Columns and rows of pixels that a tile takes.
const CELL: (u32, u32) = (SIDE + 12, SIDE + 44);

/// Draws pictures in rows of eight with their titles.
pub fn draw_sheet(path: &Path, tiles: &[Tile]) -> anyhow::Result<()> {
    let columns = tiles.len().clamp(3, COLUMNS);
    let rows = tiles.len().div_ceil(columns).max(1);
    let size = (columns as u32 * CELL.0 + 12, rows as u32 * CELL.1 + 12);
    write_png(path, size, |canvas| sheet(canvas, columns, tiles))
}

fn sheet(canvas: &Canvas<'_>, columns: usize, tiles: &[Tile]) -> Drawn {
    if tiles.is_empty() {
        canvas.draw_text(
            "no mistakes",
            &(FONT, 20).into_font().color(&BLACK),
            (12, 12),
        )?;
    }
    for (index, tile) in tiles.iter().enumerate() {
        let x = 12 + (index % columns) as i32 * CELL.0 as i32;
        let y = 12 + (index / columns) as i32 * CELL.1 as i32;
        if let Some((width, height, rgb)) = thumbnail(&tile.file) {
            let corner = (
                x + (SIDE - width) as i32 / 2,
                y + (SIDE - height) as i32 / 2,
            );
            let image = BitMapElement::with_owned_buffer(corner, (width, height), rgb);
            canvas.draw(&image.ok_or("a thumbnail of the wrong size")?)?;
        }
        let title = (FONT, 15).into_font().color(&BLACK);
        canvas.draw_text(
            &shortened(&tile.title, 20),
            &title,
            (x, y + SIDE as i32 + 3),
        )?;
        let name = (FONT, 12).into_font().color(&BLACK.mix(0.6));
        canvas.draw_text(&shortened(&tile.name, 22), &name, (x, y + SIDE as i32 + 20))?;
    }
    Ok(())
}

/// The picture brought into a square of [`SIDE`], its shape kept; `None` if it cannot be read now.
fn thumbnail(file: &Path) -> Option<(u32, u32, Vec<u8>)> {
    let picture = decode_file(file, &Limits::default()).ok()?;
    let longest = picture.width.max(picture.height);
    let side = |length: u32| {
        let scaled = u64::from(length) * u64::from(SIDE) / u64::from(longest);
        u32::try_from(scaled).unwrap_or(SIDE).max(1)
    };
    let (width, height) = (side(picture.width), side(picture.height));
    let mut scratch = vec![0; scratch_len(picture.width, picture.height, width, height)];
    let mut rgb = vec![0; width as usize * height as usize * 3];
    resize(picture.view().ok()?, width, height, &mut scratch, &mut rgb).ok()?;
    Some((width, height, rgb))
}
