//! A float model's latency by tract on one thread: tract's side of `cargo xtask bench infer`.
//!
//! `tract_speed NET MODEL.onnx [MILLISECONDS]` prints the line of JSON that Kiln's side prints.

use std::error::Error;
use std::hint::black_box;
use std::path::Path;
use std::time::{Duration, Instant};

use kiln_runtime::float::FloatModel;

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [net, path, rest @ ..] = &args[..] else {
        return Err("tract_speed NET MODEL.onnx [MILLISECONDS]".into());
    };
    let begin = Instant::now();
    let model = FloatModel::load(Path::new(path))?;
    let input: Vec<f32> = (0..model.shape().iter().product::<usize>())
        .map(|index| (index * 37 % 251) as f32 / 251.0)
        .collect();
    model.run(&input)?;
    let first = begin.elapsed();
    let milliseconds = rest.first().map_or(Ok(300), |word| word.parse())?;
    let mut times = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(milliseconds) {
        let start = Instant::now();
        black_box(model.run(black_box(&input))?);
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find(|line| line.starts_with("VmHWM"));
    let peak = peak.and_then(|line| line.split_whitespace().nth(1));
    println!(
        "{{\"side\": \"tract float\", \"net\": \"{net}\", \"us\": {:.4}, \"best_us\": {:.4}, \
         \"first_ms\": {:.4}, \"peak_kib\": {}}}",
        times[times.len() / 2],
        times[0],
        first.as_secs_f64() * 1e3,
        peak.unwrap_or("0")
    );
    Ok(())
}
