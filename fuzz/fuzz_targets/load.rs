//! Whatever the bytes, a file becomes a graph that folds, and integers that compile, or an error.

#![no_main]

use std::path::Path;

use kiln_runtime::compile::{Options, compile};
use kiln_runtime::fold::fold;
use kiln_runtime::load::load;
use kiln_runtime::onnx::OnnxFile;
use kiln_runtime::quantized::load_quantized;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(file) = OnnxFile::from_bytes(bytes, Path::new("fuzzed.onnx")) else {
        return;
    };
    let Ok(graph) = load(&file) else { return };
    let folded = fold(&graph);
    assert_eq!(folded.shape(folded.output), graph.shape(graph.output));
    if let Ok(quantized) = load_quantized(&file) {
        let _ = compile(&quantized, &Options::default());
    }
});
