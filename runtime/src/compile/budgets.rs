//! Budgets of the planner: the arenas of the shapes of MLPerf Tiny's four nets.

use std::path::{Path, PathBuf};

use kiln_core::explain::Maps;
use kiln_core::tensor::Shape;
use kiln_core::window::Window;
use kiln_core::{Model, Target};

use super::*;
use crate::engine::{Input, LoadedModel};
use crate::graph::{Binary, Quant};
use crate::onnx::OnnxFile;
use crate::qgraph::{QConv, QLayer, QOp, QTensor, TensorId};
use crate::quantized::load_quantized;
use crate::testing::Random;

/// A net whose integers do not matter.
#[derive(Default)]
struct Net(QGraph);

impl Net {
    fn new(input: Shape) -> Self {
        let mut net = Self::default();
        net.tensor(input);
        net
    }

    fn tensor(&mut self, shape: Shape) -> TensorId {
        let id = self.0.tensors.len();
        self.0.tensors.push(QTensor {
            name: format!("t{id}"),
            shape,
            quant: Quant {
                scale: 1.0,
                zero_point: 0,
                unsigned: true,
            },
        });
        id
    }

    fn layer(&mut self, op: QOp, inputs: &[TensorId], shape: Shape) -> TensorId {
        let output = self.tensor(shape);
        self.0.layers.push(QLayer {
            name: format!("layer{}", self.0.layers.len()),
            op,
            inputs: inputs.to_vec(),
            output,
        });
        self.0.output = output;
        output
    }

    /// A convolution with TensorFlow's padding "same".
    fn conv(
        &mut self,
        from: TensorId,
        kernel: [u16; 2],
        stride: u16,
        channels: u32,
        groups: usize,
    ) -> TensorId {
        let input = self.0.tensors[from].shape;
        let same = |len: u32, kernel: u16| {
            let stride = u32::from(stride);
            let all = ((len.div_ceil(stride) - 1) * stride + u32::from(kernel)).saturating_sub(len);
            [all / 2, all - all / 2].map(|padding| padding as u16)
        };
        let [top, bottom] = same(input.height, kernel[0]);
        let [left, right] = same(input.width, kernel[1]);
        let window = Window {
            kernel,
            stride: [stride; 2],
            dilation: [1; 2],
            padding: [top, left, bottom, right],
        };
        let outputs = channels as usize;
        let conv = QConv {
            window,
            groups,
            weights: vec![1; outputs * window.taps() * input.channels as usize / groups],
            // So large that no channel is constant.
            scales: vec![0.1; outputs],
            zero_points: vec![0; outputs],
            bias: vec![0; outputs],
            clamp: None,
        };
        let [height, width] = window.output(input.height, input.width).unwrap();
        let shape = Shape::new(height, width, channels);
        self.layer(QOp::Conv(conv), &[from], shape)
    }

    fn separable(&mut self, from: TensorId, stride: u16, channels: u32) -> TensorId {
        let input = self.0.tensors[from].shape.channels;
        let deep = self.conv(from, [3, 3], stride, input, input as usize);
        self.conv(deep, [1, 1], 1, channels, 1)
    }

    fn add(&mut self, a: TensorId, b: TensorId) -> TensorId {
        let op = QOp::Binary {
            op: Binary::Add,
            clamp: None,
        };
        let shape = self.0.tensors[a].shape;
        self.layer(op, &[a, b], shape)
    }

    fn classes(mut self, from: TensorId, classes: u32) -> QGraph {
        let shape = self.0.tensors[from].shape;
        let op = QOp::AveragePool {
            window: Window {
                kernel: [shape.height as u16, shape.width as u16],
                ..Window::default()
            },
            count_include_pad: false,
        };
        let mean = self.layer(op, &[from], Shape::vector(shape.channels));
        self.conv(mean, [1, 1], 1, classes, 1);
        self.0
    }
}

/// ResNet-8.
fn image_classification() -> QGraph {
    let mut net = Net::new(Shape::new(32, 32, 3));
    let mut at = net.conv(0, [3, 3], 1, 16, 1);
    for (channels, stride) in [(16, 1), (32, 2), (64, 2)] {
        let first = net.conv(at, [3, 3], stride, channels, 1);
        let second = net.conv(first, [3, 3], 1, channels, 1);
        let short = match stride {
            1 => at,
            _ => net.conv(at, [1, 1], stride, channels, 1),
        };
        at = net.add(short, second);
    }
    net.classes(at, 10)
}

/// MobileNetV1, a quarter as wide.
fn visual_wake_words() -> QGraph {
    let mut net = Net::new(Shape::new(96, 96, 3));
    let mut at = net.conv(0, [3, 3], 2, 8, 1);
    let blocks = [(1, 16), (2, 32), (1, 32), (2, 64), (1, 64), (2, 128)];
    let blocks = blocks
        .into_iter()
        .chain([(1, 128); 5])
        .chain([(2, 256), (1, 256)]);
    for (stride, channels) in blocks {
        at = net.separable(at, stride, channels);
    }
    net.classes(at, 2)
}

/// DS-CNN.
fn keyword_spotting() -> QGraph {
    let mut net = Net::new(Shape::new(49, 10, 1));
    let mut at = net.conv(0, [10, 4], 2, 64, 1);
    for _ in 0..4 {
        at = net.separable(at, 1, 64);
    }
    net.classes(at, 12)
}

/// The autoencoder.
fn anomaly_detection() -> QGraph {
    let mut net = Net::new(Shape::vector(640));
    let mut at = 0;
    for channels in [128, 128, 128, 128, 8, 128, 128, 128, 128, 640] {
        at = net.conv(at, [1, 1], 1, channels, 1);
    }
    net.0
}

/// TensorFlow Lite Micro's are 54,996, 100,708, 22,820 and 2,580.
#[test]
fn arenas_stay_within_their_budgets() {
    let cases = [
        ("IC", image_classification(), 12_501_632, [49_152, 34_160]),
        ("VWW", visual_wake_words(), 7_489_664, [55_296, 41_568]),
        ("KWS", keyword_spotting(), 2_656_768, [16_000, 11_456]),
        ("AD", anomaly_detection(), 264_192, [768, 768]),
    ];
    for (name, graph, macs, budgets) in cases {
        for (target, budget) in [Target::Generic, Target::CortexM4].into_iter().zip(budgets) {
            let options = Options {
                target,
                ..Options::default()
            };
            let Compiled { report, .. } = compile(&graph, &options).unwrap();
            assert_eq!(report.macs, macs, "{name}");
            let Report { arena, .. } = report;
            assert!(
                arena <= budget,
                "{name} for {target:?}: {arena} bytes, {} above the budget\n{report}",
                arena - budget
            );
            assert!(
                budget - arena < 64,
                "{name} for {target:?}: lower the budget to {arena}"
            );
        }
    }
}

/// Boards make maps of what the last pool has read, for which the arena is no larger.
#[test]
fn class_activation_maps_cost_no_arena() {
    for (name, graph) in [
        ("IC", image_classification()),
        ("VWW", visual_wake_words()),
        ("KWS", keyword_spotting()),
    ] {
        for target in Target::ALL
            .into_iter()
            .filter(|&target| wants(target).features)
        {
            let options = Options {
                target,
                ..Options::default()
            };
            let bytes = compile(&graph, &options).unwrap().bytes;
            let model = Model::new(&bytes).unwrap();
            let maps = Maps::of(&model).unwrap();
            let mut arena = vec![0; model.arena_bytes()];
            model.run_in_place(&mut arena).unwrap();
            let levels = maps.levels(&mut arena, 1).map(<[u8]>::len);
            assert_eq!(levels, Some(maps.shape().pixels()), "{name} for {target:?}");
        }
    }
}

/// The files themselves: whatever they are compiled for, they give the same logits. Half of what VWW
/// multiplies belongs to channels that no result depends on.
#[test]
fn the_files_of_mlperf_tiny() {
    let cases = [
        ("ic", [12_501_632; 2], [49_152, 34_160]),
        ("vww", [7_489_664, 3_727_313], [55_296, 41_568]),
        ("kws", [2_656_768; 2], [16_000, 11_456]),
        ("ad", [264_192; 2], [768, 1_024]),
    ];
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("KILN_SHARED").map_or_else(beside, PathBuf::from);
    for (name, macs, budgets) in cases {
        let path = shared.join(format!("models/mlperf-tiny/{name}.int8-qdq.onnx"));
        if !path.is_file() {
            eprintln!("no {} (KILN_SHARED sets another place)", path.display());
            continue;
        }
        let graph = load_quantized(&OnnxFile::load(&path).unwrap()).unwrap();
        let len = graph.tensors[graph.input].shape.len();
        let input = Random::new(1).bytes(len);
        let mut logits = Vec::new();
        for target in [Target::Generic, Target::X86_64, Target::CortexM4] {
            let options = Options {
                target,
                golden: 1,
                ..Options::default()
            };
            let Compiled { bytes, report } = compile(&graph, &options).unwrap();
            let narrow = dead::wanted(target);
            assert_eq!(report.macs, macs[usize::from(narrow)], "{name}");
            let budget = match target {
                Target::Generic => Some(budgets[0]),
                Target::CortexM4 => Some(budgets[1]),
                _ => None,
            };
            if let Some(budget) = budget {
                eprintln!("{name} for {target:?}:\n{report}\n");
                assert!(report.arena <= budget, "{name}: {} bytes", report.arena);
            }
            let mut engine = LoadedModel::from_bytes(&bytes).unwrap().engine();
            let found = engine.logits(Input::Quantized(&input)).unwrap();
            assert_eq!(engine.verify_golden().unwrap(), 1);
            logits.push(found);
        }
        assert!(logits.windows(2).all(|pair| pair[0] == pair[1]), "{name}");
    }
}
