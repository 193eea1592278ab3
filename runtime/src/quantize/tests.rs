use kiln_core::window::Window;
use prost::Message;

use super::testing::{Net, Pictures};
use super::*;
use crate::graph::{Binary, Op};
use crate::onnx::OnnxFile;
use crate::onnx_out::to_onnx;
use crate::pointwise::Pointwise;
use crate::qgraph::QOp;
use crate::quantized::load_quantized;

const RELU: Pointwise = Pointwise::Relu;

/// Nets of the shapes that classifiers have.
fn nets() -> Vec<(&'static str, Net)> {
    let stride = Window {
        kernel: [3, 3],
        stride: [2, 2],
        padding: [0, 1, 1, 0],
        ..Window::default()
    };
    let average = Window {
        kernel: [3, 3],
        padding: [1; 4],
        ..Window::default()
    };
    let relu6 = Pointwise::Clip { min: 0.0, max: 6.0 };
    vec![
        (
            "plain",
            Net::new([9, 7, 3])
                .conv(8, 3, 1)
                .pointwise(RELU)
                .max_pool()
                .conv(12, 3, 2)
                .affine()
                .pointwise(RELU)
                .classify(5),
        ),
        (
            "residual",
            Net::new([9, 7, 3])
                .window_conv(8, stride, 1)
                .pointwise(RELU)
                .conv(8, 3, 1)
                .pointwise(RELU)
                .conv(8, 3, 1)
                .add(2)
                .pointwise(RELU)
                .conv(8, 3, 1)
                .add(7)
                .pointwise(RELU)
                .classify(5),
        ),
        (
            "separable",
            Net::new([9, 7, 3])
                .conv(8, 3, 1)
                .unbalance()
                .pointwise(RELU)
                .conv(8, 3, 8)
                .pointwise(relu6)
                .conv(16, 1, 1)
                .pointwise(Pointwise::HardSwish)
                .classify(5),
        ),
        (
            "gated",
            Net::new([9, 7, 3])
                .conv(8, 3, 1)
                .pointwise(Pointwise::Silu)
                .global_average()
                .conv(4, 1, 1)
                .pointwise(Pointwise::HardSwish)
                .conv(8, 1, 1)
                .pointwise(Pointwise::Sigmoid)
                .binary(Binary::Mul, 2)
                .conv(8, 3, 1)
                .classify(5),
        ),
        (
            "branches",
            Net::new([9, 7, 3])
                .conv(8, 3, 1)
                .pointwise(RELU)
                .average(average, false)
                .conv(4, 1, 1)
                .concat(2)
                .prelu()
                .pad(0.0)
                .conv(6, 3, 1)
                .resize()
                .classify(5),
        ),
    ]
}

fn run(net: &Net, options: &Options) -> Result<(QGraph, Report), QuantizeError> {
    let mut pictures = Pictures { count: 40, seed: 3 };
    quantize(&net.clone().graph(), &mut pictures, options, &|_| ())
}

#[test]
fn integers_follow_the_float_model_and_all_rules_hold() {
    for (name, net) in nets() {
        let (graph, report) = run(&net, &Options::default()).unwrap();
        assert!(report.logits_sqnr_db > 25.0, "{name}: {report}");
        assert!(report.agreement >= 0.9, "{name}: {report}");
        assert_eq!(report.channels_obeying, report.channels, "{name}");
        assert_eq!(report.unsettled, [""; 0], "{name}");
        assert_eq!(report.layers.len(), graph.layers.len(), "{name}");
        let worst = report.layers.windows(2);
        assert!(
            worst
                .into_iter()
                .all(|pair| pair[0].sqnr_db <= pair[1].sqnr_db)
        );
        for layer in &graph.layers {
            if let QOp::Conv(conv) = &layer.op {
                assert_eq!(conv.clamp, None);
                assert!(conv.scales.iter().all(|scale| scale.is_normal()));
            }
        }
    }
}

#[test]
fn what_was_chosen_is_the_best_of_what_was_tried() {
    for (name, net) in nets() {
        let (_, report) = run(&net, &Options::default()).unwrap();
        let tried = report.candidates.iter().map(|candidate| candidate.sqnr_db);
        let best = tried.fold(f64::MIN, f64::max);
        assert!(
            (report.logits_sqnr_db - best).abs() < 1e-2,
            "{name}: {best}, {report}"
        );
    }
}

#[test]
fn choices_are_kept_where_they_are_given() {
    let net = Net::new([9, 7, 3])
        .conv(8, 3, 1)
        .unbalance()
        .pointwise(RELU)
        .conv(8, 1, 1)
        .rebalance()
        .classify(5);
    let options = Options {
        method: Some(Method::Percentile { outside: 100 }),
        equalize: Some(false),
        correct_bias: Some(false),
        weights: Some(WeightRange::Max),
        ..Options::default()
    };
    let (_, report) = run(&net, &options).unwrap();
    assert_eq!(report.method, "percentile 99.99");
    assert_eq!((report.equalized_pairs, report.bias_corrected), (0, false));
    assert!(report.candidates.is_empty());
    let equalized = Options {
        equalize: Some(true),
        ..options
    };
    let (_, better) = run(&net, &equalized).unwrap();
    assert_eq!(better.equalized_pairs, 2);
    // The logits have their own rounding: the layer before them shows it.
    let pooled = |report: &Report| {
        let mut layers = report.layers.iter();
        layers.find(|layer| layer.name == "node_3").unwrap().sqnr_db
    };
    let gain = pooled(&better) - pooled(&report);
    assert!(gain > 6.0, "{better}{report}");
}

#[test]
fn progress_runs_through_each_stage() {
    let (_, net) = nets().swap_remove(2);
    let seen = std::cell::RefCell::new(Vec::<Progress>::new());
    let mut pictures = Pictures { count: 3, seed: 3 };
    let tell = |progress: Progress| seen.borrow_mut().push(progress);
    quantize(&net.graph(), &mut pictures, &Options::default(), &tell).unwrap();
    let seen = seen.into_inner();
    let stages = [
        Stage::Calibrate,
        Stage::Equalize,
        Stage::Choose,
        Stage::Refine,
        Stage::Compare,
    ];
    let expected = stages.into_iter().flat_map(|stage| {
        (1..=3).map(move |done| Progress {
            stage,
            done,
            total: 3,
        })
    });
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

#[test]
fn broken_models_and_calibrations_are_refused_with_what_to_do() {
    struct Unreadable;
    impl Calibration for Unreadable {
        fn len(&self) -> usize {
            1
        }
        fn read(&mut self, _: usize, _: &mut [f32]) -> Result<(), String> {
            Err("cat.jpg: cut short".into())
        }
    }
    let net = || Net::new([4, 4, 3]).conv(5, 3, 1).classify(2).graph();
    let spoil = |value: f32| {
        let mut graph = net();
        if let Op::Conv(conv) = &mut graph.nodes[0].op {
            conv.weights.fill(value);
        }
        graph
    };
    let few = || Pictures { count: 2, seed: 3 };
    let cases: [(Graph, Box<dyn Calibration>, &str); 5] = [
        (
            net(),
            Box::new(Pictures { count: 0, seed: 3 }),
            "no calibration pictures",
        ),
        (net(), Box::new(Unreadable), "cat.jpg: cut short"),
        (
            spoil(f32::NAN),
            Box::new(few()),
            "`node_0`: a weight is not a finite number",
        ),
        (spoil(f32::MAX), Box::new(few()), "`value_1` takes"),
        (
            {
                let mut graph = net();
                graph.nodes[1].op = Op::Quantize(Default::default());
                graph
            },
            Box::new(few()),
            "`node_1`: the model is quantized already",
        ),
    ];
    for (graph, mut calibration, expected) in cases {
        let result = quantize(&graph, &mut *calibration, &Options::default(), &|_| ());
        let error = result
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn constant_activations_and_dead_channels_are_reported_and_do_no_harm() {
    let mut graph = Net::new([6, 5, 3])
        .conv(6, 3, 1)
        .pointwise(RELU)
        .conv(4, 3, 1)
        .classify(3)
        .graph();
    if let Op::Conv(conv) = &mut graph.nodes[0].op {
        conv.bias.fill(-1e3);
        conv.weights[..27].fill(0.0);
    }
    let mut pictures = Pictures { count: 5, seed: 3 };
    let (graph, report) = quantize(&graph, &mut pictures, &Options::default(), &|_| ()).unwrap();
    assert!(
        report.constant.contains(&"value_2".into()),
        "{:?}",
        report.constant
    );
    assert!(report.dead_channels >= 1);
    assert!(report.logits_sqnr_db > 20.0, "{report}");
    assert!(
        report
            .advice()
            .iter()
            .any(|advice| advice.contains("value_2"))
    );
    let scales = graph.tensors.iter().map(|tensor| tensor.quant.scale);
    assert!(
        scales
            .into_iter()
            .all(|scale| scale.is_normal() && scale > 0.0)
    );
}

#[test]
fn the_file_is_read_back_as_the_same_model() {
    for (name, net) in nets() {
        let meta = Meta {
            name: "net".into(),
            labels: ["a", "b", "c", "d", "e"].map(Into::into).into(),
            ..Meta::default()
        };
        let options = Options {
            meta,
            ..Options::default()
        };
        let (mut graph, _) = run(&net, &options).unwrap();
        let bytes = to_onnx(&graph).proto.encode_to_vec();
        let file = OnnxFile::from_bytes(&bytes, "net.onnx".as_ref()).unwrap();
        let mut back = load_quantized(&file).unwrap_or_else(|error| panic!("{name}: {error}"));
        // The reader calls a tensor after what QuantizeLinear gives.
        for graph in [&mut graph, &mut back] {
            graph
                .tensors
                .iter_mut()
                .for_each(|tensor| tensor.name.clear());
            graph.meta.properties.clear();
            graph.meta.input.clear();
        }
        assert_eq!(back, graph, "{name}");
    }
}
