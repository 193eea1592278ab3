//! `kiln device classify`

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use kiln_board::{Address, BoardError};
use kiln_link::Inferred;
use kiln_picture::{Limits, Picture, decode_file};
use kiln_run::answer::{Answer, Said};
use kiln_run::engine::{Input, LoadedModel};
use kiln_run::pictures;
use serde::Serialize;

use super::connect::{Connected, Link};
use super::screen;
use crate::cmd::ui::{self, LazyBar};
use crate::disk;

/// `kiln device classify`
#[derive(Clone, Debug, Args)]
#[command(
    override_usage = "kiln device classify [OPTIONS] <PORT> <PICTURES>...",
    after_help = "\
Examples:
  kiln device classify qemu:lm3s6965evb photo.jpg
  kiln device classify qemu:mps2-an386 photo.jpg --model model.int8.onnx --screen screen.png
  kiln device classify /dev/ttyACM0 photos --json > answers.jsonl

The board gets the pixels and does all of it: resizing, the model, the display. A picture larger than
the board takes is brought to the model's size here, with the same integers, if the model is known here.

With --json each line is an object: file, label, top (label and probability), logits, milliseconds, on
an emulated board instructions, and, if the model says that (kiln quantize --unknown), known: below 0 the
picture is like none of those that it was made for. A broken file is named on stderr and the rest is done; the exit code
is then 2."
)]
pub struct ClassifyArgs {
    /// A serial port or qemu:BOARD, then pictures and folders of pictures.
    #[arg(value_name = "PORT PICTURES")]
    pub words: Vec<PathBuf>,
    /// Name this many of the most probable classes.
    #[arg(long, default_value_t = 2)]
    pub top: usize,
    /// Print a JSON object a picture, one a line.
    #[arg(long)]
    pub json: bool,
    /// Save what the display shows at the end, as PNG, its pixels enlarged.
    #[arg(long, value_name = "FILE.png")]
    pub screen: Option<PathBuf>,
    /// How to get there.
    #[command(flatten)]
    pub link: Link,
}

impl ClassifyArgs {
    /// What the command line has where board, model and pictures are named.
    pub fn of(port: Address, model: &Path, pictures: &[PathBuf]) -> Self {
        Self {
            words: pictures.to_owned(),
            top: 2,
            json: false,
            screen: None,
            link: Link {
                port: Some(port),
                model: Some(model.to_owned()),
                baud: kiln_board::port::BAUD,
                ..Link::default()
            },
        }
    }
}

/// What a board says about a picture, and what it took.
#[derive(Debug, Serialize)]
struct Told {
    #[serde(flatten)]
    answer: Answer,
    /// For preprocessing and model.
    milliseconds: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    instructions: Option<u64>,
}

impl Told {
    fn text(&self) -> String {
        let cost = match self.instructions {
            Some(count) => format!("{} instructions", ui::count(count as usize)),
            None => format!("{:.1} ms", self.milliseconds),
        };
        format!("{}  ({cost})", self.answer.text())
    }
}

/// Classifies.
pub fn run(args: &ClassifyArgs) -> anyhow::Result<ExitCode> {
    let (address, words) = args.link.first(&args.words)?;
    let files = pictures::files(words)?;
    if files.is_empty() {
        bail!("no pictures: kiln device classify {address} PICTURES");
    }
    if let Some(screen) = &args.screen {
        let read = files.iter().chain(&args.link.model).map(PathBuf::as_path);
        disk::for_result(screen, &read.collect::<Vec<_>>())?;
    }
    let mut connected = args.link.connect(&address)?;
    let labels = match &connected.model {
        Some(model) => model.model().labels().map(str::to_owned).collect(),
        // Long ones come cut.
        None => connected.board.labels()?,
    };
    let bar = LazyBar::default();
    let mut broken = 0;
    for (index, file) in files.iter().enumerate() {
        let sent = |done: usize, total: usize| {
            if files.len() == 1 {
                bar.show("sending", done, total);
            }
        };
        match classify(&mut connected, file, sent)? {
            Ok(inferred) => {
                let said = connected.board.output(|output| Said::from(output))?;
                let name = file.display().to_string();
                let answer = Answer::new(name, &labels, said, args.top);
                let told = told(&connected, answer, &inferred);
                match args.json {
                    true => ui::print(serde_json::to_string(&told)?)?,
                    false => ui::print(told.text())?,
                }
            }
            Err(error) => {
                broken += 1;
                bar.line(&format!("kiln: {}", ui::reason(&error)));
            }
        }
        if files.len() > 1 {
            bar.show("classifying", index + 1, files.len());
        }
    }
    bar.clear();
    if let Some(path) = &args.screen {
        screen::save(&mut connected.board, path)?;
    }
    if broken > 0 {
        ui::say(format!(
            "kiln: {broken} of {} files were left out",
            files.len()
        ));
        return Ok(ExitCode::from(2));
    }
    Ok(ExitCode::SUCCESS)
}

/// Has the board classify a file. The outer error is the board's, the inner the file's.
pub fn classify(
    connected: &mut Connected,
    file: &Path,
    mut sent: impl FnMut(usize, usize),
) -> anyhow::Result<anyhow::Result<Inferred>> {
    let picture = match decode_file(file, &Limits::default()) {
        Ok(picture) => picture,
        Err(error) => return Ok(Err(error.into())),
    };
    let named = |error: BoardError| anyhow::Error::new(error).context(file.display().to_string());
    match (
        connected.board.classify(&picture, &mut sent),
        &connected.model,
    ) {
        (Ok(inferred), _) => Ok(Ok(inferred)),
        (Err(BoardError::PictureSize { .. }), Some(model)) => {
            let input = match input(model, &picture) {
                Ok(input) => input,
                Err(error) => return Ok(Err(error.context(file.display().to_string()))),
            };
            Ok(Ok(connected.board.run(&input, &mut sent).map_err(named)?))
        }
        (Err(error @ BoardError::PictureSize { .. }), None) => Ok(Err(named(error))),
        (Err(error), _) => Err(named(error)),
    }
}

/// The quantized input that a picture becomes, by the same integers as on the board.
fn input(model: &LoadedModel, picture: &Picture) -> anyhow::Result<Vec<i8>> {
    let recipe = model
        .model()
        .recipe()
        .context("the model takes no pictures")?;
    let mut pixels = vec![0; recipe.len()];
    let mut scratch = vec![0; recipe.scratch_len(picture.width, picture.height)];
    kiln_core::preprocess::preprocess(picture.view()?, &recipe, &mut scratch, &mut pixels)?;
    Ok(model.engine().quantized(Input::Pixels(&pixels))?)
}

fn told(connected: &Connected, answer: Answer, inferred: &Inferred) -> Told {
    let about = connected.board.about();
    let ticks = inferred
        .preprocess_ticks
        .saturating_add(inferred.infer_ticks);
    Told {
        answer,
        milliseconds: about.milliseconds(ticks),
        instructions: about.instructions(ticks),
    }
}
