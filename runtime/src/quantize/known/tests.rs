use super::super::testing::{Net, Pictures};
use super::super::{Options, quantize, scale_logits};
use super::*;
use kiln_core::format::Target;

use crate::compile::{self, compile};
use crate::engine::{Engine, Input, OfGraph};
use crate::graph::Layout;
use crate::onnx_out::to_onnx;
use crate::pointwise::Pointwise;
use crate::quantized::load_quantized;

/// Pictures with a bright spot in the middle, of class 0 or 1 by whether it is round, as far as that goes.
struct Spots(usize);

impl Calibration for Spots {
    fn len(&self) -> usize {
        self.0
    }

    fn read(&mut self, index: usize, input: &mut [f32]) -> Result<(), String> {
        Pictures { count: 1, seed: 5 }.read(index, input)?;
        for (place, value) in input.iter_mut().enumerate() {
            let (y, x) = (place / 3 / 12, place / 3 % 12);
            let middle = (4..8).contains(&y) && (4..8).contains(&x);
            *value = 0.1 * *value + if middle { 2.0 } else { -0.5 };
        }
        Ok(())
    }

    fn label(&self, index: usize) -> Option<usize> {
        Some(index % 2)
    }
}

fn net() -> Graph {
    Net::new([12, 12, 3])
        .conv(8, 3, 1)
        .pointwise(Pointwise::Relu)
        .max_pool()
        .conv(16, 3, 1)
        .pointwise(Pointwise::Relu)
        .classify(2)
        .graph()
}

fn options() -> Options {
    let labels = ["round", "square"].map(String::from).into();
    let mut options = Options::default();
    options.meta.labels = labels;
    options
}

#[test]
fn pictures_of_the_kind_are_known_and_others_are_not() {
    let graph = with_known(&net(), &mut Spots(60), &|_| ()).unwrap();
    assert_eq!((graph.classes(), graph.shape(graph.output).len()), (2, 3));
    let (quantized, _) = quantize(&graph, &mut Spots(60), &options(), &|_| ()).unwrap();
    assert!(quantized.meta.known);
    let mut engine = Engine::of(&quantized).unwrap();
    let mut known = |input: &[f32]| {
        let output = engine.run(Input::Tensor(input, Layout::Nhwc)).unwrap();
        assert_eq!(output.len(), 2);
        output.known().unwrap() >= 0.0
    };
    let mut input = vec![0.0; 12 * 12 * 3];
    let mut spots = Spots(60);
    let accepted = (60..160).filter(|index| {
        spots.read(*index, &mut input).unwrap();
        known(&input)
    });
    let accepted = accepted.count();
    assert!(accepted >= 90, "{accepted} of 100");
    let mut others = Pictures {
        count: 100,
        seed: 77,
    };
    let refused = (0..100).filter(|index| {
        others.read(*index, &mut input).unwrap();
        !known(&input)
    });
    let refused = refused.count();
    assert!(refused >= 90, "{refused} of 100");
}

/// Through the ONNX file and the compiler, whatever the target.
#[test]
fn it_travels_with_the_model() {
    let graph = with_known(&net(), &mut Spots(60), &|_| ()).unwrap();
    let (mut quantized, _) = quantize(&graph, &mut Spots(60), &options(), &|_| ()).unwrap();
    let found = scale_logits(&mut quantized, &mut Spots(50), &|_| ()).unwrap();
    assert_eq!(found.pictures, 50);
    assert!(found.loss_after <= found.loss_before);
    let mut input = vec![0.0; 12 * 12 * 3];
    Spots(1).read(0, &mut input).unwrap();
    let mut engine = Engine::of(&quantized).unwrap();
    let expected = engine.run(Input::Tensor(&input, Layout::Nhwc)).unwrap();
    let scale = quantized.output_scale();
    let ratio = quantized.quant(quantized.output).scale / scale;
    assert!((f64::from(ratio) / found.temperature - 1.0).abs() < 1e-6);

    let read = load_quantized(&to_onnx(&quantized)).unwrap();
    assert!(read.meta.known);
    for target in [Target::CortexM4, Target::Generic] {
        let options = compile::Options {
            target,
            ..Default::default()
        };
        let bytes = compile(&read, &options).unwrap().bytes;
        let model = kiln_core::Model::new(&bytes).unwrap();
        assert_eq!((model.classes(), model.label_count()), (2, 2));
        assert_eq!(model.output_scale(), scale);
        let mut arena = vec![0; model.arena_bytes()];
        let input = engine_input(&read, &input);
        assert_eq!(model.run(&mut arena, &input).unwrap(), expected);
    }
}

fn engine_input(graph: &crate::qgraph::QGraph, input: &[f32]) -> Vec<i8> {
    let mut engine = Engine::of(graph).unwrap();
    engine
        .quantized(Input::Tensor(input, Layout::Nhwc))
        .unwrap()
}

#[test]
fn what_it_cannot_learn_from_is_an_error() {
    let open = Net::new([12, 12, 3]).conv(4, 3, 1).global_average().graph();
    let error = with_known(&open, &mut Spots(60), &|_| ()).unwrap_err();
    assert!(error.to_string().contains("`node_1`"), "{error}");
    let error = with_known(&net(), &mut Spots(10), &|_| ()).unwrap_err();
    assert!(error.to_string().contains("at least 20"), "{error}");
    let (mut quantized, _) = quantize(&net(), &mut Spots(30), &options(), &|_| ()).unwrap();
    let unlabelled = &mut Pictures { count: 30, seed: 1 };
    let error = scale_logits(&mut quantized, unlabelled, &|_| ()).unwrap_err();
    assert!(error.to_string().contains("--evaluate"), "{error}");
    // One label fewer than values, and nothing that says why.
    quantized.meta.labels.pop();
    assert!(Engine::of(&quantized).is_err());
}
