//! Functions of one value: what activations compute, in f64 where tables are made of them.

use serde::{Deserialize, Serialize};

/// A function of one value, by ONNX's operator and its attributes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Pointwise {
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, min), max)`; Relu6 is 0 and 6.
    Clip {
        /// Lower bound.
        min: f32,
        /// Upper bound.
        max: f32,
    },
    /// `x` where positive, else `alpha * x`.
    LeakyRelu {
        /// The slope below 0.
        alpha: f32,
    },
    /// `x` where positive, else `alpha * (exp(x) - 1)`.
    Elu {
        /// What it tends to far below 0, negated.
        alpha: f32,
    },
    /// `gamma * x` where positive, else `gamma * alpha * (exp(x) - 1)`.
    Selu {
        /// What it tends to far below 0, negated and divided by `gamma`.
        alpha: f32,
        /// The slope above 0.
        gamma: f32,
    },
    /// `log(1 + exp(x))`.
    Softplus,
    /// `x / (1 + |x|)`.
    Softsign,
    /// `x * tanh(softplus(x))`.
    Mish,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `min(max(alpha * x + beta, 0), 1)`.
    HardSigmoid {
        /// The slope.
        alpha: f32,
        /// The value at 0.
        beta: f32,
    },
    /// `x * min(max(x / 6 + 1/2, 0), 1)`.
    HardSwish,
    /// `x * sigmoid(x)`, also called Swish.
    Silu,
    /// `tanh(x)`.
    Tanh,
    /// `x * (1 + erf(x / sqrt(2))) / 2`.
    Gelu,
    /// Gelu's approximation by tanh.
    GeluTanh,
}

impl Pointwise {
    /// The function's value.
    pub fn eval(self, x: f64) -> f64 {
        let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
        // Either way without overflow.
        let softplus = |x: f64| x.max(0.0) + (-x.abs()).exp().ln_1p();
        match self {
            Self::Relu => x.max(0.0),
            Self::Clip { min, max } => x.max(min.into()).min(max.into()),
            Self::LeakyRelu { alpha } if x < 0.0 => f64::from(alpha) * x,
            Self::Elu { alpha } if x < 0.0 => f64::from(alpha) * x.exp_m1(),
            Self::LeakyRelu { .. } | Self::Elu { .. } => x,
            Self::Selu { alpha, gamma } if x < 0.0 => {
                f64::from(gamma) * f64::from(alpha) * x.exp_m1()
            }
            Self::Selu { gamma, .. } => f64::from(gamma) * x,
            Self::Softplus => softplus(x),
            Self::Softsign => x / (1.0 + x.abs()),
            Self::Mish => x * softplus(x).tanh(),
            Self::Sigmoid => sigmoid(x),
            Self::HardSigmoid { alpha, beta } => {
                (f64::from(alpha) * x + f64::from(beta)).clamp(0.0, 1.0)
            }
            Self::HardSwish => x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
            Self::Silu => x * sigmoid(x),
            Self::Tanh => x.tanh(),
            Self::Gelu => x * 0.5 * libm::erfc(-x * std::f64::consts::FRAC_1_SQRT_2),
            Self::GeluTanh => {
                let inner = (2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x * x * x);
                0.5 * x * (1.0 + inner.tanh())
            }
        }
    }

    /// The bounds between which the function is the identity and outside of which it is constant,
    /// if it is such a clamp: what a quantized range can express by itself.
    pub fn clamp(self) -> Option<(f32, f32)> {
        match self {
            Self::Relu => Some((0.0, f32::INFINITY)),
            Self::Clip { min, max } => Some((min, max)),
            _ => None,
        }
    }

    /// ONNX's name of the operator, or that of the pattern.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "Relu",
            Self::Clip { .. } => "Clip",
            Self::LeakyRelu { .. } => "LeakyRelu",
            Self::Elu { .. } => "Elu",
            Self::Selu { .. } => "Selu",
            Self::Softplus => "Softplus",
            Self::Softsign => "Softsign",
            Self::Mish => "Mish",
            Self::Sigmoid => "Sigmoid",
            Self::HardSigmoid { .. } => "HardSigmoid",
            Self::HardSwish => "HardSwish",
            Self::Silu => "Silu",
            Self::Tanh => "Tanh",
            Self::Gelu | Self::GeluTanh => "Gelu",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_at_known_points() {
        let cases = [
            (Pointwise::Relu, -1.0, 0.0),
            (Pointwise::Clip { min: 0.0, max: 6.0 }, 7.0, 6.0),
            (Pointwise::LeakyRelu { alpha: 0.5 }, -2.0, -1.0),
            (Pointwise::Elu { alpha: 1.0 }, -1.0, -0.632_120_558_8),
            (
                Pointwise::Selu {
                    alpha: 1.5,
                    gamma: 2.0,
                },
                -1.0,
                -1.896_361_676_5,
            ),
            (
                Pointwise::Selu {
                    alpha: 1.5,
                    gamma: 2.0,
                },
                1.0,
                2.0,
            ),
            (Pointwise::Softplus, 0.0, std::f64::consts::LN_2),
            (Pointwise::Softplus, 1e4, 1e4),
            (Pointwise::Softsign, -3.0, -0.75),
            (Pointwise::Mish, 1.0, 0.865_098_388_3),
            (Pointwise::Mish, -1e4, 0.0),
            (Pointwise::Sigmoid, 1.0, 0.731_058_578_6),
            (
                Pointwise::HardSigmoid {
                    alpha: 0.25,
                    beta: 0.5,
                },
                1.0,
                0.75,
            ),
            (Pointwise::HardSwish, 1.0, 0.666_666_666_7),
            (Pointwise::Silu, -1.0, -0.268_941_421_4),
            (Pointwise::Tanh, 0.5, 0.462_117_157_3),
            (Pointwise::Gelu, 1.0, 0.841_344_746_1),
            (Pointwise::GeluTanh, 1.0, 0.841_191_990_6),
        ];
        for (function, x, expected) in cases {
            let found = function.eval(x);
            assert!(
                (found - expected).abs() < 1e-9,
                "{function:?}({x}) = {found}"
            );
        }
    }
}
