//! Some of an activation's rows and columns.

use kiln_core::tensor::Shape;
use kiln_core::window::Window;

use crate::graph::{Conv, Op};
use crate::load::call::Problem;
use crate::load::parts::{Left, Range};
use crate::load::walk::Walk;

/// A window of more taps than this is taken apart, into one over rows and one over columns.
const MOST_TAPS: usize = 25;

/// The layers that take the rows and columns that are left of an activation with this many of them, and their outputs'
/// shapes: convolutions of each channel, whose window has a weight of one at one place. None where all are left.
pub fn ops(walk: &mut Walk<'_>, left: &Left, before: Shape) -> Result<Vec<(Op, Shape)>, Problem> {
    let whole = |size: u32| Range {
        first: 0,
        count: size as usize,
        step: 1,
    };
    let [rows, columns] = left.pixels;
    let all = [whole(before.height), whole(before.width)];
    if [rows, columns] == all {
        return Ok(vec![]);
    }
    let channels = left.channels.as_ref().map(Vec::len);
    let before = Shape {
        channels: channels.map_or(before.channels, |count| count as u32),
        ..before
    };
    let taps = Side::new(rows, before.height)?.taps() * Side::new(columns, before.width)?.taps();
    if taps <= MOST_TAPS || rows == all[0] || columns == all[1] {
        return Ok(vec![op(walk, [rows, columns], before)?]);
    }
    let first = op(walk, [rows, all[1]], before)?;
    let second = op(walk, [whole(first.1.height), columns], first.1)?;
    Ok(vec![first, second])
}

fn op(walk: &mut Walk<'_>, ranges: [Range; 2], before: Shape) -> Result<(Op, Shape), Problem> {
    let rows = Side::new(ranges[0], before.height)?;
    let columns = Side::new(ranges[1], before.width)?;
    let channels = before.channels as usize;
    let sizes = [rows.kernel, columns.kernel].map(u32::from);
    walk.count(Shape::new(sizes[0], sizes[1], before.channels))?;
    let mut tap = vec![0.0; rows.taps() * columns.taps()];
    tap[rows.tap * columns.taps() + columns.tap] = 1.0;
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
    let [height, width] = ranges.map(|range| range.count as u32);
    Ok((Op::Conv(conv), Shape::new(height, width, before.channels)))
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

    fn taps(&self) -> usize {
        usize::from(self.kernel)
    }
}
