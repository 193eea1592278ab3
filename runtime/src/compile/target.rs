//! What each target wants: packing of weights, alignment, which tensors may share bytes.
//!
//! Every engine runs the file of every target: its plain loops read all packings. The targets
//! differ in how fast that is where, and in how much memory it takes:
//!
//! | target | offsets | constants | tensors that share bytes | fixed multipliers | features stay |
//! |---|---|---|---|---|---|
//! | generic | 1 | 4 | in place | no | no |
//! | x86-64, aarch64, wasm32 | 16 | 64 | in place | no | no |
//! | cortex-m55 | 4 | 16 | overlapping | yes | yes |
//! | other Cortex-M | 4 | 4 | overlapping | yes | yes |
//!
//! x86-64, aarch64 and wasm32 take weights in blocks; Cortex-M in quads and lanes, all cores the same, each
//! with the scratch that its own kernels take: another core with less than it wants leaves the layer to the
//! plain loop.

use std::str::FromStr;

use kiln_core::layer::Conv;
use kiln_core::packing::Packing;
use kiln_core::{Target, arch};

/// Which tensors may share bytes while both are needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sharing {
    /// None.
    Apart,
    /// Tables, sums, differences and products may write over an input.
    InPlace,
    /// Also convolutions, pools and resizes may write over rows of their input that they are done
    /// with. They must go through their output in NHWC order, and have read what a pixel takes, and all
    /// before it, when they write it: `kiln_core::ops` says it to the channel.
    Overlapping,
}

/// What one target wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wants {
    /// Activations start at multiples of this.
    pub alignment: usize,
    /// Weights start at multiples of this, or of what their packing asks for if that is more; other
    /// constants at multiples of 4.
    pub constants: usize,
    /// Which tensors may share bytes.
    pub sharing: Sharing,
    /// Whether multipliers are given in integers too where the result is the same.
    pub fixed: bool,
    /// Whether what a last global pool reads stays in the arena where that costs nothing: boards make class
    /// activation maps of it ([`kiln_core::explain::Maps::levels`]), for which others have memory.
    pub features: bool,
}

/// What a target wants.
pub const fn wants(target: Target) -> Wants {
    match target {
        Target::Generic => Wants {
            alignment: 1,
            constants: 4,
            sharing: Sharing::InPlace,
            fixed: false,
            features: false,
        },
        Target::X86_64 | Target::Aarch64 | Target::Wasm32 => Wants {
            alignment: 16,
            constants: 64,
            sharing: Sharing::InPlace,
            fixed: false,
            features: false,
        },
        Target::CortexM0
        | Target::CortexM3
        | Target::CortexM4
        | Target::CortexM7
        | Target::CortexM33
        | Target::CortexM55 => Wants {
            alignment: 4,
            constants: if matches!(target, Target::CortexM55) {
                16
            } else {
                4
            },
            sharing: Sharing::Overlapping,
            fixed: true,
            features: true,
        },
    }
}

/// The order of the weights that a target's inner loop for this convolution wants. Of the layer the
/// geometry counts, not the constants.
pub fn packing_for(target: Target, conv: &Conv<'_>) -> Packing {
    let suits = Packing::blocks_suit(conv.kernel_shape(), &conv.window);
    let symmetric = conv.weight_zero_points.is_empty();
    match target {
        Target::X86_64 | Target::Aarch64 | Target::Wasm32 if suits && symmetric => Packing::Blocks,
        Target::CortexM0
        | Target::CortexM3
        | Target::CortexM4
        | Target::CortexM7
        | Target::CortexM33
        | Target::CortexM55 => arch::cortex_m_packing(conv),
        _ => Packing::Plain,
    }
}

/// The bytes that a target's inner loop for this convolution, with its packing and its tensors where they lie,
/// wants while it runs.
pub fn scratch_for(target: Target, conv: &Conv<'_>) -> usize {
    match target {
        Target::Generic => 0,
        _ => arch::scratch_len_for(target, conv),
    }
}

/// The same wherever the tensors lie.
pub fn most_scratch_for(target: Target, conv: &Conv<'_>) -> usize {
    match target {
        Target::Generic => 0,
        _ => arch::most_scratch_for(target, conv),
    }
}

/// A target by its name on the command line: those of [`Target::name`], `host` for the machine that
/// this runs on, and `cortex-m0plus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetName(pub Target);

/// What a target may be called.
pub fn target_names() -> impl Iterator<Item = &'static str> {
    let names = Target::ALL.into_iter().map(Target::name);
    ["host", "cortex-m0plus"].into_iter().chain(names)
}

/// The target of the machine that this runs on.
pub const fn host() -> Target {
    if cfg!(target_arch = "x86_64") {
        Target::X86_64
    } else if cfg!(target_arch = "aarch64") {
        Target::Aarch64
    } else if cfg!(target_arch = "wasm32") {
        Target::Wasm32
    } else {
        Target::Generic
    }
}

impl FromStr for TargetName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let target = match name {
            "host" => Some(host()),
            "cortex-m0plus" => Some(Target::CortexM0),
            _ => Target::ALL.into_iter().find(|target| target.name() == name),
        };
        target.map(Self).ok_or_else(|| {
            let known: Vec<&str> = target_names().collect();
            format!("no target `{name}`: it is one of {}", known.join(", "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A target whose kernels are not given what they read would be slow, and nobody would see why.
    #[test]
    fn targets_with_kernels_get_the_weights_that_they_read() {
        use kiln_core::layer::Rounding;
        use kiln_core::tensor::{Shape, Tensor};
        let tensor = |channels| Tensor {
            shape: Shape::new(8, 8, channels),
            ..Tensor::default()
        };
        let rounding = Rounding {
            multipliers: &[],
            fixed: &[],
            low: -128,
            high: 127,
        };
        for target in Target::ALL {
            let mut conv = Conv {
                input: tensor(24),
                output: tensor(32),
                window: Default::default(),
                groups: 1,
                packing: Packing::Plain,
                weights: &[],
                weight_zero_points: &[],
                bias: &[],
                rounding,
                scratch: Default::default(),
            };
            conv.packing = packing_for(target, &conv);
            let plain = target == Target::Generic;
            assert_eq!(conv.packing == Packing::Plain, plain, "{target:?}");
            assert_eq!(scratch_for(target, &conv) == 0, plain, "{target:?}");
        }
    }

    #[test]
    fn every_name_is_understood() {
        for name in target_names() {
            assert!(name.parse::<TargetName>().is_ok(), "{name}");
        }
        assert_eq!("host".parse(), Ok(TargetName(host())));
        assert_eq!("cortex-m4".parse(), Ok(TargetName(Target::CortexM4)));
        let error = "cortex-m9".parse::<TargetName>().unwrap_err();
        assert!(error.contains("cortex-m9") && error.contains("cortex-m55"));
    }
}
