//! One `.kiln` model's latency on one thread: Kiln's side of `cargo xtask bench infer`.
//!
//! `infer_speed NET MODEL.kiln [MILLISECONDS]` prints a line of JSON: microseconds an inference, the
//! input copied in each time, as the median of many short measurements; milliseconds from the file
//! to the first answer; the process's greatest resident memory in KiB. With `--layers` it prints the
//! microseconds of each layer instead.

#![allow(unsafe_code)]

use std::error::Error;
use std::hint::black_box;
use std::time::{Duration, Instant};

use kiln_core::layer::Layer;
use kiln_core::{Aligned, Model};

/// Memory that starts where kernels want it.
type Line = Aligned<[u8; 64]>;

fn lines(len: usize) -> Vec<Line> {
    vec![Aligned([0; 64]); len.div_ceil(64)]
}

fn bytes(lines: &mut [Line]) -> &mut [u8] {
    // SAFETY: lines are made of bytes alone, and nothing is between them.
    unsafe { std::slice::from_raw_parts_mut(lines.as_mut_ptr().cast(), 64 * lines.len()) }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [net, path, rest @ ..] = &args[..] else {
        return Err("infer_speed NET MODEL.kiln [MILLISECONDS | --layers]".into());
    };
    let begin = Instant::now();
    let file = std::fs::read(path)?;
    let mut file_lines = lines(file.len());
    let model_bytes = bytes(&mut file_lines);
    model_bytes[..file.len()].copy_from_slice(&file);
    let model = Model::new(&model_bytes[..file.len()]).map_err(|error| error.to_string())?;
    let mut arena_lines = lines(model.arena_bytes());
    let arena = bytes(&mut arena_lines);
    let input: Vec<u8> = (0..model.input().shape.len())
        .map(|index| (index * 37 % 251) as u8)
        .collect();
    let mut run = || {
        model.input_mut(arena).unwrap().copy_from_slice(&input);
        black_box(model.run_in_place(black_box(arena)).unwrap().values());
    };
    run();
    let first = begin.elapsed();
    if rest.iter().any(|word| word == "--layers") {
        layers(&model, arena, &input);
        return Ok(());
    }
    let milliseconds = rest.first().map_or(Ok(300), |word| word.parse())?;
    let (mut repeat, mut times) = (1, Vec::new());
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(milliseconds) {
        let start = Instant::now();
        for _ in 0..repeat {
            run();
        }
        let each = start.elapsed().as_secs_f64() * 1e6 / f64::from(repeat);
        times.push(each);
        repeat = (200.0 / each).ceil().max(1.0) as u32;
    }
    times.sort_by(f64::total_cmp);
    println!(
        "{{\"side\": \"Kiln int8\", \"net\": \"{net}\", \"us\": {:.4}, \"best_us\": {:.4}, \
         \"first_ms\": {:.4}, \"peak_kib\": {}}}",
        times[times.len() / 2],
        times[0],
        first.as_secs_f64() * 1e3,
        peak()
    );
    Ok(())
}

/// The best of many runs for each layer.
fn layers(model: &Model<'_>, arena: &mut [u8], input: &[u8]) {
    let mut best = vec![f64::INFINITY; model.layers().count()];
    let mut names = vec![String::new(); best.len()];
    for _ in 0..3000 {
        model.input_mut(arena).unwrap().copy_from_slice(input);
        let mut last = Instant::now();
        let mut observe = |index: usize, layer: &Layer<'_>, _: &[u8]| {
            let now = Instant::now();
            best[index] = best[index].min((now - last).as_secs_f64() * 1e6);
            if names[index].is_empty() {
                let output = layer.output().shape;
                let kind = format!("{layer:?}");
                let kind = kind.split('(').next().unwrap_or_default();
                names[index] = format!(
                    "{kind} to {}x{}x{}",
                    output.height, output.width, output.channels
                );
            }
            last = Instant::now();
        };
        model.run_with(arena, &mut observe).unwrap();
    }
    for (name, best) in names.iter().zip(&best) {
        println!("{best:9.3} us  {name}");
    }
    println!("{:9.3} us  sum", best.iter().sum::<f64>());
}

/// KiB, where the system says.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    let word = line.and_then(|line| line.split_whitespace().nth(1));
    word.and_then(|word| word.parse().ok()).unwrap_or(0)
}
