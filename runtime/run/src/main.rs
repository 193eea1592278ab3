//! `kiln-run`: classify pictures with a `.kiln` file, and nothing else.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use kiln_run::answer::Answer;
use kiln_run::engine::{Engine, Input};
use kiln_run::pictures::{self, pixels};
use lexopt::prelude::*;

const HELP: &str = "\
Classify pictures with a model that `kiln compile` made.

Usage: kiln-run [OPTIONS] MODEL.kiln PICTURE|FOLDER…

Options:
  --top N      print the N most probable classes [default: 2]
  --json       print one JSON object a line: file, label, top, logits, and known if the model says
               that: below 0 the picture is like none of those that it was made for
  -h, --help   print this
  -V, --version

Examples:
  kiln-run model.kiln photo.jpg
  kiln-run model.kiln photos --json

Exit codes: 0 done, 2 an error; a broken picture is named, and the others are done all the same.";

type Error = Box<dyn std::error::Error>;

struct Args {
    model: PathBuf,
    paths: Vec<PathBuf>,
    top: usize,
    json: bool,
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(error) => {
            let closed = error.downcast_ref::<io::Error>();
            // `kiln-run … | head` is no error.
            if closed.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe) {
                return ExitCode::SUCCESS;
            }
            complain(&error);
            ExitCode::from(2)
        }
    }
}

fn complain(error: &dyn std::fmt::Display) {
    // Where nobody reads stderr any more, the work goes on.
    let _ = writeln!(io::stderr(), "kiln-run: {error}");
}

fn arguments() -> Result<Option<Args>, Error> {
    let (mut words, mut top, mut json) = (Vec::new(), 2, false);
    let mut parser = lexopt::Parser::from_env();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => {
                writeln!(io::stdout(), "{HELP}")?;
                return Ok(None);
            }
            Short('V') | Long("version") => {
                writeln!(io::stdout(), "kiln-run {}", env!("CARGO_PKG_VERSION"))?;
                return Ok(None);
            }
            Long("top") => top = parser.value()?.parse()?,
            Long("json") => json = true,
            Value(word) => words.push(PathBuf::from(word)),
            other => return Err(other.unexpected().into()),
        }
    }
    let paths = words.split_off(words.len().min(1));
    match (words.pop(), paths.is_empty()) {
        (Some(model), false) => Ok(Some(Args {
            model,
            paths,
            top,
            json,
        })),
        _ => Err("a model and at least one picture are needed; see kiln-run --help".into()),
    }
}

fn run() -> Result<ExitCode, Error> {
    let Some(args) = arguments()? else {
        return Ok(ExitCode::SUCCESS);
    };
    let mut engine = Engine::open(&args.model)?;
    let Some(recipe) = engine.model().recipe() else {
        let model = args.model.display();
        return Err(format!(
            "{model}: it carries no recipe for pictures; `kiln run` takes its tensors"
        )
        .into());
    };
    let labels: Vec<String> = engine.model().labels().map(str::to_owned).collect();
    let files = pictures::files(&args.paths)?;
    if files.is_empty() {
        return Err("no pictures found in the folders named".into());
    }
    let mut scratch = Vec::new();
    let mut code = ExitCode::SUCCESS;
    for file in files {
        let pixels = match pixels(&file, &recipe, &mut scratch) {
            Ok(pixels) => pixels,
            Err(error) => {
                complain(&error);
                code = ExitCode::from(2);
                continue;
            }
        };
        let said = engine.run(Input::Pixels(&pixels))?.into();
        let answer = Answer::new(file.display().to_string(), &labels, said, args.top);
        let line = if args.json {
            serde_json::to_string(&answer)?
        } else {
            answer.text()
        };
        writeln!(io::stdout(), "{line}")?;
    }
    Ok(code)
}
