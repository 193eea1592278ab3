//! Some of an activation's rows and columns.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use crate::graph::{Conv, Op};
use crate::load::call::Problem;
use crate::load::parts::{Left, Range};
use crate::load::walk::Walk;

/// The layer that takes the rows and columns that are left of an activation with this many of them, and its output's
/// shape: a convolution of each channel, with a window that has a weight of one at one place. None where all are left.
pub fn op(walk: &mut Walk<'_>, left: &Left, before: Shape) -> Result<Option<(Op, Shape)>, Problem> {
    let sizes = [before.height, before.width];
    let whole = |(range, size): (&Range, u32)| range.count == size as usize;
    if left.pixels.iter().zip(sizes).all(whole) {
        return Ok(None);
    }
    let [rows, columns] = [0, 1].map(|axis| Side::new(left.pixels[axis], sizes[axis]));
    let (rows, columns) = (rows?, columns?);
    let channels = left.channels.len();
    let sizes = [rows.kernel, columns.kernel].map(u32::from);
    walk.count(Shape::new(sizes[0], sizes[1], channels as u32))?;
    let mut tap = vec![0.0; usize::from(rows.kernel) * usize::from(columns.kernel)];
    tap[rows.tap * usize::from(columns.kernel) + columns.tap] = 1.0;
    let conv = Conv {
        window: Window {
            kernel: [rows.kernel, columns.kernel],
            stride: [rows.stride, columns.stride],
            ..Window::default()
        },
        groups: channels,
        weights: tap.repeat(channels),
        bias: vec![0.0; channels],
        stored: None,
    };
    let [height, width] = left.pixels.map(|range| range.count as u32);
    let shape = Shape::new(height, width, channels as u32);
    Ok(Some((Op::Conv(conv), shape)))
}

/// A window along one axis.
struct Side {
    kernel: u16,
    stride: u16,
    /// Where in the kernel the value is that is taken.
    tap: usize,
}

impl Side {
    /// The smallest that fits `range.count` times into so many.
    fn new(range: Range, size: u32) -> Result<Self, Problem> {
        let (tap, stride) = (range.first as usize, range.step as usize);
        let behind_the_first = size as usize - (range.count - 1) * stride;
        let kernel = (tap + 1).max((behind_the_first + 1).saturating_sub(stride));
        let narrow = |number: usize| {
            let problem = || {
                Problem::new(
                    format!("it takes {} of {size} rows or columns", range.count),
                    "crop before the network",
                )
            };
            u16::try_from(number).map_err(|_| problem())
        };
        Ok(Self {
            kernel: narrow(kernel)?,
            stride: narrow(stride)?,
            tap,
        })
    }
}
