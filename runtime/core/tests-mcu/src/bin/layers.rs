//! Runs the model at `KILN_MODEL` on its own golden vector, looks at each layer's output and at the logits,
//! and prints what each layer took in instructions, by the core's timer: in QEMU with `-icount shift=0` each
//! takes a nanosecond. `KILN_TICKS_PER_SECOND` is the timer's frequency, 25 MHz where it is not set.
#![no_std]
#![no_main]

use cortex_m::peripheral::SYST;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m_semihosting::{debug, hprintln};
use kiln_core::format::output_sum;
use kiln_core::layer::Layer;
use kiln_core::{Aligned, Model};
use panic_semihosting as _;

const BYTES: &[u8] = include_bytes!(env!("KILN_MODEL"));
static MODEL: Aligned<[u8; BYTES.len()]> = Aligned::of(BYTES);

/// Each takes a nanosecond.
fn instructions(ticks: u32) -> u64 {
    u64::from(ticks) * 1_000_000_000 / u64::from(TICKS_PER_SECOND)
}

const TICKS_PER_SECOND: u32 = match option_env!("KILN_TICKS_PER_SECOND") {
    None => 25_000_000,
    Some(text) => match u32::from_str_radix(text, 10) {
        Ok(number) => number,
        Err(_) => panic!("KILN_TICKS_PER_SECOND is no number"),
    },
};

/// Layers that there may be.
const MOST: usize = 128;

#[cortex_m_rt::entry]
fn main() -> ! {
    static mut ARENA: Aligned<[u8; Model::arena_len(BYTES)]> =
        Aligned([0; Model::arena_len(BYTES)]);
    let Some(mut core) = cortex_m::Peripherals::take() else {
        end(false);
    };
    core.SYST.set_clock_source(SystClkSource::Core);
    core.SYST.set_reload(0xff_ffff);
    core.SYST.clear_current();
    core.SYST.enable_counter();
    match run(&mut ARENA.0) {
        Some(right) => end(right),
        None => {
            hprintln!("no model with a golden vector");
            end(false)
        }
    }
}

fn end(good: bool) -> ! {
    loop {
        debug::exit(match good {
            true => debug::EXIT_SUCCESS,
            false => debug::EXIT_FAILURE,
        });
    }
}

fn run(arena: &mut [u8]) -> Option<bool> {
    let model = Model::new(&MODEL.0).ok()?;
    let golden = model.golden().next()?;
    let mut ticks = [0; MOST];
    let mut right = true;
    let mut sums = golden.sums();
    let mut look = |_: usize, layer: &Layer<'_>, output: &[u8]| {
        right &= Some(output_sum(layer, output)) == sums.next();
    };
    model.draw_input(arena, golden.seed).ok()?;
    model.run_with(arena, &mut look).ok()?;

    model.draw_input(arena, golden.seed).ok()?;
    let mut last = SYST::get_current();
    let mut count = |index: usize, _: &Layer<'_>, _: &[u8]| {
        let now = SYST::get_current();
        if let Some(ticks) = ticks.get_mut(index) {
            *ticks = last.wrapping_sub(now) & 0xff_ffff;
        }
        last = SYST::get_current();
    };
    model.run_with(arena, &mut count).ok()?;

    model.draw_input(arena, golden.seed).ok()?;
    let start = SYST::get_current();
    let output = model.run_in_place(arena).ok()?;
    let all = start.wrapping_sub(SYST::get_current()) & 0xff_ffff;
    right &= output.is(golden.logits);
    for ((name, layer), ticks) in model.layers().zip(ticks) {
        let name = name.get(name.len().saturating_sub(40)..).unwrap_or(name);
        let (kind, shape) = (kind(&layer), layer.output().shape);
        let (height, width, channels) = (shape.height, shape.width, shape.channels);
        hprintln!(
            "{} {}x{}x{} {} {} {}",
            kind,
            height,
            width,
            channels,
            layer.macs() as u32,
            instructions(ticks),
            name
        );
    }
    hprintln!("total {} right {}", instructions(all), right);
    Some(right)
}

fn kind(layer: &Layer<'_>) -> &'static str {
    match layer {
        Layer::Conv(conv) if conv.groups > 1 => "depthwise",
        Layer::Conv(conv) if conv.window.taps() == 1 => "point",
        Layer::Conv(_) => "conv",
        Layer::Binary(_) => "binary",
        Layer::Table(_) => "table",
        Layer::Pool(_) => "pool",
        Layer::Copy(_) => "copy",
        Layer::Resize(_) => "resize",
    }
}
