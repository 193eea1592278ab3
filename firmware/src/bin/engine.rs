//! The engine alone: a picture to a class, no link and no display. To see how much flash it takes, and that
//! it cannot panic.
#![no_std]
#![no_main]

use core::hint::black_box;
use core::panic::PanicInfo;

use cortex_m_rt::entry;
use kiln_core::preprocess::{PictureView, preprocess};
use kiln_core::{Class, Model};
use kiln_firmware::model::{self, Needed, Statics};

/// The most probable class of a picture of `SIDE` columns and rows. Not a part of the loop below, out of
/// which the compiler would move what it can.
#[inline(never)]
fn classify(statics: &mut Statics, rgb: &[u8]) -> Option<Class> {
    const SIDE: u32 = 128;
    let model = Model::<Needed>::with_operators(model::bytes()).ok()?;
    let arena = &mut statics.arena.0;
    let view = PictureView::new(SIDE, SIDE, rgb).ok()?;
    let input = model.input_mut(arena).ok()?;
    preprocess(view, &model.recipe()?, &mut statics.scratch, input).ok()?;
    model.quantize_pixels(arena).ok()?;
    let [best] = model.run_in_place(arena).ok()?.top();
    Some(best)
}

#[entry]
fn main() -> ! {
    static mut STATICS: Statics = Statics::new();
    static mut PICTURE: [u8; 128 * 128 * 3] = [0; 128 * 128 * 3];
    loop {
        black_box(classify(STATICS, black_box(PICTURE)));
    }
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
