//! `kiln device screen`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use image::RgbImage;
use image::imageops::{FilterType, resize};
use kiln_board::Board;
use kiln_picture::Picture;

use super::connect::Link;
use crate::cmd::ui;
use crate::disk;
use crate::picture::save_png;

/// Pixels that a saved screen has across, at least.
const WIDE: u32 = 480;

/// `kiln device screen`
#[derive(Clone, Debug, Args)]
#[command(
    override_usage = "kiln device screen [OPTIONS] <PORT> <FILE.png>",
    after_help = "\
Examples:
  kiln device screen /dev/ttyACM0 screen.png
  kiln device classify qemu:lm3s6965evb photo.jpg --screen screen.png"
)]
pub struct ScreenArgs {
    /// A serial port or qemu:BOARD, then the file to write: PNG, the display's pixels enlarged.
    #[arg(value_name = "PORT FILE.png")]
    pub words: Vec<PathBuf>,
    /// How to get there.
    #[command(flatten)]
    pub link: Link,
}

/// Saves what the display shows.
pub fn run(args: &ScreenArgs) -> anyhow::Result<ExitCode> {
    let (address, words) = args.link.first(&args.words)?;
    let [path] = words else {
        anyhow::bail!("no file to write: kiln device screen {address} FILE.png");
    };
    let read: Vec<&Path> = args.link.model.iter().map(PathBuf::as_path).collect();
    disk::for_result(path, &read)?;
    let mut connected = args.link.connect(&address)?;
    save(&mut connected.board, path)?;
    ui::say(format!("{}: the display of {address}", path.display()));
    Ok(ExitCode::SUCCESS)
}

/// Writes a PNG of what the display shows: as the emulator draws it, else what the board sends to it.
pub fn save(board: &mut Board, path: &Path) -> anyhow::Result<()> {
    let picture = match board.screendump()? {
        Some(picture) => picture,
        None => board.screen()?,
    };
    let picture = enlarged(picture).context("the display has other pixels than it says")?;
    save_png(path, &picture, picture.dimensions())
}

/// Each pixel as a square, so that small displays can be seen.
fn enlarged(picture: Picture) -> Option<RgbImage> {
    let Picture { width, height, rgb } = picture;
    let zoom = WIDE.div_ceil(width.max(1)).max(1);
    let image = RgbImage::from_raw(width, height, rgb)?;
    Some(resize(
        &image,
        width * zoom,
        height * zoom,
        FilterType::Nearest,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_become_squares() {
        let picture = |width, height| Picture {
            width,
            height,
            rgb: (0..width * height * 3)
                .map(|index| (index % 256) as u8)
                .collect(),
        };
        let cases = [([128, 64], 4), ([240, 240], 2), ([500, 3], 1)];
        for ([width, height], zoom) in cases {
            let small = picture(width, height);
            let large = enlarged(small.clone()).unwrap();
            assert_eq!(large.dimensions(), (width * zoom, height * zoom));
            for (x, y, pixel) in large.enumerate_pixels() {
                let at = ((y / zoom * width + x / zoom) * 3) as usize;
                assert_eq!(pixel.0, small.rgb[at..at + 3], "{x} {y}");
            }
        }
    }
}
