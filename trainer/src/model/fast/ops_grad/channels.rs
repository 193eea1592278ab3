//! The gradients of an average over each channel and of channels' factors.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};

use super::register;
use crate::model::fast::nhwc::Nhwc;
use crate::model::fast::{average, gate};

#[derive(Debug)]
pub(super) struct AverageBackward;

impl Backward<Flex, 1> for AverageBackward {
    /// The input, `[n, h, w, c]`.
    type State = [usize; 4];

    fn backward(
        self,
        ops: Ops<Self::State, 1>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let [_, h, w, c] = ops.state;
        let dy = Nhwc::new(grads.consume::<Flex>(&ops.node));
        let dx = average::gradient(dy.values(), [h * w, c]);
        let dx = Nhwc::from_vec(dx, ops.state).into_tensor();
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register(grads, parents, [dx]);
    }
}

#[derive(Debug)]
pub(super) struct GateBackward;

impl Backward<Flex, 2> for GateBackward {
    type State = (Nhwc, Nhwc);

    fn backward(
        self,
        ops: Ops<Self::State, 2>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (x, gate) = ops.state;
        let dy = Nhwc::new(grads.consume::<Flex>(&ops.node));
        let shape = x.shape();
        let [_, h, w, c] = shape;
        let [dx, dgate] = gate::gradients(x.into_vec(), gate.values(), dy.values(), [h * w, c]);
        let dx = Nhwc::from_vec(dx, shape).into_tensor();
        let dgate = Nhwc::from_vec(dgate, gate.shape()).into_tensor();
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register(grads, parents, [dx, dgate]);
    }
}
