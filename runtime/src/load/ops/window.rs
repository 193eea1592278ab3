//! Kernels, strides, dilations and paddings from ONNX's attributes.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use crate::load::call::{Call, Problem};
use crate::load::view::Space;

/// The window of a convolution or pool over `shape`, whose kernel has these sizes.
pub fn window(
    call: &Call<'_>,
    space: &Space,
    kernel: &[i64],
    shape: Shape,
) -> Result<Window, Problem> {
    let axes = space.0.len();
    let numbers = |name: &str, count: usize, otherwise: i64| {
        let given = call.ints(name).map(<[i64]>::to_vec);
        let given = given.unwrap_or_else(|| vec![otherwise; count]);
        let problem = || Problem::broken(format!("{name} {given:?}"));
        let narrow = given.iter().map(|number| u16::try_from(*number).ok());
        let narrow: Option<Vec<u16>> = narrow.collect();
        narrow
            .filter(|numbers| numbers.len() == count)
            .ok_or_else(problem)
    };
    let kernel: Option<Vec<u16>> = kernel
        .iter()
        .map(|size| u16::try_from(*size).ok())
        .collect();
    let kernel = kernel.filter(|kernel| kernel.len() == axes && !kernel.contains(&0));
    let kernel = kernel.ok_or_else(|| {
        Problem::broken("its kernel has another number of axes than its input, or is empty")
    })?;
    let mut window = Window {
        kernel: space.pair(&kernel, 1),
        stride: space.pair(&numbers("strides", axes, 1)?, 1),
        dilation: space.pair(&numbers("dilations", axes, 1)?, 1),
        padding: [0; 4],
    };
    if window.stride.contains(&0) || window.dilation.contains(&0) {
        return Err(Problem::broken("a stride or dilation of 0"));
    }
    window.padding = match call.text("auto_pad", "NOTSET") {
        "NOTSET" | "" => {
            let pads = call.ints("pads").unwrap_or_default();
            if pads.iter().any(|pad| *pad < 0) {
                return Err(Problem::new("negative padding", "cut the input before"));
            }
            space.padding(&numbers("pads", 2 * axes, 0)?)
        }
        "VALID" => [0; 4],
        mode @ ("SAME_UPPER" | "SAME_LOWER") => same(&window, shape, mode == "SAME_UPPER")?,
        mode => return Err(Problem::broken(format!("auto_pad {mode}"))),
    };
    Ok(window)
}

/// Padding with which the output has `ceil(input / stride)` rows and columns.
fn same(window: &Window, shape: Shape, upper: bool) -> Result<[u16; 4], Problem> {
    let mut padding = [0; 4];
    for (axis, size) in [shape.height, shape.width].into_iter().enumerate() {
        let stride = u32::from(window.stride[axis]);
        let reached = (size.div_ceil(stride) - 1) * stride + window.span()[axis];
        let total = reached.saturating_sub(size);
        let (less, more) = (total / 2, total - total / 2);
        let (begin, end) = if upper { (less, more) } else { (more, less) };
        let narrow = |pad: u32| u16::try_from(pad).map_err(|_| Problem::broken("absurd padding"));
        padding[axis] = narrow(begin)?;
        padding[axis + 2] = narrow(end)?;
    }
    Ok(padding)
}

/// The output's shape with this many channels.
pub fn output(window: &Window, shape: Shape, channels: usize) -> Result<Shape, Problem> {
    let fits = window.output(shape.height, shape.width);
    let [height, width] = fits.ok_or_else(|| {
        let [rows, columns] = window.span();
        Problem::broken(format!(
            "its kernel spans {rows} × {columns}, its padded input {} × {} is smaller",
            shape.height + u32::from(window.padding[0]) + u32::from(window.padding[2]),
            shape.width + u32::from(window.padding[1]) + u32::from(window.padding[3]),
        ))
    })?;
    let channels = u32::try_from(channels).map_err(|_| Problem::broken("too many channels"))?;
    Ok(Shape::new(height, width, channels))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_padding_is_that_of_onnx() {
        let window = |kernel, stride| Window {
            kernel: [kernel; 2],
            stride: [stride; 2],
            ..Window::default()
        };
        let cases = [
            (window(3, 1), true, [1, 1, 1, 1]),
            (window(3, 2), true, [0, 1, 1, 1]),
            (window(3, 2), false, [1, 1, 0, 1]),
            (window(2, 1), false, [1, 1, 0, 0]),
            (window(1, 2), true, [0, 0, 0, 0]),
        ];
        for (window, upper, expected) in cases {
            let padding = same(&window, Shape::new(8, 5, 1), upper).unwrap();
            assert_eq!(padding, expected, "{window:?} {upper}");
        }
    }
}
