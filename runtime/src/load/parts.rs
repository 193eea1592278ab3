//! An activation some of whose axes the file has taken apart, as shuffles and splits of channels do.

use super::MAX_CHANNELS;
use super::call::Problem;
use super::view::{View, size};
use crate::graph::Axis;

/// An activation's channels and pixels by other axes than rows, columns and channels.
#[derive(Clone, Debug)]
pub struct Parts {
    /// The activation.
    pub view: View,
    /// For each of the file's axes what it runs over, the slowest first.
    pub dims: Vec<Vec<Factor>>,
    /// For each of the graph's axes, the index at which it begins.
    start: [i64; 3],
}

/// A part of one of the graph's axes: so many indices, a step apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Factor {
    pub axis: Axis,
    pub size: usize,
    step: i64,
}

/// Indices of an axis: the first, and how many, how far apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    pub first: i64,
    pub count: usize,
    pub step: i64,
}

impl From<View> for Parts {
    fn from(view: View) -> Self {
        let factor = |axis: &Axis| Factor {
            axis: *axis,
            size: size(view.shape, *axis),
            step: 1,
        };
        let dims = view.dims.iter();
        Self {
            dims: dims.map(|axes| axes.iter().map(factor).collect()).collect(),
            start: [0; 3],
            view,
        }
    }
}

impl Parts {
    pub fn sizes(&self) -> Vec<usize> {
        let product = |factors: &Vec<Factor>| factors.iter().map(|factor| factor.size).product();
        self.dims.iter().map(product).collect()
    }

    /// The same axes of another activation of the same shape.
    pub fn of(&self, view: View) -> Self {
        Self {
            view,
            ..self.clone()
        }
    }

    /// The same with other axes.
    pub fn with_dims(&self, dims: Vec<Vec<Factor>>) -> Self {
        Self {
            dims,
            ..self.clone()
        }
    }

    /// ONNX's Reshape: the same order, in other groups.
    pub fn reshape(&self, target: &[i64], allow_zero: bool) -> Result<Self, Problem> {
        let sizes = self.sizes();
        let wanted = reshaped(&sizes, target, allow_zero)?;
        let mut left: Vec<Factor> = self.dims.concat();
        left.reverse();
        let mut dims = vec![];
        for wanted in wanted {
            let (mut group, mut missing) = (vec![], wanted);
            while missing > 1 {
                // The products are equal, so that there is one.
                let Some(factor) = left.pop() else { break };
                let outer = match factor.size {
                    all if missing % all == 0 => all,
                    all if all % missing == 0 => missing,
                    _ => {
                        return Err(Problem::new(
                            format!(
                                "a Reshape of {sizes:?} to {target:?} splits an axis or joins parts of axes"
                            ),
                            "keep whole axes together",
                        ));
                    }
                };
                let inner = factor.size / outer;
                group.push(Factor {
                    size: outer,
                    step: factor.step * inner as i64,
                    ..factor
                });
                if inner > 1 {
                    left.push(Factor {
                        size: inner,
                        ..factor
                    });
                }
                missing /= outer;
            }
            dims.push(group);
        }
        Ok(self.with_dims(dims))
    }

    /// Takes these indices of one of the file's axes alone. None where the axis is made of several parts.
    pub fn take(&self, dim: usize, range: Range) -> Option<Self> {
        let whole = range.first == 0 && range.step == 1 && range.count == self.sizes()[dim];
        if whole {
            return Some(self.clone());
        }
        let [factor] = self.dims[dim][..] else {
            return None;
        };
        let mut parts = self.clone();
        parts.start[factor.axis as usize] += range.first * factor.step;
        parts.dims[dim] = match range.count {
            1 => vec![],
            size => vec![Factor {
                size,
                step: factor.step * range.step,
                ..factor
            }],
        };
        Some(parts)
    }

    /// What is left of the activation, where the file's axes are axes of it.
    pub fn left(&self) -> Option<Left> {
        let mut dims = vec![];
        let mut seen: Vec<Axis> = vec![];
        for factors in &self.dims {
            let mut axes: Vec<Axis> = vec![];
            for factor in factors {
                if axes.last() == Some(&factor.axis) {
                    continue;
                }
                if seen.contains(&factor.axis) {
                    return None;
                }
                axes.push(factor.axis);
                seen.push(factor.axis);
            }
            dims.push(axes);
        }
        Some(Left {
            dims,
            channels: self.channels()?,
            pixels: [self.range(Axis::Rows)?, self.range(Axis::Columns)?],
        })
    }

    /// The channels that are left, in their order; `Some(None)` where these are all.
    fn channels(&self) -> Option<Option<Vec<u32>>> {
        let axis = Axis::Channels;
        let all = Range {
            first: 0,
            count: size(self.view.shape, axis),
            step: 1,
        };
        if self.range(axis) == Some(all) {
            return Some(None);
        }
        let factors = self.dims.iter().flatten();
        let factors = factors.filter(|factor| factor.axis == axis);
        let count: usize = factors.clone().map(|factor| factor.size).product();
        if count > MAX_CHANNELS {
            return None;
        }
        let mut channels = vec![self.start[axis as usize]];
        for factor in factors {
            let steps = 0..factor.size as i64;
            let all = channels
                .iter()
                .flat_map(|first| steps.clone().map(move |at| first + at * factor.step));
            channels = all.collect();
        }
        let channels = channels.iter().map(|channel| u32::try_from(*channel).ok());
        channels.collect::<Option<Vec<u32>>>().map(Some)
    }

    /// The indices of an axis that are left, if they ascend by the same step.
    fn range(&self, axis: Axis) -> Option<Range> {
        let mut range = Range {
            first: self.start[axis as usize],
            count: 1,
            step: 1,
        };
        let factors = self.dims.iter().flatten();
        let of_axis: Vec<&Factor> = factors.filter(|factor| factor.axis == axis).collect();
        for (index, factor) in of_axis.iter().rev().enumerate() {
            if index == 0 {
                range.step = factor.step;
            }
            if factor.step != range.step * range.count as i64 || factor.step <= 0 {
                return None;
            }
            range.count *= factor.size;
        }
        Some(range)
    }

    /// Why nothing but what moves axes can read this.
    pub fn refused(&self) -> Problem {
        let backwards = |factor: &Factor| factor.step < 0 && factor.axis != Axis::Channels;
        if self.dims.iter().flatten().any(backwards) {
            return Problem::new(
                "rows or columns in front of it are in reversed order",
                "turn pictures round before the network",
            );
        }
        Problem::new(
            format!(
                "it reads {:?}, made of parts of {:?}",
                self.sizes(),
                self.view.sizes()
            ),
            "a Reshape may take channels apart only if another one puts them together, as shuffles do",
        )
    }
}

/// What is left of an activation after some of it was taken out.
#[derive(Debug)]
pub struct Left {
    /// The file's axes.
    pub dims: Vec<Vec<Axis>>,
    /// None where all are left, in their order.
    pub channels: Option<Vec<u32>>,
    /// Rows and columns.
    pub pixels: [Range; 2],
}

/// The sizes that a Reshape to `target` gives.
fn reshaped(sizes: &[usize], target: &[i64], allow_zero: bool) -> Result<Vec<usize>, Problem> {
    let refuse = |why: String| Problem::new(why, "keep whole axes together");
    let total: usize = sizes.iter().product();
    let mut wanted = vec![];
    for (index, size) in target.iter().enumerate() {
        wanted.push(match size {
            0 if !allow_zero => sizes.get(index).copied(),
            -1 => Some(0),
            size => usize::try_from(*size).ok(),
        });
    }
    let wanted: Option<Vec<usize>> = wanted.into_iter().collect();
    let mut wanted = wanted.ok_or_else(|| refuse(format!("a Reshape to {target:?}")))?;
    let known = wanted.iter().filter(|size| **size > 0);
    let known = known.fold(1usize, |all, size| all.saturating_mul(*size));
    for size in wanted.iter_mut().filter(|size| **size == 0) {
        *size = total / known;
    }
    let reached = wanted
        .iter()
        .fold(1usize, |all, size| all.saturating_mul(*size));
    match reached == total {
        true => Ok(wanted),
        false => Err(refuse(format!("{sizes:?} does not fit into {target:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use kiln_core::tensor::Shape;

    use super::*;
    use crate::load::testing;
    use Axis::{Channels as C, Columns as W, Rows as H};

    fn nchw(shape: Shape) -> Parts {
        testing::nchw(shape).into()
    }

    fn turned(parts: &Parts, order: &[usize]) -> Parts {
        parts.with_dims(order.iter().map(|dim| parts.dims[*dim].clone()).collect())
    }

    #[test]
    fn reshapes_keep_the_order() {
        let parts = nchw(Shape::new(4, 5, 3));
        assert_eq!(parts.sizes(), [1, 3, 4, 5]);
        let cases: [(&[i64], &[&[Axis]]); 5] = [
            (&[1, -1], &[&[], &[C, H, W]]),
            (&[0, 3, 20], &[&[], &[C], &[H, W]]),
            (&[3, 1, 4, 5], &[&[C], &[], &[H], &[W]]),
            (&[-1, 60], &[&[], &[C, H, W]]),
            (&[1, 12, 5], &[&[], &[C, H], &[W]]),
        ];
        for (target, expected) in cases {
            let Left { dims, channels, .. } = parts.reshape(target, false).unwrap().left().unwrap();
            assert_eq!(dims, expected);
            assert_eq!(channels, None);
        }
        for target in [&[1, 61][..], &[-1, 7], &[1, 3, 4, 5, 2], &[4, 15]] {
            assert!(parts.reshape(target, false).is_err(), "{target:?}");
        }
        let taken_apart = parts.reshape(&[1, 6, 10], false).unwrap();
        assert!(taken_apart.left().is_none());
    }

    #[test]
    fn a_shuffle_is_an_order_of_channels() {
        let parts = nchw(Shape::new(4, 5, 6));
        let split = parts.reshape(&[1, 2, 3, 4, 5], false).unwrap();
        assert!(split.left().is_none());
        let why = split.refused().why;
        assert!(
            why.contains("[1, 2, 3, 4, 5], made of parts of [1, 6, 4, 5]"),
            "{why}"
        );
        let shuffled = turned(&split, &[0, 2, 1, 3, 4]);
        let joined = shuffled.reshape(&[1, -1, 4, 5], false).unwrap();
        let Left { dims, channels, .. } = joined.left().unwrap();
        assert_eq!(dims, nchw(Shape::new(4, 5, 6)).view.dims);
        assert_eq!(channels.unwrap(), [0, 3, 1, 4, 2, 5]);
        // As others write it: with rows and columns in one, and the halves taken by an index.
        let split = parts.reshape(&[3, 2, 20], false).unwrap();
        let split = turned(&split, &[1, 0, 2]);
        let split = split.reshape(&[2, -1, 3, 4, 5], false).unwrap();
        let second = Range {
            first: 1,
            count: 1,
            step: 1,
        };
        let Left { dims, channels, .. } = split.take(0, second).unwrap().left().unwrap();
        assert_eq!(dims, [&[][..], &[], &[C], &[H], &[W]]);
        assert_eq!(channels.unwrap(), [1, 3, 5]);
    }

    #[test]
    fn ranges_of_ranges() {
        let parts = nchw(Shape::new(4, 5, 12));
        let range = |first, count, step| Range { first, count, step };
        let odd = parts.take(1, range(1, 6, 2)).unwrap();
        assert_eq!(odd.left().unwrap().channels.unwrap(), [1, 3, 5, 7, 9, 11]);
        let back = odd.take(1, range(4, 3, -2)).unwrap();
        assert_eq!(back.left().unwrap().channels.unwrap(), [9, 5, 1]);
        let one = back.take(1, range(2, 1, 1)).unwrap();
        let Left { dims, channels, .. } = one.left().unwrap();
        assert_eq!((dims[1].len(), channels.unwrap()), (0, vec![1]));
        let cut = parts.take(2, range(1, 3, 1)).unwrap();
        assert_eq!(cut.left().unwrap().pixels, [range(1, 3, 1), range(0, 5, 1)]);
        let halves = cut.take(3, range(1, 2, 2)).unwrap();
        assert_eq!(halves.left().unwrap().pixels[1], range(1, 2, 2));
        let backwards = parts.take(3, range(4, 5, -1)).unwrap();
        assert!(backwards.left().is_none());
        assert!(parts.take(0, range(0, 1, 1)).is_some() && parts.take(0, range(1, 1, 1)).is_none());
    }
}
