//! `kiln serve`: the page, with the engine in the browser.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::Args;
use kiln_core::Target;
use kiln_web::{Server, Site, engine};

use super::model::file::ModelFile;
use super::ui;
use crate::inference::Foreign;

/// `kiln serve`
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  kiln serve                                   the page; a .kiln file is chosen there
  kiln serve runs/first/model.int8.onnx        the page with this model
  kiln serve model.kiln --port 0               on any port that is free

Pictures and models stay in the browser; other machines cannot reach the page.")]
pub struct ServeArgs {
    /// A quantized ONNX file, or a .kiln file (--target wasm32 is the fastest there).
    pub model: Option<PathBuf>,
    /// The port on this machine; 0 takes a free one.
    #[arg(long, default_value_t = 8000)]
    pub port: u16,
    /// What a model from elsewhere lacks.
    #[command(flatten)]
    pub foreign: Foreign,
}

/// Serves until Ctrl-C.
pub fn run(args: &ServeArgs) -> anyhow::Result<ExitCode> {
    let open = |path: &PathBuf| ModelFile::open(path, &args.foreign, Target::Wasm32);
    let model = args.model.as_ref().map(open).transpose()?;
    let engine = engine::build(&mut || ui::say("building the engine for the page: half a minute"))?;
    let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, args.port));
    let server = Server::bind(addr, Site::new(engine, model.map(|model| model.bytes)))?;
    let stop = server.stopper();
    ctrlc::set_handler(move || stop.stop()).context("cannot catch Ctrl-C")?;
    ui::print(server.url())?;
    ui::say("open it in a browser; Ctrl-C ends it");
    server.run().context("the page is not served any more")?;
    Ok(ExitCode::SUCCESS)
}
