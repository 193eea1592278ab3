//! Resize and Upsample to the nearest, by whole factors.

use kiln_core::tensor::Shape;

use super::join::axis_at;
use crate::graph::{Axis, Op};
use crate::load::call::{Call, Problem, Slot};
use crate::load::walk::{Outcome, Walk};

/// Resize and Upsample.
pub fn resize<'f>(walk: &mut Walk<'f>, call: &Call<'f>) -> Outcome {
    let view = call.view(0)?.clone();
    let sizes = view.sizes();
    let mut factors = [1u32; 2];
    let mut dims = view.dims.clone();
    for (dim, scale) in scales(call, &sizes)?.into_iter().enumerate() {
        if scale == 1.0 {
            continue;
        }
        let axis = axis_at(&view, dim)?;
        let factor = factor(call, sizes[dim], scale)?;
        match axis {
            Axis::Rows => factors[0] = factor,
            Axis::Columns => factors[1] = factor,
            Axis::Channels => return Err(Problem::new("it resizes channels", "resize space")),
        }
        dims[dim] = vec![axis];
    }
    if factors == [1; 2] {
        return Ok(Slot::View(view));
    }
    let [down, across] = factors;
    let shape = Shape {
        height: view.shape.height.saturating_mul(down),
        width: view.shape.width.saturating_mul(across),
        ..view.shape
    };
    let output = walk.emit(call, Op::Resize(factors), &[&view], shape, dims)?;
    Ok(Slot::View(output))
}

/// The scale of each of the file's axes.
fn scales(call: &Call<'_>, sizes: &[usize]) -> Result<Vec<f64>, Problem> {
    let with_roi = call.node.op_type == "Resize" && call.opset >= 11;
    let at = if with_roi { 2 } else { 1 };
    let given = match call.attribute("scales") {
        Some(attribute) => attribute.floats.clone(),
        None => match call.optional(at)? {
            Some(constant) => constant.as_f32().unwrap_or_default().to_vec(),
            None => vec![],
        },
    };
    let mut scales: Vec<f64> = given.into_iter().map(f64::from).collect();
    let axes: Vec<usize> = match call.ints("axes") {
        None => (0..sizes.len()).collect(),
        Some(axes) => {
            let rank = sizes.len() as i64;
            let positive = |axis: &i64| if *axis < 0 { axis + rank } else { *axis };
            let axes = axes
                .iter()
                .map(positive)
                .map(|axis| usize::try_from(axis).ok());
            let axes: Option<Vec<usize>> = axes.collect();
            axes.filter(|axes| axes.iter().all(|axis| *axis < sizes.len()))
                .ok_or_else(|| Problem::broken("its axes"))?
        }
    };
    if scales.is_empty()
        && let Some(wanted) = call.list("", 3)?
    {
        if call.text("keep_aspect_ratio_policy", "stretch") != "stretch" {
            return Err(Problem::new("keep_aspect_ratio_policy", "give scales"));
        }
        let pairs = wanted.iter().zip(&axes);
        scales = pairs
            .map(|(wanted, axis)| *wanted as f64 / sizes[*axis] as f64)
            .collect();
    }
    if scales.len() != axes.len() {
        return Err(Problem::broken(format!(
            "{} scales for {} axes",
            scales.len(),
            axes.len()
        )));
    }
    let mut all = vec![1.0; sizes.len()];
    for (scale, axis) in scales.iter().zip(axes) {
        all[axis] = *scale;
    }
    Ok(all)
}

/// The whole factor by which an axis grows, if each output is the input at its place divided by it.
fn factor(call: &Call<'_>, size: usize, scale: f64) -> Result<u32, Problem> {
    let mode = call.text("mode", "nearest");
    let whole = scale.fract() == 0.0 && (1.0..=1024.0).contains(&scale) && size < 1 << 16;
    if mode != "nearest" || !whole {
        return Err(Problem::new(
            format!("a Resize by {scale}, {mode}"),
            "use nearest neighbour and whole factors",
        ));
    }
    let old = call.opset < 11 || call.node.op_type == "Upsample";
    let (transform, rounding) = match old {
        true => ("asymmetric", "floor"),
        false => (
            call.text("coordinate_transformation_mode", "half_pixel"),
            call.text("nearest_mode", "round_prefer_floor"),
        ),
    };
    let output = size * scale as usize;
    let exact = (0..output).all(|at| {
        let source = source(transform, at as f64, scale, size as f64, output as f64);
        source.and_then(|source| rounded(rounding, source, size)) == Some(at / scale as usize)
    });
    if !exact {
        return Err(Problem::new(
            format!("a Resize by {transform} and {rounding}"),
            "use asymmetric and floor",
        ));
    }
    Ok(scale as u32)
}

/// Where in the input an output lies, by ONNX's formulas.
fn source(transform: &str, at: f64, scale: f64, size: f64, output: f64) -> Option<f64> {
    Some(match transform {
        "asymmetric" => at / scale,
        "half_pixel" | "half_pixel_symmetric" => (at + 0.5) / scale - 0.5,
        "pytorch_half_pixel" if output > 1.0 => (at + 0.5) / scale - 0.5,
        "pytorch_half_pixel" => 0.0,
        "tf_half_pixel_for_nn" => (at + 0.5) / scale,
        "align_corners" if output > 1.0 => at * (size - 1.0) / (output - 1.0),
        "align_corners" => 0.0,
        _ => return None,
    })
}

fn rounded(rounding: &str, source: f64, size: usize) -> Option<usize> {
    let rounded = match rounding {
        "floor" => source.floor(),
        "ceil" => source.ceil(),
        "round_prefer_floor" => (source - 0.5).ceil(),
        "round_prefer_ceil" => (source + 0.5).floor(),
        _ => return None,
    };
    Some(rounded.clamp(0.0, (size - 1) as f64) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_factors_that_repeat_each_value() {
        let repeats = |transform: &str, rounding: &str, factor: usize| {
            (1..9).all(|size| {
                (0..size * factor).all(|at| {
                    let output = (size * factor) as f64;
                    let source = source(transform, at as f64, factor as f64, size as f64, output);
                    rounded(rounding, source.unwrap(), size) == Some(at / factor)
                })
            })
        };
        for factor in 2..9 {
            assert!(repeats("asymmetric", "floor", factor));
            assert!(repeats("half_pixel", "round_prefer_floor", factor));
            assert!(repeats("half_pixel", "round_prefer_ceil", factor));
            assert!(repeats("pytorch_half_pixel", "round_prefer_floor", factor));
            assert!(!repeats("half_pixel", "floor", factor));
            assert!(!repeats("half_pixel", "ceil", factor));
        }
        assert!(repeats("asymmetric", "round_prefer_floor", 2));
        assert!(!repeats("asymmetric", "round_prefer_floor", 3));
        assert!(!repeats("align_corners", "floor", 2));
    }
}
