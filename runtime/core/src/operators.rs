//! Which operators are linked: all of them, or those that the one model of a firmware needs.
//!
//! A type says it, so that the linker drops what is not in it: a build script makes one of
//! [`Set::of`] its model, and [`Model<Needed>`](crate::Model) refuses every file that needs more.
//!
//! ```
//! use kiln_core::operators::{Operators, Set};
//! use kiln_core::{FormatError, Model};
//!
//! #[derive(Clone, Copy, Debug)]
//! struct Nothing;
//!
//! impl Operators for Nothing {
//!     const SET: Set = Set::NONE;
//! }
//!
//! let bytes = include_bytes!("../tests/tiny.kiln");
//! let all = Model::new(bytes)?;
//! assert!(Model::<Nothing>::with_operators(bytes).is_err());
//! assert!(Set::of(&all).bits() != 0);
//! # Ok::<(), FormatError>(())
//! ```

use crate::arch;
use crate::layer::Layer;
use crate::model::Model;
use crate::preprocess::{Color, Fit, Recipe};
use crate::target::Target;

/// What can be left out of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Operator {
    /// Convolutions by the plain loop: what no kernel of the target takes.
    PlainConv,
    /// Cortex-M: convolutions of one group with several pixels.
    Dense,
    /// Cortex-M: the same, with input channels that are no fours.
    Strips,
    /// Cortex-M: the same, with an odd number of output channels.
    Odd,
    /// Cortex-M: convolutions of one group with one pixel, whose values are gathered.
    Point,
    /// Cortex-M: the same, whose values are read where they lie.
    Straight,
    /// Cortex-M: the same, whose weights are read two at a time too.
    Twos,
    /// Cortex-M: the same, with output channels that are no fours.
    Few,
    /// Cortex-M: depthwise convolutions of three by three taps, moved by one.
    Pairs,
    /// Cortex-M: other depthwise convolutions.
    Depthwise,
    /// Cortex-M: depthwise convolutions and pools with channels that are no fours.
    Rest,
    /// Cortex-M: convolutions with outputs narrower than i8.
    Clamp,
    /// Sums, differences, products, by the plain loop where no other takes them.
    Binary,
    /// Tables.
    Table,
    /// Pools by the plain loop.
    PlainPool,
    /// Cortex-M: maxima.
    Maximum,
    /// Cortex-M: averages.
    Average,
    /// Cortex-M: the same, without a factor.
    Exact,
    /// Concat and Pad.
    Copy,
    /// Nearest neighbour.
    Resize,
    /// Pictures: the largest part of the model's shape.
    Crop,
    /// Pictures: the whole, with grey around it.
    Letterbox,
    /// Pictures: one channel of luma.
    Grey,
    /// Cortex-M: convolutions of one group with several pixels whose windows are read where they lie.
    Windows,
    /// Cortex-M: products with one number a channel.
    Product,
    /// Cortex-M: sums and differences of which all is done four at a time.
    Sum,
}

/// A set of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Set(u32);

impl Set {
    /// All.
    pub const EVERY: Self = Self(u32::MAX);
    /// None.
    pub const NONE: Self = Self(0);

    /// The set that [`bits`](Self::bits) gives for.
    pub const fn from_bits(bits: u32) -> Self {
        Self(bits)
    }

    /// For the source of a program.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// Whether an operator is in it.
    #[inline(always)]
    pub(crate) const fn has(self, operator: Operator) -> bool {
        self.0 >> operator as u8 & 1 == 1
    }

    /// Whether all of another set is in it.
    #[inline(always)]
    pub(crate) const fn has_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Pools of all kinds.
    pub(crate) const POOLS: Self = Self::NONE
        .with(Operator::PlainPool)
        .with(Operator::Maximum)
        .with(Operator::Average);

    /// Sums, differences and products of all kinds.
    pub(crate) const BINARIES: Self = Self::NONE.with(Operator::Binary).with(Operator::Sum);

    /// How a recipe fits pictures, where they are not stretched.
    pub(crate) const FITS: Self = Self::NONE.with(Operator::Crop).with(Operator::Letterbox);

    /// Whether something of another set is in it.
    #[inline(always)]
    pub(crate) const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// With all of another set.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// With one more.
    #[must_use]
    pub(crate) const fn with(self, operator: Operator) -> Self {
        Self(self.0 | 1 << operator as u8)
    }

    /// With one more, if so.
    #[must_use]
    pub(crate) const fn with_if(self, so: bool, operator: Operator) -> Self {
        if so { self.with(operator) } else { self }
    }

    /// What a model needs on the target that its file is for.
    pub fn of(model: &Model<'_>) -> Self {
        Self::on(model.target(), model)
    }

    /// What a model needs on a target, its file being for that one or another: plain loops, where the scratch that
    /// the file has is not what the target's kernels take.
    pub fn on(target: Target, model: &Model<'_>) -> Self {
        let layers = model.layers().fold(Self::NONE, |set, (_, layer)| {
            let more = match layer {
                Layer::Conv(conv) => arch::conv_needs(target, &conv),
                Layer::Binary(binary) => arch::binary_needs(target, &binary),
                Layer::Table(_) => Self::NONE.with(Operator::Table),
                Layer::Pool(pool) => arch::pool_needs(model.target(), &pool),
                Layer::Copy(_) => Self::NONE.with(Operator::Copy),
                Layer::Resize(_) => Self::NONE.with(Operator::Resize),
            };
            set.and(more)
        });
        let recipe = model.recipe();
        layers.and(recipe.map_or(Self::NONE, |recipe| Self::of_recipe(&recipe)))
    }

    /// What a recipe needs.
    pub(crate) fn of_recipe(recipe: &Recipe) -> Self {
        Self::NONE
            .with_if(recipe.fit == Fit::Crop, Operator::Crop)
            .with_if(recipe.fit == Fit::Letterbox, Operator::Letterbox)
            .with_if(recipe.color == Color::Grey, Operator::Grey)
    }
}

/// Says by a type which operators there are.
pub trait Operators: Copy + core::fmt::Debug {
    /// Them.
    const SET: Set;
}

/// All operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Every;

impl Operators for Every {
    const SET: Set = Set::EVERY;
}

#[cfg(test)]
mod tests {
    use std::vec;

    use super::*;
    use crate::format::{Problem, Target, View, check};
    use crate::layer::{Pool, PoolKind};
    use crate::testing::{Parts, tensor};
    use crate::window::Window;

    const NEEDED: [Operator; 7] = [
        Operator::PlainConv,
        Operator::Binary,
        Operator::Table,
        Operator::PlainPool,
        Operator::Copy,
        Operator::Resize,
        Operator::Letterbox,
    ];

    fn parts() -> Parts {
        let mut parts = Parts::every_layer();
        if let Some(recipe) = &mut parts.recipe {
            recipe.fit = Fit::Letterbox;
        }
        parts
    }

    #[test]
    fn a_model_is_refused_where_one_of_its_operators_is_not_there() {
        let bytes = parts().bytes();
        let needed = Set::of(&Model::new(&bytes).unwrap());
        let expected = NEEDED.into_iter().fold(Set::NONE, Set::with);
        assert_eq!(needed, expected);
        let view = View::new(&bytes).unwrap();
        assert!(check(&view, needed).is_ok());
        for operator in NEEDED {
            let less = Set::from_bits(needed.bits() & !Set::NONE.with(operator).bits());
            let error = check(&view, less).unwrap_err();
            assert_eq!(error.problem, Problem::Operator, "{operator:?}");
            let more = Set::from_bits(!Set::NONE.with(operator).bits());
            let error = check(&view, more).unwrap_err();
            assert_eq!(error.problem, Problem::Operator, "{operator:?}");
        }
    }

    #[derive(Clone, Copy, Debug)]
    struct Needed;

    impl Operators for Needed {
        const SET: Set = Set::NONE
            .with(Operator::PlainConv)
            .with(Operator::Binary)
            .with(Operator::Table)
            .with(Operator::PlainPool)
            .with(Operator::Copy)
            .with(Operator::Resize)
            .with(Operator::Letterbox);
    }

    #[test]
    fn with_what_it_needs_a_model_gives_the_same() {
        let bytes = parts().bytes();
        let every = Model::new(&bytes).unwrap();
        let needed = Model::<Needed>::with_operators(&bytes).unwrap();
        let golden = every.golden().next().unwrap();
        let mut arena = vec![0; needed.arena_bytes()];
        needed.draw_input(&mut arena, golden.seed).unwrap();
        let output = needed.run_in_place(&mut arena).unwrap();
        assert_eq!(output.values(), golden.logits);
        assert!(needed.layers().eq(every.layers()));
    }

    #[test]
    fn pools_of_cortex_m() {
        let pool = |kernel: [u16; 2], channels, kind| Pool {
            kind,
            input: tensor(0, [4, 6, channels], 0),
            output: tensor(
                96,
                [4 / u32::from(kernel[0]), 6 / u32::from(kernel[1]), channels],
                0,
            ),
            window: Window {
                kernel,
                stride: kernel,
                ..Window::default()
            },
            low: -128,
            high: 127,
        };
        let average = |fixed| PoolKind::Average {
            scales: [1.0; 2],
            count_include_pad: false,
            fixed,
        };
        let cases = [
            (pool([2, 2], 8, PoolKind::Max), &[Operator::Maximum][..]),
            (
                pool([2, 2], 3, PoolKind::Max),
                &[Operator::Maximum, Operator::Rest],
            ),
            (pool([2, 2], 8, average(9)), &[Operator::Average]),
            (
                pool([4, 6], 8, average(0)),
                &[Operator::Average, Operator::Exact],
            ),
            (pool([2, 2], 8, average(0)), &[Operator::PlainPool]),
        ];
        for (pool, operators) in cases {
            let expected = operators.iter().copied().fold(Set::NONE, Set::with);
            assert_eq!(
                arch::pool_needs(Target::CortexM3, &pool),
                expected,
                "{pool:?}"
            );
            let plain = Set::NONE.with(Operator::PlainPool);
            assert_eq!(arch::pool_needs(Target::Generic, &pool), plain);
        }
    }
}
