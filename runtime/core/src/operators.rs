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

/// What can be left out of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Operator {
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
    /// Sums, differences, products.
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
    pub const fn has(self, operator: Operator) -> bool {
        self.0 >> operator as u8 & 1 == 1
    }

    /// Whether all of another set is in it.
    #[inline(always)]
    pub const fn has_all(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Pools of all kinds.
    pub(crate) const POOLS: Self = Self::NONE
        .with(Operator::PlainPool)
        .with(Operator::Maximum)
        .with(Operator::Average);

    /// Whether something of another set is in it.
    #[inline(always)]
    pub(crate) const fn has_any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// With one more.
    #[must_use]
    pub const fn with(self, operator: Operator) -> Self {
        Self(self.0 | 1 << operator as u8)
    }

    /// With one more, if so.
    #[must_use]
    pub(crate) const fn with_if(self, so: bool, operator: Operator) -> Self {
        if so { self.with(operator) } else { self }
    }

    /// What a model needs on the target that its file is for.
    pub fn of(model: &Model<'_>) -> Self {
        let layers = model.layers().fold(Self::NONE, |set, (_, layer)| {
            let more = match layer {
                Layer::Conv(conv) => arch::conv_needs(model.target(), &conv),
                Layer::Binary(_) => Self::NONE.with(Operator::Binary),
                Layer::Table(_) => Self::NONE.with(Operator::Table),
                Layer::Pool(pool) => arch::pool_needs(model.target(), &pool),
                Layer::Copy(_) => Self::NONE.with(Operator::Copy),
                Layer::Resize(_) => Self::NONE.with(Operator::Resize),
            };
            Self(set.0 | more.0)
        });
        let recipe = model.recipe();
        Self(layers.0 | recipe.map_or(0, |recipe| Self::of_recipe(&recipe).0))
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
