use std::path::{Path, PathBuf};

use crate::load::testing::*;
use crate::onnx::OnnxFile;

/// MLPerf Tiny's networks, where they are: `models/mlperf-tiny` in `$KILN_SHARED`, or in `shared`
/// beside the workspace.
pub fn mlperf_tiny(name: &str) -> Option<OnnxFile> {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("KILN_SHARED").map_or_else(beside, PathBuf::from);
    let path = shared.join("models/mlperf-tiny").join(name);
    if !path.is_file() {
        eprintln!("no {} (KILN_SHARED sets another place)", path.display());
        return None;
    }
    Some(OnnxFile::load(&path).unwrap())
}

#[test]
fn float_networks_of_mlperf_tiny() {
    for (name, macs) in [
        ("ic", 12_501_632),
        ("vww", 7_489_664),
        ("kws", 2_656_768),
        ("ad", 264_192),
    ] {
        let Some(file) = mlperf_tiny(&format!("{name}.float.onnx")) else {
            continue;
        };
        let loaded = check(name, &file);
        assert_eq!(loaded.graph.macs(), macs, "{name}");
        assert_eq!(loaded.graph.softmax, name != "ad");
    }
}
