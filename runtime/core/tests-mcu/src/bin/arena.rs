//! Runs the model at `KILN_MODEL` in an arena that is painted first: its last byte is written, and that of each
//! layer's scratch. No byte is asked for that no kernel of this core takes.
#![no_std]
#![no_main]

use cortex_m_semihosting::{debug, hprintln};
use kiln_core::layer::{Conv, Layer};
use kiln_core::{Aligned, Model, RunError, arch, ops};
use panic_semihosting as _;

const BYTES: &[u8] = include_bytes!(env!("KILN_MODEL"));
const LEN: usize = Model::arena_len(BYTES);
static MODEL: Aligned<[u8; BYTES.len()]> = Aligned::of(BYTES);

/// A byte that is written with its paint is found by the other.
const PAINTS: [u8; 2] = [0x5a, 0xa5];

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: Aligned<[u8; LEN]> = Aligned([0; LEN]);
    static mut BEFORE: Aligned<[u8; LEN]> = Aligned([0; LEN]);
    let good = Model::new(&MODEL.0)
        .is_ok_and(|model| run(&model, &mut ARENA.0, &mut BEFORE.0).unwrap_or(false));
    loop {
        debug::exit(match good {
            true => debug::EXIT_SUCCESS,
            false => debug::EXIT_FAILURE,
        });
    }
}

fn run(model: &Model<'_>, arena: &mut [u8], before: &mut [u8]) -> Option<bool> {
    let golden = model.golden().next()?;
    let mut used = 0;
    for paint in PAINTS {
        arena.fill(paint);
        model.draw_input(arena, golden.seed).ok()?;
        let right = model.run_in_place(arena).ok()?.is(golden.logits);
        used = used.max(written(arena, paint));
        if !right {
            return None;
        }
    }
    let mut whole = used == LEN;
    hprintln!("arena: {} of {} bytes", used, LEN);

    model.draw_input(arena, golden.seed).ok()?;
    for (name, layer) in model.layers() {
        if let Layer::Conv(conv) = &layer {
            before.copy_from_slice(arena);
            let (len, mut used) = (conv.scratch.len as usize, 0);
            for paint in PAINTS {
                arena.copy_from_slice(before);
                scratch(conv, arena)?.fill(paint);
                kernel_or_plain(&layer, arena)?;
                used = used.max(written(scratch(conv, arena)?, paint));
            }
            if used != len {
                hprintln!("{}: scratch {} of {} bytes", name, used, len);
                whole = false;
            }
        } else {
            kernel_or_plain(&layer, arena)?;
        }
    }
    // Where it begins elsewhere, it is not used at all.
    let refused = (1..4).all(|skip| {
        let elsewhere = arena.get_mut(skip..).unwrap_or_default();
        model.run_in_place(elsewhere).err() == Some(RunError::Alignment)
    });
    Some(whole && refused)
}

/// Bytes up to the last one that is not the paint.
fn written(bytes: &[u8], paint: u8) -> usize {
    bytes
        .iter()
        .rposition(|&byte| byte != paint)
        .map_or(0, |at| at + 1)
}

fn scratch<'a>(conv: &Conv<'_>, arena: &'a mut [u8]) -> Option<&'a mut [u8]> {
    let rest = arena.get_mut(conv.scratch.offset as usize..)?;
    rest.get_mut(..conv.scratch.len as usize)
}

fn kernel_or_plain(layer: &Layer<'_>, arena: &mut [u8]) -> Option<()> {
    match layer {
        Layer::Conv(conv) if arch::conv(conv, arena) => Some(()),
        Layer::Conv(conv) => ops::conv::run(conv, arena),
        Layer::Pool(pool) => ops::pool::run(pool, arena),
        Layer::Binary(binary) => ops::binary::run(binary, arena),
        Layer::Table(table) => ops::table::run(table, arena),
        Layer::Copy(copy) => ops::copy::run(copy, arena),
        Layer::Resize(resize) => ops::resize::run(resize, arena),
    }
}
