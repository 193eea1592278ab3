//! The engine alone: a picture to a class, no link and no display. To see how much flash it takes, and that
//! it cannot panic.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;

use cortex_m_rt::entry;
use kiln_core::preprocess::{PictureView, preprocess, scratch_len};
use kiln_core::{Class, Model};
use kiln_firmware::model::{self, Needed, Statics};

/// Columns and rows of the picture, and the most of the input.
const SIDE: u32 = 128;

/// The most probable class of a picture of `SIDE` columns and rows. Not a part of the loop below, out of
/// which the compiler would move what it can.
#[inline(never)]
fn classify(statics: &mut Statics, scratch: &mut [i32], rgb: &[u8]) -> Option<Class> {
    let model = Model::<Needed>::with_operators(model::bytes()).ok()?;
    let arena = &mut statics.arena.0;
    let view = PictureView::new(SIDE, SIDE, rgb).ok()?;
    let input = model.input_mut(arena).ok()?;
    preprocess(view, &model.recipe()?, scratch, input).ok()?;
    model.quantize_pixels(arena).ok()?;
    let [best] = model.run_in_place(arena).ok()?.top();
    Some(best)
}

#[entry]
fn main() -> ! {
    static mut STATICS: Statics = Statics::new();
    static mut SCRATCH: [i32; scratch_len(SIDE, SIDE, SIDE, SIDE)] =
        [0; scratch_len(SIDE, SIDE, SIDE, SIDE)];
    static mut PICTURE: [u8; 128 * 128 * 3] = [0; 128 * 128 * 3];
    loop {
        black_box(classify(STATICS, SCRATCH, black_box(PICTURE)));
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
