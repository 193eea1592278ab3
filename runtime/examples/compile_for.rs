//! `compile_for TARGET IN.onnx OUT.kiln`: a quantized model, compiled for a target by its name. For
//! `cargo xtask bench mcu`, which needs neither training nor a command line for it.

use std::path::Path;
use std::process::ExitCode;

use kiln_runtime::compile::{Options, TargetName, compile};
use kiln_runtime::onnx::OnnxFile;
use kiln_runtime::quantized::load_quantized;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [target, from, to] = &args[..] else {
        eprintln!("compile_for TARGET IN.onnx OUT.kiln");
        return ExitCode::from(2);
    };
    match run(target, Path::new(from), Path::new(to)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compile_for: {from}: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(target: &str, from: &Path, to: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let TargetName(target) = target.parse()?;
    let graph = load_quantized(&OnnxFile::load(from)?)?;
    let options = Options {
        target,
        // Its sums say of each layer on each core that it is right.
        golden: 1,
        ..Options::default()
    };
    let compiled = compile(&graph, &options)?;
    let report = &compiled.report;
    eprintln!(
        "{}: arena {}, file {}, MAC {}, exact {} of {} channels",
        report.target,
        report.arena,
        report.file,
        report.macs,
        report.exact_channels,
        report.channels
    );
    std::fs::write(to, compiled.bytes)?;
    Ok(())
}
