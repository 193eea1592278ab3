//! The gradients of the fused operations, as burn's Autodiff records them.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex};

use super::frame::Window;
use super::nhwc::{Nhwc, flat};
use super::norm::{Bounds, Channels};
use super::norm_grad::{self, Mask};
use super::ops::{
    FastOps, Form, batch_channels, clamped, conv_shape, convolve, is_depthwise, pooled, statistics,
};
use super::{conv, depthwise, norm_pool};

#[derive(Debug)]
struct Conv2dBackward;

impl Backward<Flex, 2> for Conv2dBackward {
    type State = (Nhwc, FlexTensor, Window);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (x, weight, window) = ops.state;
        let dy = Nhwc::new(grads.consume::<Flex>(&ops.node));
        let shape = conv_shape(&x, &weight, window);
        let depthwise = is_depthwise(&weight, &shape);
        let [of_x, of_weight] = ops.parents;
        if let Some(node) = of_weight {
            let dw = if depthwise {
                depthwise::grad_weight(x.values(), dy.values(), &shape)
            } else {
                conv::grad_weight(x.values(), dy.values(), &shape)
            };
            let dw = flat(dw, weight.layout().shape());
            grads.register::<Flex>(node.id, dw);
        }
        if let Some(node) = of_x {
            let weight = weight.to_contiguous();
            let size = x.shape();
            let dx = if depthwise {
                depthwise::grad_input(x.into_buffer(), dy.values(), weight.storage(), &shape)
            } else {
                conv::grad_input(x.into_buffer(), dy.values(), weight.storage(), &shape)
            };
            grads.register::<Flex>(node.id, Nhwc::from_vec(dx, size).into_tensor());
        }
    }
}

/// What the gradient of a normalisation needs: the input, the output where a residual was added,
/// the channels' statistics, the clamp.
type NormState = (Nhwc, Option<Nhwc>, Channels, Bounds);

fn norm_gradients((x, y, channels, bounds): NormState, dy: FlexTensor) -> norm_grad::Gradients {
    let [_, h, w, c] = x.shape();
    let mask = y.as_ref().map_or(Mask::Input, |y| Mask::Output(y.values()));
    let (x, dy) = (x.into_vec(), Nhwc::new(dy).into_vec());
    norm_grad::gradients(x, dy, mask, h * w * c, &channels, bounds)
}

#[derive(Debug)]
struct BatchNormBackward;

impl Backward<Flex, 3> for BatchNormBackward {
    type State = NormState;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let shape = ops.state.0.shape();
        let found = norm_gradients(ops.state, grads.consume::<Flex>(&ops.node));
        let channels = [shape[3]];
        let dx = Nhwc::from_vec(found.x, shape).into_tensor();
        let found = [
            dx,
            flat(found.gamma, &channels),
            flat(found.beta, &channels),
        ];
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct BatchNormPoolBackward;

impl Backward<Flex, 3> for BatchNormPoolBackward {
    type State = (Nhwc, Channels, Bounds);

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (x, channels, bounds) = ops.state;
        let [n, h, w, c] = x.shape();
        let dy = Nhwc::new(grads.consume::<Flex>(&ops.node));
        let found = norm_pool::gradients(x.into_vec(), dy.values(), [h, w], &channels, bounds);
        let found = [
            Nhwc::from_vec(found.x, [n, h, w, c]).into_tensor(),
            flat(found.gamma, &[c]),
            flat(found.beta, &[c]),
        ];
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

#[derive(Debug)]
struct BatchNormAddBackward;

impl Backward<Flex, 4> for BatchNormAddBackward {
    type State = NormState;

    fn backward(
        self,
        ops: Ops<Self::State, 4>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let shape = ops.state.0.shape();
        let found = norm_gradients(ops.state, grads.consume::<Flex>(&ops.node));
        let channels = [shape[3]];
        let found = [
            Nhwc::from_vec(found.x, shape).into_tensor(),
            Nhwc::from_vec(found.residual, shape).into_tensor(),
            flat(found.gamma, &channels),
            flat(found.beta, &channels),
        ];
        for (parent, gradient) in ops.parents.into_iter().zip(found) {
            if let Some(node) = parent {
                grads.register::<Flex>(node.id, gradient);
            }
        }
    }
}

impl<C: CheckpointStrategy> FastOps for Autodiff<Flex, C> {
    fn fast_conv2d(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        window: Window,
    ) -> FloatTensor<Self> {
        let kind = Conv2dBackward
            .prepare::<C>([x.node(), weight.node()])
            .compute_bound()
            .stateful();
        let (x, weight) = (Nhwc::new(x.into_primitive()), weight.into_primitive());
        let y = convolve(&x, &weight, window);
        match kind {
            OpsKind::Tracked(prep) => prep.finish((x, weight, window), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fast_batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        (epsilon, bounds): Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let kind = BatchNormBackward
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful();
        let x = Nhwc::new(x.into_primitive());
        let channels = batch_channels(&x, gamma.primitive(), beta.primitive(), epsilon);
        let (mean, variance) = statistics(&channels);
        let y = clamped(&x, None, &channels, bounds).into_tensor();
        let y = match kind {
            OpsKind::Tracked(prep) => prep.finish((x, None, channels, bounds), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }

    fn fast_batch_norm_pool(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        (epsilon, bounds): Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let kind = BatchNormPoolBackward
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful();
        let x = Nhwc::new(x.into_primitive());
        let channels = batch_channels(&x, gamma.primitive(), beta.primitive(), epsilon);
        let (mean, variance) = statistics(&channels);
        let y = pooled(&x, &channels, bounds).into_tensor();
        let y = match kind {
            OpsKind::Tracked(prep) => prep.finish((x, channels, bounds), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }

    fn fast_batch_norm_add(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        (epsilon, bounds): Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let kind = BatchNormAddBackward
            .prepare::<C>([x.node(), residual.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful();
        let (x, residual) = (
            Nhwc::new(x.into_primitive()),
            Nhwc::new(residual.into_primitive()),
        );
        let channels = batch_channels(&x, gamma.primitive(), beta.primitive(), epsilon);
        let (mean, variance) = statistics(&channels);
        let y = clamped(&x, Some(&residual), &channels, bounds);
        let output = y.clone().into_tensor();
        let output = match kind {
            OpsKind::Tracked(prep) => prep.finish((x, Some(y), channels, bounds), output),
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, Self::from_inner(mean), Self::from_inner(variance))
    }
}
