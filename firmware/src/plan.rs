//! What a model and a board need of each other's memory, in bytes. The build script and the firmware
//! both ask here, so that a model that does not fit is refused with numbers before anything is built.

use kiln_core::Model;
use kiln_core::operators::Operators;
use kiln_core::preprocess::scratch_len;

/// What the app is given for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The model's file, in flash.
    pub model: usize,
    /// The arena, and in it the [`Desk`]; more than the model's where the desk does not fit beside the input.
    pub arena: usize,
    /// The number of layers: a word of time for each.
    pub layers: usize,
}

impl Plan {
    /// For pictures of at most `largest` columns and rows.
    pub fn of<O: Operators>(model: &Model<'_, O>, largest: [u16; 2]) -> Self {
        let desk = Desk::of(model, largest);
        Self {
            model: model.file_bytes(),
            arena: model.arena_bytes().max(desk.at + desk.len()),
            layers: model.layer_count(),
        }
    }

    /// Bytes of RAM, without frame buffer, link and stack.
    pub const fn ram(&self) -> usize {
        self.arena + self.layers * 4
    }
}

/// Where a picture is preprocessed: a part of the arena that the input leaves free, and that nothing else needs
/// before the model runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Desk {
    /// The first byte in the arena.
    pub at: usize,
    /// Words of scratch, which come first.
    pub scratch: usize,
    /// Bytes of a row of a picture, in RGB.
    pub row: usize,
}

impl Desk {
    /// For pictures of at most `width` columns and `height` rows.
    pub fn of<O: Operators>(model: &Model<'_, O>, [width, height]: [u16; 2]) -> Self {
        let Some(recipe) = model.recipe() else {
            return Self::default();
        };
        let [width, height] = [width, height].map(u32::from);
        let side = (u32::from(recipe.width), u32::from(recipe.height));
        let desk = Self {
            at: 0,
            scratch: scratch_len(width, height, side.0, side.1),
            row: width as usize * 3,
        };
        let (start, len) = (model.input().offset as usize, model.input().shape.len());
        match desk.len() <= start {
            true => desk,
            false => Self {
                at: start + len,
                ..desk
            },
        }
    }

    const fn len(&self) -> usize {
        self.scratch_len() + self.row
    }

    /// Bytes of the scratch, with what it takes to begin it at a word.
    pub const fn scratch_len(&self) -> usize {
        match self.scratch {
            0 => 0,
            words => 3 + words * 4,
        }
    }
}

/// What a board takes pictures of and shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The name of the board: that of its feature, its bin and its memory map.
    pub name: &'static str,
    /// The most columns and rows of a picture. Rows cost nothing, since they are never kept.
    pub largest: [u16; 2],
    /// The frame buffer's bytes.
    pub frame: usize,
}

/// The boards.
pub const BOARDS: [Limits; 6] = [
    LM3S6965EVB,
    MPS2_AN386,
    MPS2_AN500,
    MPS2_AN505,
    MPS3_AN547,
    RP2350,
];

/// Cortex-M3 with 64 KB of RAM and an OLED display of 128×64 pixels in 16 greys.
pub const LM3S6965EVB: Limits = Limits {
    name: "lm3s6965evb",
    largest: [320, 4096],
    frame: 128 * 64 / 2,
};
/// Cortex-M4F.
pub const MPS2_AN386: Limits = colour("mps2-an386");
/// Cortex-M7.
pub const MPS2_AN500: Limits = colour("mps2-an500");
/// Cortex-M33.
pub const MPS2_AN505: Limits = colour("mps2-an505");
/// Cortex-M55.
pub const MPS3_AN547: Limits = colour("mps3-an547");

/// Cortex-M33 with 512 KB of RAM: a real board.
pub const RP2350: Limits = colour("rp2350");

/// A board with a display of 240×240 colours.
const fn colour(name: &'static str) -> Limits {
    Limits {
        name,
        largest: [2048, 4096],
        frame: 240 * 240 * 2,
    }
}

/// RAM of the link and of all else that does not depend on the model: a little less than there is, so that what
/// is refused by it does not fit in any case. The linker has the last word.
pub const OTHER_RAM: usize = 1_792;

/// Flash of the program without the model: as careful.
pub const PROGRAM: usize = 50_000;
