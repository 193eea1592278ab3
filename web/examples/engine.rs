//! Writes the engine for the page to a file: `cargo run -p kiln-web --example engine kiln.wasm`. With
//! the files of web/page beside it, any server serves the page.

use std::{env, error, fs};

use kiln_web::engine;

fn main() -> Result<(), Box<dyn error::Error>> {
    let out = env::args_os().nth(1).ok_or("name a file to write")?;
    let bytes = engine::build(&mut || eprintln!("building the engine for the page"))?;
    fs::write(out, &bytes)?;
    println!("{} bytes", bytes.len());
    Ok(())
}
