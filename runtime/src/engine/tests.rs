use kiln_core::preprocess::Recipe;

use kiln_run::layout::Layout;

use super::*;
use crate::compile::tables::quantize;
use crate::recipe::{ColorText, FitText, RecipeText};
use crate::testing::{Random, random_graph};

fn is_shared<T: Send + Sync>(_: &T) {}

/// A graph whose input is a picture that is not square.
fn graph() -> QGraph {
    let mut seed = 0;
    loop {
        let mut graph = random_graph(seed);
        let shape = graph.tensors[graph.input].shape;
        if shape.channels == 3 && shape.height != shape.width {
            graph.meta.recipe = Some(RecipeText {
                width: shape.width as u16,
                height: shape.height as u16,
                fit: FitText::Stretch,
                crop_pct: 100,
                color: ColorText::Rgb,
                mean: [0.1, 0.2, 0.3],
                std: [0.5, 0.25, 0.125],
            });
            return graph;
        }
        seed += 1;
    }
}

#[test]
fn pixels_tensors_and_integers_are_one_input() {
    let graph = graph();
    let model = LoadedModel::of(&graph).unwrap();
    is_shared(&model);
    let recipe = Recipe::from(graph.meta.recipe.unwrap());
    let mut random = Random::new(1);
    let pixels: Vec<u8> = (0..recipe.len()).map(|_| random.below(256) as u8).collect();
    let floats: Vec<f32> = pixels
        .iter()
        .enumerate()
        .map(|(index, &pixel)| recipe.normalise(index % 3, pixel))
        .collect();
    let quant = graph.quant(graph.input);
    let integers: Vec<i8> = floats.iter().map(|&value| quantize(value, quant)).collect();
    let area = floats.len() / 3;
    let planes: Vec<f32> = (0..floats.len())
        .map(|index| floats[index % area * 3 + index / area])
        .collect();
    let inputs = [
        Input::Quantized(&integers),
        Input::Pixels(&pixels),
        Input::Tensor(&floats, Layout::Nhwc),
        Input::Tensor(&planes, Layout::Nchw),
    ];
    let logits = inputs.map(|input| model.engine().logits(input).unwrap());
    assert!(logits.iter().all(|other| *other == logits[0]), "{logits:?}");
    let other: Vec<i8> = integers.iter().map(|&value| !value).collect();
    let mut engine = model.engine();
    let differs = (0..).map(|at| {
        let mut input = integers.clone();
        input[..=at].copy_from_slice(&other[..=at]);
        engine.logits(Input::Quantized(&input)).unwrap() != logits[0]
    });
    assert!(differs.take(other.len()).any(|differs| differs));
}

#[test]
fn threads_have_arenas_of_their_own() {
    let graph = graph();
    let model = LoadedModel::of(&graph).unwrap();
    let len = model.model().input().shape.len();
    let input = |seed: u64| {
        let mut random = Random::new(seed);
        (0..len)
            .map(|_| random.below(256) as u8 as i8)
            .collect::<Vec<_>>()
    };
    let alone: Vec<Vec<f32>> = (0..4)
        .map(|seed| {
            model
                .engine()
                .logits(Input::Quantized(&input(seed)))
                .unwrap()
        })
        .collect();
    let together: Vec<Vec<f32>> = std::thread::scope(|scope| {
        let run = |seed| {
            let model = model.clone();
            scope.spawn(move || {
                model
                    .engine()
                    .logits(Input::Quantized(&input(seed)))
                    .unwrap()
            })
        };
        let threads: Vec<_> = (0..4).map(run).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(alone, together);
}

#[test]
fn errors_name_the_file_and_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.kiln");
    assert!(
        Engine::open(&path)
            .unwrap_err()
            .to_string()
            .contains("model.kiln")
    );
    let graph = graph();
    let mut bytes = compile(&graph, &Options::default()).unwrap().bytes;
    std::fs::write(&path, &bytes).unwrap();
    let mut engine = Engine::open(&path).unwrap();
    let expected = engine.model().input().shape.len();
    let error = engine
        .run(Input::Quantized(&[1, 2]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("2 values") && error.contains(&expected.to_string()),
        "{error}"
    );
    let mut floats = vec![0.0; expected];
    floats[1] = f32::NAN;
    let error = engine
        .run(Input::Tensor(&floats, Layout::Nhwc))
        .unwrap_err();
    assert!(matches!(error, EngineError::Nan { index: 1 }));
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let error = Engine::open(&path).unwrap_err().to_string();
    assert!(
        error.contains("model.kiln") && error.contains("checksum"),
        "{error}"
    );
    std::fs::write(&path, b"no model").unwrap();
    let error = Engine::open(&path).unwrap_err().to_string();
    assert!(error.contains("model.kiln"), "{error}");
}
