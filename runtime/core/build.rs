//! Says which of Arm's instruction sets for microcontrollers the target has: stable Rust tells only
//! its name.
//!
//! `kiln_dsp`: the DSP extension (Cortex-M4, M7, M33 and above). `kiln_v6` and `kiln_v7`: what M0+ and
//! M3 have, without it. `kiln_v8`: Armv8-M, which has it as an option. `kiln_mve`: vectors (Cortex-M55),
//! where flags ask for such a processor and floats are passed in registers: then the FPU is on, which
//! vectors take too.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo::rustc-check-cfg=cfg(kiln_dsp, kiln_mve, kiln_v6, kiln_v7, kiln_v8)");
    let target = env::var("TARGET").unwrap_or_default();
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    if target.starts_with("thumbv7em") || target.starts_with("thumbv8m.main") {
        println!("cargo::rustc-cfg=kiln_dsp");
    }
    if target.starts_with("thumbv6m") {
        println!("cargo::rustc-cfg=kiln_v6");
    }
    if target.starts_with("thumbv7m") {
        println!("cargo::rustc-cfg=kiln_v7");
    }
    if target.starts_with("thumbv8m.main") {
        println!("cargo::rustc-cfg=kiln_v8");
    }
    let vectors =
        flags.contains("target-cpu=cortex-m55") || flags.contains("target-cpu=cortex-m85");
    if vectors && target.ends_with("eabihf") {
        println!("cargo::rustc-cfg=kiln_mve");
    }
}
