//! The gradients of the fused operations, as burn's Autodiff records them.

mod channels;
mod norm;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::ops::FloatTensorOps;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, AutodiffBackend, Flex};

use self::channels::{AverageBackward, GateBackward};
use self::norm::{BatchNormAddBackward, BatchNormBackward, NormState};
use super::frame::Window;
use super::nhwc::{Nhwc, flat};
use super::ops::{
    FastOps, Form, averaged, conv_shape, convolve, gated, is_depthwise, normalise, rounded,
    statistics,
};
use super::round::{self, Grid};
use super::{conv, depthwise};

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

/// One of the two outputs of a fork.
#[derive(Debug)]
struct ForkBackward;

/// Whether the fork's other output has handed its gradient to their input.
type OtherIsDone = Arc<AtomicBool>;

impl Backward<Flex, 1> for ForkBackward {
    type State = OtherIsDone;

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let mut dx = grads.consume::<Flex>(&ops.node);
        let [of_x] = ops.parents;
        let Some(node) = of_x else { return };
        // What is registered twice burn adds on one thread, and slowly where memory is channels-last.
        if ops.state.swap(true, Ordering::Relaxed) {
            let other = grads.consume::<Flex>(&node);
            dx = Nhwc::new(dx).plus(&Nhwc::new(other)).into_tensor();
        }
        grads.register::<Flex>(node.id, dx);
    }
}

#[derive(Debug)]
struct RoundBackward;

impl Backward<Flex, 2> for RoundBackward {
    type State = (Nhwc, FlexTensor, Grid);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (x, bias, grid) = ops.state;
        let dy = Nhwc::new(grads.consume::<Flex>(&ops.node));
        let shape = x.shape();
        let [_, h, w, c] = shape;
        let bias = bias.to_contiguous();
        let (dx, dbias) =
            round::gradients(x.into_vec(), dy.values(), bias.storage(), h * w * c, grid);
        let dx = Nhwc::from_vec(dx, shape).into_tensor();
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register(grads, parents, [dx, flat(dbias, &[c])]);
    }
}

/// Hands each gradient to the parent that wants it.
fn register<const N: usize>(
    grads: &mut Gradients,
    parents: [Option<NodeId>; N],
    gradients: [FlexTensor; N],
) {
    for (parent, gradient) in parents.into_iter().zip(gradients) {
        if let Some(id) = parent {
            grads.register::<Flex>(id, gradient);
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

    fn fast_fork(x: FloatTensor<Self>) -> (FloatTensor<Self>, FloatTensor<Self>) {
        // The gradient of a leaf stays registered when it is read, so burn has to add to it.
        if Self::float_is_require_grad(&x) {
            return (x.clone(), x);
        }
        let done = OtherIsDone::default();
        let output = |x: FloatTensor<Self>| {
            let kind = ForkBackward
                .prepare::<C>([x.node()])
                .compute_bound()
                .stateful();
            match kind {
                OpsKind::Tracked(prep) => prep.finish(done.clone(), x.into_primitive()),
                OpsKind::UnTracked(prep) => prep.finish(x.into_primitive()),
            }
        };
        (output(x.clone()), output(x))
    }

    fn fast_average(x: FloatTensor<Self>) -> FloatTensor<Self> {
        let kind = AverageBackward
            .prepare::<C>([x.node()])
            .compute_bound()
            .stateful();
        let x = Nhwc::new(x.into_primitive());
        let y = averaged(&x);
        match kind {
            OpsKind::Tracked(prep) => prep.finish(x.shape(), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fast_gate(x: FloatTensor<Self>, gate: FloatTensor<Self>) -> FloatTensor<Self> {
        let kind = GateBackward
            .prepare::<C>([x.node(), gate.node()])
            .compute_bound()
            .stateful();
        let [x, gate] = [x, gate].map(|tensor| Nhwc::new(tensor.into_primitive()));
        let y = gated(&x, &gate);
        match kind {
            OpsKind::Tracked(prep) => prep.finish((x, gate), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fast_round(x: FloatTensor<Self>, bias: FloatTensor<Self>, grid: Grid) -> FloatTensor<Self> {
        let kind = RoundBackward
            .prepare::<C>([x.node(), bias.node()])
            .compute_bound()
            .stateful();
        let (x, bias) = (Nhwc::new(x.into_primitive()), bias.into_primitive());
        let y = rounded(&x, &bias, grid);
        match kind {
            OpsKind::Tracked(prep) => prep.finish((x, bias, grid), y),
            OpsKind::UnTracked(prep) => prep.finish(y),
        }
    }

    fn fast_batch_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let kind = BatchNormBackward
            .prepare::<C>([x.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful();
        let x = Nhwc::new(x.into_primitive());
        let parameters = [gamma.primitive(), beta.primitive()];
        let (y, channels) = normalise(&x, None, parameters, form);
        let (mean, variance) = statistics(&channels);
        let y = y.into_tensor();
        let y = match kind {
            OpsKind::Tracked(prep) => {
                let state = NormState {
                    x,
                    y: None,
                    channels,
                    form,
                };
                prep.finish(state, y)
            }
            OpsKind::UnTracked(prep) => prep.finish(y),
        };
        (y, Self::from_inner(mean), Self::from_inner(variance))
    }

    fn fast_batch_norm_add(
        x: FloatTensor<Self>,
        residual: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        form: Form,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        let kind = BatchNormAddBackward
            .prepare::<C>([x.node(), residual.node(), gamma.node(), beta.node()])
            .compute_bound()
            .stateful();
        let x = Nhwc::new(x.into_primitive());
        let residual = Nhwc::new(residual.into_primitive());
        let parameters = [gamma.primitive(), beta.primitive()];
        let (y, channels) = normalise(&x, Some(&residual), parameters, form);
        let (mean, variance) = statistics(&channels);
        let output = y.clone().into_tensor();
        let output = match kind {
            OpsKind::Tracked(prep) => {
                let state = NormState {
                    x,
                    y: Some(y),
                    channels,
                    form,
                };
                prep.finish(state, output)
            }
            OpsKind::UnTracked(prep) => prep.finish(output),
        };
        (output, Self::from_inner(mean), Self::from_inner(variance))
    }
}
