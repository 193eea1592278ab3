//! `compile_host IN.onnx OUT.kiln`: a quantized model, compiled for this machine. For
//! `cargo xtask bench infer`.

use std::path::Path;
use std::process::ExitCode;

use kiln_runtime::compile::{Options, compile, host};
use kiln_runtime::onnx::OnnxFile;
use kiln_runtime::quantized::load_quantized;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, to] = &args[..] else {
        eprintln!("compile_host IN.onnx OUT.kiln");
        return ExitCode::from(2);
    };
    match run(Path::new(from), Path::new(to)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compile_host: {from}: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(from: &Path, to: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let graph = load_quantized(&OnnxFile::load(from)?)?;
    let options = Options {
        target: host(),
        ..Options::default()
    };
    std::fs::write(to, compile(&graph, &options)?.bytes)?;
    Ok(())
}
