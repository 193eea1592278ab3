//! Networks as PyTorch's two exporters write them: `tests/python/make_models.py`.

use std::path::Path;

use crate::fold::fold;
use crate::load::load_with_axes;
use crate::load::testing::*;
use crate::onnx::OnnxFile;

#[test]
fn exported_networks_give_what_pytorch_gives() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/models");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let file = OnnxFile::load(&path).unwrap();
        let expected: Vec<f32> = file.get_json("kiln.test.logits").unwrap();
        let mut loaded = load_with_axes(&file).unwrap_or_else(|error| panic!("{error}"));
        let count: usize = loaded.input_dims.iter().product();
        let input: Vec<f32> = (0..count).map(|i| (i as f64 / 3.0).sin() as f32).collect();
        for _ in 0..2 {
            let mut logits = run_graph(&loaded, &input);
            if loaded.graph.softmax {
                softmax(&mut logits);
            }
            assert_close(&logits, &expected, &name);
            loaded.graph = fold(&loaded.graph);
        }
        found += 1;
    }
    assert_eq!(found, 14, "seven networks, two exporters");
}
