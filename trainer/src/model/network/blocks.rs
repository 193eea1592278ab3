//! What a network consists of: convolutions with what follows them, pools, and chains around a shortcut.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::MaxPool2d;
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::{Device, Tensor};

use super::gate::Gate;
use crate::model::fast;
use crate::model::spec::{Activation, BlockSpec, ConvSpec, EXCITE, SQUEEZE};

/// One block of a [`Network`](super::Network).
#[derive(Module, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "a network has tens of blocks, and burn's derive takes no boxes"
)]
pub enum Block {
    /// One convolution.
    Conv(ConvNorm),
    /// Max-pooling.
    Pool(MaxPool2d),
    /// Convolutions in a row, around a shortcut if there is one.
    Chain(Chain),
}

/// Convolutions in a row: separable, residual and inverted residual blocks.
#[derive(Module, Debug)]
pub struct Chain {
    /// The first 3×3 of a residual block.
    pub conv1: Option<ConvNorm>,
    /// The second 3×3 of a residual block.
    pub conv2: Option<ConvNorm>,
    /// The 1×1 that widens an inverted residual.
    pub expand: Option<ConvNorm>,
    /// The depthwise 3×3.
    pub depthwise: Option<ConvNorm>,
    /// What the depthwise convolution's channels are multiplied by.
    pub gate: Option<Gate>,
    /// The 1×1 of a separable block.
    pub pointwise: Option<ConvNorm>,
    /// The linear 1×1 of an inverted residual.
    pub project: Option<ConvNorm>,
    /// The 1×1 on a residual block's shortcut.
    pub shortcut: Option<ConvNorm>,
    #[module(skip)]
    pub(super) joins: Join,
}

/// One thing that a chain computes.
#[derive(Clone, Copy)]
pub(super) enum Part<'a> {
    Conv(&'a ConvNorm),
    Gate(&'a Gate),
}

/// What becomes of a chain's input at its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Join {
    /// Nothing.
    Dropped,
    /// It is added.
    Added,
    /// It is added, and the activation follows.
    AddedThenActivated,
}

/// A convolution with what follows it: batch norm and activation, each where there is one.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution; it has a bias where no batch norm follows.
    pub conv: Conv2d,
    /// Batch normalisation.
    pub norm: Option<BatchNorm>,
    #[module(skip)]
    act: Option<Activation>,
    /// Whether the convolution is computed in bf16.
    #[module(skip)]
    pub(super) bf16: bool,
}

impl From<Option<Activation>> for fast::Activation {
    fn from(activation: Option<Activation>) -> Self {
        match activation {
            None => Self::None,
            Some(Activation::Relu) => Self::Relu,
            Some(Activation::Relu6) => Self::Relu6,
        }
    }
}

impl ConvNorm {
    pub(super) fn new(
        spec: &ConvSpec,
        input: usize,
        activation: Activation,
        device: &Device,
    ) -> Self {
        let [rows, columns] = spec.padding();
        let conv = Conv2dConfig::new([input, spec.out], spec.kernel)
            .with_stride(spec.stride)
            .with_padding(PaddingConfig2d::Explicit(rows, columns, rows, columns))
            .with_groups(if spec.depthwise { input } else { 1 })
            .with_bias(!spec.norm)
            .with_initializer(Initializer::KaimingNormal {
                gain: std::f64::consts::SQRT_2,
                fan_out_only: true,
            })
            .init(device);
        Self {
            conv,
            norm: spec
                .norm
                .then(|| BatchNormConfig::new(spec.out).init(device)),
            act: spec.act.then_some(activation),
            bf16: false,
        }
    }

    fn convolve(&self, x: Tensor<4>) -> Tensor<4> {
        match self.bf16 {
            true => fast::conv2d_bf16(x, &self.conv),
            false => fast::conv2d(x, &self.conv),
        }
    }

    pub(super) fn set_activation(&mut self, activation: Activation) {
        self.act = self.act.map(|_| activation);
    }

    /// `[n, c, h, w]` → `[n, out, h', w']`.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = self.convolve(x);
        match &self.norm {
            Some(norm) => fast::batch_norm(x, norm, self.act.into()),
            None => fast::Activation::from(self.act).forward(x),
        }
    }

    /// The same with `shortcut` added before `act`, which stands in for the layer's own activation.
    fn forward_added(
        &self,
        x: Tensor<4>,
        shortcut: Tensor<4>,
        act: Option<Activation>,
    ) -> Tensor<4> {
        let x = self.convolve(x);
        match &self.norm {
            Some(norm) => fast::batch_norm_add(x, shortcut, norm, act.into()),
            None => fast::Activation::from(act).forward(x + shortcut),
        }
    }

    /// The same as [`ConvNorm::forward`], then `pool`.
    pub(super) fn forward_pooled(&self, x: Tensor<4>, pool: &MaxPool2d) -> Tensor<4> {
        match &self.norm {
            Some(norm) if pool.kernel_size == [2, 2] && pool.stride == [2, 2] => {
                let x = self.convolve(x);
                fast::batch_norm_max_pool(x, norm, self.act.into())
            }
            _ => pool.forward(self.forward(x)),
        }
    }
}

impl Chain {
    pub(super) fn new(
        spec: &BlockSpec,
        input: usize,
        activation: Activation,
        device: &Device,
    ) -> Self {
        let mut channels = input;
        let mut chain = Self {
            conv1: None,
            conv2: None,
            expand: None,
            depthwise: None,
            gate: None,
            pointwise: None,
            project: None,
            shortcut: None,
            joins: match *spec {
                BlockSpec::Residual { .. } => Join::AddedThenActivated,
                BlockSpec::Inverted { out, stride, .. } if stride == 1 && out == input => {
                    Join::Added
                }
                _ => Join::Dropped,
            },
        };
        let (mut squeeze, mut excite) = (None, None);
        for (part, conv) in spec.convs(input) {
            let from = if part == "shortcut" { input } else { channels };
            channels = conv.out;
            let conv = ConvNorm::new(&conv, from, activation, device);
            *match part {
                "conv1" => &mut chain.conv1,
                "conv2" => &mut chain.conv2,
                "expand" => &mut chain.expand,
                "depthwise" => &mut chain.depthwise,
                SQUEEZE => &mut squeeze,
                EXCITE => &mut excite,
                "pointwise" => &mut chain.pointwise,
                "project" => &mut chain.project,
                _ => &mut chain.shortcut,
            } = Some(conv);
        }
        let layers = squeeze.zip(excite);
        chain.gate = layers.map(|(squeeze, excite)| Gate::new(squeeze, excite, device));
        chain
    }

    /// Its convolutions, in order; the shortcut's is last.
    pub fn convs(&self) -> Vec<&ConvNorm> {
        let body = self.body().flat_map(|part| match part {
            Part::Conv(conv) => vec![conv],
            Part::Gate(gate) => vec![&gate.squeeze, &gate.excite],
        });
        body.chain(&self.shortcut).collect()
    }

    /// The same, to change.
    pub(super) fn convs_mut(&mut self) -> impl Iterator<Item = &mut ConvNorm> {
        let gate = self.gate.iter_mut();
        (self.conv1.iter_mut())
            .chain(&mut self.conv2)
            .chain(&mut self.expand)
            .chain(&mut self.depthwise)
            .chain(gate.flat_map(|gate| [&mut gate.squeeze, &mut gate.excite]))
            .chain(&mut self.pointwise)
            .chain(&mut self.project)
            .chain(&mut self.shortcut)
    }

    /// What is computed one after the other beside the shortcut.
    pub(super) fn body(&self) -> impl Iterator<Item = Part<'_>> {
        let convs = [&self.conv1, &self.conv2, &self.expand, &self.depthwise];
        let last = [&self.pointwise, &self.project];
        (convs.into_iter().flatten().map(Part::Conv))
            .chain(self.gate.as_ref().map(Part::Gate))
            .chain(last.into_iter().flatten().map(Part::Conv))
    }

    /// Multiplies the weights of the linear 1×1 of an inverted residual.
    pub(in crate::model) fn scale_project(&mut self, factor: f64, device: &Device) {
        if let Some(project) = &mut self.project {
            let scaled = project.conv.weight.val() * factor;
            project.conv.weight = Param::from_data(scaled.into_data(), device);
        }
    }

    /// Makes an inverted residual add nothing to its input, until it is trained.
    pub(in crate::model) fn silence(&mut self, device: &Device) {
        if let (Join::Added, Some(project)) = (self.joins, &mut self.project)
            && let Some(norm) = &mut project.norm
        {
            norm.gamma = Initializer::Zeros.init(norm.gamma.dims(), device);
        }
    }

    pub(super) fn forward(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        let mut body: Vec<Part> = self.body().collect();
        let run = |body: &[Part], x| {
            body.iter().fold(x, |x, part| match part {
                Part::Conv(conv) => conv.forward(x),
                Part::Gate(gate) => gate.forward(x),
            })
        };
        let act = match self.joins {
            Join::Dropped => return run(&body, x),
            Join::Added => None,
            Join::AddedThenActivated => Some(activation),
        };
        let [x, shortcut] = fast::fork(x);
        let shortcut = match &self.shortcut {
            Some(conv) => conv.forward(shortcut),
            None => shortcut,
        };
        match body.pop() {
            Some(Part::Conv(last)) => last.forward_added(run(&body, x), shortcut, act),
            _ => x,
        }
    }
}
