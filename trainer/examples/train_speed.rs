//! Training images per second on the CPU, plain burn against the fused layers.
//!
//! `cargo run --example train_speed -- [cnn64|resnet8] [plain|fast] [steps] [rounds]`

use std::time::Instant;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::pool::MaxPool2dConfig;
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Distribution, Int, Tensor};
use kiln::model::fast::{self, Activation};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Module, Debug)]
struct ConvNorm {
    conv: Conv2d,
    norm: BatchNorm,
    #[module(skip)]
    fast: bool,
}

impl ConvNorm {
    fn new(from: usize, to: usize, stride: usize, fast: bool, device: &Device) -> Self {
        let conv = Conv2dConfig::new([from, to], [3, 3])
            .with_stride([stride, stride])
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1))
            .with_bias(false)
            .init(device);
        Self {
            conv,
            norm: BatchNormConfig::new(to).init(device),
            fast,
        }
    }

    fn forward(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        if self.fast {
            fast::batch_norm(fast::conv2d(x, &self.conv), &self.norm, activation)
        } else {
            activation.forward(self.norm.forward(self.conv.forward(x)))
        }
    }

    fn forward_add(&self, x: Tensor<4>, residual: Tensor<4>) -> Tensor<4> {
        if self.fast {
            let x = fast::conv2d(x, &self.conv);
            fast::batch_norm_add(x, residual, &self.norm, Activation::Relu)
        } else {
            Activation::Relu.forward(self.norm.forward(self.conv.forward(x)) + residual)
        }
    }
}

#[derive(Module, Debug)]
struct Block {
    first: ConvNorm,
    second: ConvNorm,
    short: Option<Conv2d>,
}

/// Layers with pooling after each, or one stem and residual blocks.
#[derive(Module, Debug)]
struct Net {
    layers: Vec<ConvNorm>,
    blocks: Vec<Block>,
    head: Linear,
}

impl Net {
    fn new(name: &str, fast: bool, device: &Device) -> Self {
        let widths = [3, 16, 32, 64];
        let layer = |i: usize| ConvNorm::new(widths[i], widths[i + 1], 1, fast, device);
        let block = |(from, to, stride): (usize, usize, usize)| Block {
            first: ConvNorm::new(from, to, stride, fast, device),
            second: ConvNorm::new(to, to, 1, fast, device),
            short: (stride != 1).then(|| {
                Conv2dConfig::new([from, to], [1, 1])
                    .with_stride([stride, stride])
                    .with_bias(false)
                    .init(device)
            }),
        };
        let (layers, blocks) = if name == "cnn64" {
            ((0..3).map(layer).collect(), vec![])
        } else {
            let blocks = [(16, 16, 1), (16, 32, 2), (32, 64, 2)];
            (vec![layer(0)], blocks.map(block).into())
        };
        let classes = if name == "cnn64" { 2 } else { 10 };
        Self {
            layers,
            blocks,
            head: LinearConfig::new(64, classes).init(device),
        }
    }

    fn forward(&self, mut x: Tensor<4>) -> Tensor<2> {
        let pool = MaxPool2dConfig::new([2, 2]).with_strides([2, 2]).init();
        for layer in &self.layers {
            x = match (self.blocks.is_empty(), layer.fast) {
                (true, true) => {
                    let x = fast::conv2d(x, &layer.conv);
                    fast::batch_norm_max_pool(x, &layer.norm, Activation::Relu)
                }
                (true, false) => pool.forward(layer.forward(x, Activation::Relu)),
                (false, _) => layer.forward(x, Activation::Relu),
            };
        }
        for block in &self.blocks {
            let short = match &block.short {
                None => x.clone(),
                Some(conv) if block.first.fast => fast::conv2d(x.clone(), conv),
                Some(conv) => conv.forward(x.clone()),
            };
            let y = block.first.forward(x, Activation::Relu);
            x = block.second.forward_add(y, short);
        }
        let x: Tensor<2> = x.mean_dims(&[2, 3]).flatten(1, 3);
        self.head.forward(x)
    }
}

fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let arg = |i: usize, default: &str| args.get(i).cloned().unwrap_or(default.into());
    let (name, kind) = (arg(0, "cnn64"), arg(1, "fast"));
    let steps: usize = arg(2, "6").parse().expect("steps");
    let rounds: usize = arg(3, "4").parse().expect("rounds");

    let size = if name == "cnn64" { 64 } else { 32 };
    let device = Device::flex().autodiff();
    device.seed(1);
    let x = Tensor::<4>::random([64, 3, size, size], Distribution::Normal(0.0, 1.0), &device);
    let y: Vec<i32> = (0..64).map(|i| i % 2).collect();
    let y = Tensor::<1, Int>::from_data(y.as_slice(), &device);
    let mut net = Net::new(&name, kind == "fast", &device);
    let mut optimiser = AdamWConfig::new().init();
    let loss = CrossEntropyLossConfig::new().init(&device);
    let mut best = 0.0f64;
    let mut last = 0.0;
    for _ in 0..rounds {
        let start = Instant::now();
        for _ in 0..steps {
            let found = loss.forward(net.forward(x.clone()), y.clone());
            last = found.clone().into_scalar::<f32>();
            let grads = GradientsParams::from_grads(found.backward(), &net);
            net = optimiser.step(1e-3, net, grads);
        }
        best = best.max((64 * steps) as f64 / start.elapsed().as_secs_f64());
    }
    println!("kiln {name} {kind}: {best:.0} images/s, loss {last:.5}");
}
