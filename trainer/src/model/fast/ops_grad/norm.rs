//! The gradients of normalisations.

use burn::backend::Flex;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops};
use burn::backend::flex::FlexTensor;

use super::register;
use crate::model::fast::nhwc::{Nhwc, flat};
use crate::model::fast::norm::Channels;
use crate::model::fast::norm_grad::{self, Mask};
use crate::model::fast::norm_pool;
use crate::model::fast::ops::Form;

/// What the gradient of a normalisation needs.
#[derive(Clone, Debug)]
pub(super) struct NormState {
    pub x: Nhwc,
    /// The output, where a residual was added.
    pub y: Option<Nhwc>,
    pub channels: Channels,
    pub form: Form,
}

impl NormState {
    /// The gradients of input, gamma and beta; and that of a residual, if there was one.
    fn gradients(self, dy: FlexTensor) -> ([FlexTensor; 3], Vec<f32>) {
        let shape = self.x.shape();
        let [_, h, w, c] = shape;
        let (channels, bounds) = (&self.channels, self.form.bounds);
        let (x, dy) = (self.x.into_vec(), Nhwc::new(dy));
        let found = if self.form.pooled {
            norm_pool::gradients(x, dy.values(), [h, w], channels, bounds)
        } else {
            let y = self.y.as_ref();
            let mask = y.map_or(Mask::Input, |y| Mask::Output(y.values()));
            norm_grad::gradients(x, dy.into_vec(), mask, h * w * c, channels, bounds)
        };
        let dx = Nhwc::from_vec(found.x, shape).into_tensor();
        let [dgamma, dbeta] = [found.gamma, found.beta].map(|values| flat(values, &[c]));
        ([dx, dgamma, dbeta], found.residual)
    }
}

#[derive(Debug)]
pub(super) struct BatchNormBackward;

impl Backward<Flex, 3> for BatchNormBackward {
    type State = NormState;

    fn backward(
        self,
        ops: Ops<Self::State, 3>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let (found, _) = ops.state.gradients(grads.consume::<Flex>(&ops.node));
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register(grads, parents, found);
    }
}

#[derive(Debug)]
pub(super) struct BatchNormAddBackward;

impl Backward<Flex, 4> for BatchNormAddBackward {
    type State = NormState;

    fn backward(
        self,
        ops: Ops<Self::State, 4>,
        grads: &mut Gradients,
        _checkpointer: &mut Checkpointer,
    ) {
        let shape = ops.state.x.shape();
        let ([dx, dgamma, dbeta], residual) = ops.state.gradients(grads.consume::<Flex>(&ops.node));
        let residual = Nhwc::from_vec(residual, shape).into_tensor();
        let parents = ops.parents.map(|parent| parent.map(|node| node.id));
        register(grads, parents, [dx, residual, dgamma, dbeta]);
    }
}
