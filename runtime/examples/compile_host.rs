//! `compile_host IN.onnx OUT.kiln OUT.onnx`: a quantized model, compiled for this machine and written
//! as Kiln writes ONNX, which is the form that ONNX Runtime is fastest with. For
//! `cargo xtask bench infer`.

use std::path::Path;
use std::process::ExitCode;

use kiln_runtime::compile::{Options, compile, host};
use kiln_runtime::onnx::OnnxFile;
use kiln_runtime::onnx_out::to_onnx;
use kiln_runtime::quantized::load_quantized;

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [from, to, onnx] = &args[..] else {
        eprintln!("compile_host IN.onnx OUT.kiln OUT.onnx");
        return ExitCode::from(2);
    };
    match run(Path::new(from), Path::new(to), Path::new(onnx)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("compile_host: {from}: {error}");
            ExitCode::from(2)
        }
    }
}

fn run(from: &Path, to: &Path, onnx: &Path) -> Result<(), Box<dyn std::error::Error>> {
    let graph = load_quantized(&OnnxFile::load(from)?)?;
    let options = Options {
        target: host(),
        ..Options::default()
    };
    std::fs::write(to, compile(&graph, &options)?.bytes)?;
    to_onnx(&graph).save(onnx)?;
    Ok(())
}
