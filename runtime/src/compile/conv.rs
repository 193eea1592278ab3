//! A convolution's constants: what zero points add goes into the bias, scales become multipliers.

use kiln_core::packing::Packing;
use kiln_core::tensor::Tensor;
use kiln_core::window::Window;
use kiln_core::{Target, arch, layer};

use super::CompileError;
use super::target::packing_for;
use crate::graph::Quant;
use crate::qgraph::QConv;

/// Weights from which on a loop of their own is worth its flash.
const MANY: usize = 1024;

/// A convolution as the engine has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Conv<'g> {
    pub(super) window: Window,
    pub(super) groups: usize,
    /// In the order of [`QConv::weights`].
    pub(super) weights: &'g [i8],
    /// Empty where all are 0.
    pub(super) zero_points: &'g [i8],
    /// With what the zero points add.
    pub(super) bias: Vec<i32>,
    pub(super) multipliers: Vec<f32>,
    pub(super) limits: [i8; 2],
    /// Between which sums each channel's accumulator stays.
    pub(super) reach: Vec<(i32, i32)>,
}

/// What surrounds a convolution.
pub(super) struct Around<'a> {
    pub(super) name: &'a str,
    pub(super) input: Quant,
    pub(super) output: Quant,
    /// The least and greatest value of the input.
    pub(super) range: [i8; 2],
    /// Of the output.
    pub(super) limits: [i8; 2],
}

impl<'g> Conv<'g> {
    /// The engine's layer without its constants, to be asked about its geometry.
    pub(super) fn geometry(&self, input: Tensor, output: Tensor) -> layer::Conv<'static> {
        layer::Conv {
            input,
            output,
            window: self.window,
            groups: u32::try_from(self.groups).unwrap_or(u32::MAX),
            packing: Packing::Plain,
            weights: &[],
            weight_zero_points: match self.zero_points {
                [] => &[],
                _ => &[0],
            },
            bias: &[],
            rounding: layer::Rounding {
                multipliers: &[],
                fixed: &[],
                low: self.limits[0],
                high: self.limits[1],
            },
            scratch: layer::Scratch::default(),
        }
    }

    /// The order of the weights that a target's inner loop wants, where they fit in it.
    pub(super) fn packing(&self, target: Target, geometry: &layer::Conv<'_>) -> Packing {
        let taps = Packing::taps(geometry.kernel_shape());
        match self.weights.len() >= MANY
            && arch::takes_twos_for(target, geometry)
            && Packing::twos_hold(self.weights, taps, &self.reach)
        {
            true => Packing::Twos,
            false => packing_for(target, geometry),
        }
    }

    /// Lengths must have been checked.
    pub(super) fn new(conv: &'g QConv, around: &Around<'_>) -> Result<Self, CompileError> {
        let channels = conv.bias.len();
        let taps = conv.weights.len() / channels.max(1);
        let mut lowered = Self {
            window: conv.window,
            groups: conv.groups,
            weights: &conv.weights,
            zero_points: match conv.zero_points.iter().all(|&zero_point| zero_point == 0) {
                true => &[],
                false => &conv.zero_points,
            },
            bias: Vec::with_capacity(channels),
            multipliers: Vec::with_capacity(channels),
            limits: around.limits,
            reach: Vec::with_capacity(channels),
        };
        for (channel, weights) in conv.weights.chunks_exact(taps.max(1)).enumerate() {
            let error = |sum| CompileError::Overflow {
                layer: around.name.into(),
                channel,
                sum,
            };
            let within = |sum: i64| i32::try_from(sum).map_err(|_| error(sum));
            let (low, high) = reach(conv, channel, weights, around);
            let zero_point = i64::from(conv.zero_points[channel]);
            let weights = weights.iter().map(|&w| i64::from(w) - zero_point);
            let shift = i64::from(around.input.zero_point) * weights.sum::<i64>();
            lowered.reach.push((within(low)?, within(high)?));
            lowered
                .bias
                .push(within(i64::from(conv.bias[channel]) - shift)?);
            lowered
                .multipliers
                .push(multiplier(conv.scales[channel], around)?);
        }
        Ok(lowered)
    }
}

/// The least and greatest sum that any input within its range gives. Padded taps add nothing.
fn reach(conv: &QConv, channel: usize, weights: &[i8], around: &Around<'_>) -> (i64, i64) {
    let zero = i64::from(around.input.zero_point);
    let padded = conv.window.padding != [0; 4];
    let [low, high] = around.range.map(|end| i64::from(end) - zero);
    let (low, high) = match padded {
        true => (low.min(0), high.max(0)),
        false => (low, high),
    };
    let bias = i64::from(conv.bias[channel]);
    let zero_point = i64::from(conv.zero_points[channel]);
    weights.iter().fold((bias, bias), |(least, greatest), &w| {
        let w = i64::from(w) - zero_point;
        let (a, b) = (w * low, w * high);
        (least + a.min(b), greatest + a.max(b))
    })
}

/// `f32(f32(input scale * weight scale) / output scale)`.
pub(super) fn multiplier(scale: f32, around: &Around<'_>) -> Result<f32, CompileError> {
    let multiplier = around.input.scale * scale / around.output.scale;
    if !multiplier.is_finite() || scale < 0.0 {
        let problem = format!(
            "a multiplier of {multiplier} from scales {}, {scale} and {}: quantize it again",
            around.input.scale, around.output.scale
        );
        return Err(CompileError::layer(around.name, problem));
    }
    // So small that every sum below 2^31 becomes 0, as with 0 itself.
    Ok(multiplier.max(f32::MIN_POSITIVE))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quant(scale: f32, zero_point: i8) -> Quant {
        Quant {
            scale,
            zero_point,
            unsigned: true,
        }
    }

    fn around(range: [i8; 2]) -> Around<'static> {
        Around {
            name: "conv",
            input: quant(0.5, -3),
            output: quant(0.25, 0),
            range,
            limits: [-128, 127],
        }
    }

    fn conv() -> QConv {
        QConv {
            window: Window::default(),
            groups: 1,
            weights: vec![10, -20, 3, 4],
            scales: vec![0.125, 0.0],
            zero_points: vec![0, 0],
            bias: vec![7, -8],
            clamp: None,
        }
    }

    #[test]
    fn zero_points_go_into_the_bias() {
        let mut conv = conv();
        let lowered = Conv::new(&conv, &around([-128, 127])).unwrap();
        assert_eq!(lowered.bias, [7 + 3 * -10, -8 + 3 * 7]);
        assert_eq!(lowered.multipliers, [0.25, f32::MIN_POSITIVE]);
        // x + 3 is within -125..=130.
        assert_eq!(lowered.reach[0], (7 - 1250 - 2600, 7 + 1300 + 2500));
        assert!(lowered.zero_points.is_empty());
        conv.zero_points = vec![1, 0];
        let lowered = Conv::new(&conv, &around([-3, 127])).unwrap();
        assert_eq!(lowered.bias[0], 7 + 3 * (9 - 21));
        assert_eq!(lowered.zero_points, [1, 0]);
        assert_eq!(lowered.reach[0], (7 - 21 * 130, 7 + 9 * 130));
        // Every sum that the engine can make is within reach.
        for (x, y) in [(-3, -3), (-3, 127), (127, -3), (5, 100)] {
            let sum = lowered.bias[0] + x * 10 - y * 20 - (x + y);
            assert!(lowered.reach[0].0 <= sum && sum <= lowered.reach[0].1);
        }
        conv.window.padding = [1; 4];
        conv.zero_points = vec![0, 0];
        let lowered = Conv::new(&conv, &around([50, 127])).unwrap();
        assert_eq!(lowered.reach[1], (-8, -8 + 7 * 130));
    }

    /// Two weights in 16 bits, where that is possible, on cores that read them.
    #[test]
    fn weights_that_fit_are_read_two_at_a_time() {
        let of = |channels| Tensor {
            shape: kiln_core::tensor::Shape::new(1, 1, channels),
            ..Tensor::default()
        };
        let packing = |conv: &QConv, target| {
            let lowered = Conv::new(conv, &around([-128, 127])).unwrap();
            let channels = conv.weights.len() as u32 / 2;
            lowered.packing(target, &lowered.geometry(of(channels), of(2)))
        };
        let conv = QConv {
            weights: [-127, -1, 3, 4, -128, 0, 5, 6].repeat(MANY / 8 + 1),
            ..conv()
        };
        for (target, expected) in [
            (Target::CortexM0, Packing::Twos),
            (Target::CortexM3, Packing::Quads),
            (Target::CortexM4, Packing::Twos),
            (Target::CortexM55, Packing::Quads),
            (Target::Generic, Packing::Plain),
        ] {
            assert_eq!(packing(&conv, target), expected, "{target:?}");
        }
        // 515 are no fours, -128 has none below it, sums are of 24 bits, and few are not worth it.
        let mut others = [conv.clone(), conv.clone(), conv.clone(), conv.clone()];
        others[0].weights.truncate(MANY + 6);
        others[1].weights[5] = -1;
        others[2].bias[1] = 1 << 23;
        others[3].weights.truncate(MANY - 8);
        for conv in others {
            let quads = packing(&conv, Target::CortexM4);
            assert_eq!(quads, Packing::Quads, "{conv:?}");
        }
    }

    #[test]
    fn what_leaves_32_bits_is_refused() {
        let mut conv = conv();
        conv.bias[1] = i32::MAX - 100;
        let error = Conv::new(&conv, &around([-128, 127])).unwrap_err();
        let sum = i64::from(i32::MAX) - 100 + 7 * 130;
        let expected = CompileError::Overflow {
            layer: "conv".into(),
            channel: 1,
            sum,
        };
        assert_eq!(error, expected);
        conv.bias[1] = 0;
        conv.scales[0] = f32::MAX;
        let mut large = around([-128, 127]);
        large.input.scale = 1e3;
        assert!(
            Conv::new(&conv, &large)
                .unwrap_err()
                .to_string()
                .contains("multiplier")
        );
    }
}
