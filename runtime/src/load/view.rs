//! How the file sees an activation whose values lie in NHWC.

use kiln_core::tensor::Shape;

use super::call::Problem;
use crate::graph::{Axis, ValueId};
use crate::onnx::OnnxFile;

/// What the numbers of an activation are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Float,
    /// Quantized, i8 in the file.
    Signed,
    /// Quantized, u8 in the file, i8 after subtracting 128 here.
    Unsigned,
}

impl Kind {
    /// That of a file's input.
    pub fn of_input(file: &OnnxFile, name: &str) -> Result<Self, Problem> {
        use tract_onnx::pb::tensor_proto::DataType;
        use tract_onnx::pb::type_proto::Value as TypeValue;
        let inputs = file.proto.graph.iter().flat_map(|graph| &graph.input);
        let mut named = inputs.filter(|input| input.name == name);
        let kind = named.next().and_then(|input| input.r#type.as_ref());
        let Some(TypeValue::TensorType(tensor)) = kind.and_then(|kind| kind.value.as_ref()) else {
            return Err(Problem::broken("it has no type"));
        };
        match DataType::try_from(tensor.elem_type) {
            Ok(DataType::Float) => Ok(Self::Float),
            Ok(DataType::Int8) => Ok(Self::Signed),
            Ok(DataType::Uint8) => Ok(Self::Unsigned),
            other => Err(Problem::new(
                format!(
                    "its type is {}",
                    other.map_or("unknown", |kind| kind.as_str_name())
                ),
                "export the model with an input of 32-bit floats",
            )),
        }
    }
}

/// An activation as the file sees it.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    pub value: ValueId,
    pub shape: Shape,
    /// For each of the file's axes the axes of `shape` that it runs over, the slowest first. Axes of
    /// size 1 are nowhere: they may be inserted and removed anywhere.
    pub dims: Vec<Vec<Axis>>,
    pub kind: Kind,
    /// Whether the file has a Softmax of this, which is left to the caller.
    pub softmax: bool,
    /// The sizes that the file sees where an Expand repeats axes of size 1, else none: only what broadcasts by
    /// itself may read it.
    pub repeated: Vec<usize>,
}

impl View {
    pub fn new(value: ValueId, shape: Shape, dims: Vec<Vec<Axis>>, kind: Kind) -> Self {
        let mut view = Self {
            value,
            shape,
            dims,
            kind,
            softmax: false,
            repeated: vec![],
        };
        for axes in &mut view.dims {
            axes.retain(|axis| size(shape, *axis) > 1);
        }
        view
    }

    /// The sizes that the file sees.
    pub fn sizes(&self) -> Vec<usize> {
        let product = |axes: &Vec<Axis>| axes.iter().map(|axis| size(self.shape, *axis)).product();
        self.dims.iter().map(product).collect()
    }

    /// The sizes that the file sees, those of an Expand too.
    pub fn repeated_sizes(&self) -> Vec<usize> {
        match &self.repeated[..] {
            [] => self.sizes(),
            repeated => repeated.to_vec(),
        }
    }

    pub fn rank(&self) -> usize {
        self.dims.len()
    }

    /// A possibly negative axis.
    pub fn axis(&self, axis: i64) -> Result<usize, Problem> {
        axis_of(axis, self.rank())
    }

    /// The same values with other axes.
    pub fn with_dims(&self, dims: Vec<Vec<Axis>>) -> Self {
        Self {
            dims,
            ..self.clone()
        }
    }

    /// What the file's axes of an image mean.
    ///
    /// # Errors
    /// Unless they are batch, channels and one or two axes of space.
    pub fn space(&self) -> Result<Space, Problem> {
        let problem = || {
            Problem::new(
                format!(
                    "its input {:?} is not [1, channels, rows, columns] or [1, channels, length] here",
                    self.sizes()
                ),
                "put the Transpose, Reshape or Unsqueeze that mixes them elsewhere",
            )
        };
        let [batch, channels, space @ ..] = &self.dims[..] else {
            return Err(problem());
        };
        let channels_fit = match channels[..] {
            [] => self.shape.channels == 1,
            [axis] => axis == Axis::Channels,
            _ => false,
        };
        let natural = match space.len() {
            1 => vec![Axis::Columns],
            2 => vec![Axis::Rows, Axis::Columns],
            _ => return Err(problem()),
        };
        let mut axes: Vec<Option<Axis>> = vec![];
        for group in space {
            axes.push(match group[..] {
                [] => None,
                [axis @ (Axis::Rows | Axis::Columns)] => Some(axis),
                _ => return Err(problem()),
            });
        }
        if !channels_fit || !batch.is_empty() {
            return Err(problem());
        }
        // Axes of size 1 take what is left.
        for index in 0..axes.len() {
            if axes[index].is_none() {
                let free = [natural[index], Axis::Rows, Axis::Columns];
                axes[index] = free.into_iter().find(|axis| !axes.contains(&Some(*axis)));
            }
        }
        Ok(Space(axes.into_iter().flatten().collect()))
    }
}

/// The axes of space of an image, in the file's order: one or two.
#[derive(Clone, Debug, PartialEq)]
pub struct Space(pub Vec<Axis>);

impl Space {
    /// The file's numbers, one an axis, as rows and columns.
    pub fn pair<T: Copy>(&self, numbers: &[T], otherwise: T) -> [T; 2] {
        let mut pair = [otherwise; 2];
        for (axis, number) in self.0.iter().zip(numbers) {
            pair[usize::from(*axis == Axis::Columns)] = *number;
        }
        pair
    }

    /// The file's begins and ends as top, left, bottom, right.
    pub fn padding<T: Copy + Default>(&self, pads: &[T]) -> [T; 4] {
        let half = pads.len() / 2;
        let [top, left] = self.pair(&pads[..half], T::default());
        let [bottom, right] = self.pair(&pads[half..], T::default());
        [top, left, bottom, right]
    }

    /// The file's axes of an image with these axes of space.
    pub fn dims(&self) -> Vec<Vec<Axis>> {
        let mut dims = vec![vec![], vec![Axis::Channels]];
        dims.extend(self.0.iter().map(|axis| vec![*axis]));
        dims
    }
}

/// The only axis of space or depth that a dim runs over, or the one that it must be because the
/// others are taken.
pub fn single_axis(views: &[&View], dim: usize) -> Option<Axis> {
    let mut axes = views.iter().flat_map(|view| &view.dims[dim]);
    if let Some(first) = axes.next() {
        return axes.all(|axis| axis == first).then_some(*first);
    }
    let free = |axis: &Axis| views.iter().all(|view| size(view.shape, *axis) == 1);
    [Axis::Channels, Axis::Columns, Axis::Rows]
        .into_iter()
        .find(free)
}

/// A possibly negative axis of so many.
pub fn axis_of(axis: i64, rank: usize) -> Result<usize, Problem> {
    let rank = rank as i64;
    let positive = if axis < 0 { axis + rank } else { axis };
    let fits = (0..rank).contains(&positive);
    let problem = || Problem::new(format!("axis {axis} of {rank} axes"), EXPORT);
    fits.then_some(positive as usize).ok_or_else(problem)
}

/// An axis' size.
pub fn size(shape: Shape, axis: Axis) -> usize {
    let size = match axis {
        Axis::Rows => shape.height,
        Axis::Columns => shape.width,
        Axis::Channels => shape.channels,
    };
    size as usize
}

/// What helps where the file contradicts itself.
pub const EXPORT: &str = "export the model again, and check it with `onnx.checker`";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::testing::nchw;
    use Axis::{Channels as C, Columns as W, Rows as H};

    #[test]
    fn space_by_sizes_and_places() {
        let view = nchw(Shape::new(4, 5, 3));
        assert_eq!(view.space().unwrap(), Space(vec![H, W]));
        let turned = view.with_dims(vec![vec![], vec![C], vec![W], vec![H]]);
        let space = turned.space().unwrap();
        assert_eq!(space.pair(&[7, 8], 1), [8, 7]);
        assert_eq!(space.padding(&[1, 2, 3, 4]), [2, 1, 4, 3]);
        let row = View::new(
            0,
            Shape::new(1, 9, 3),
            vec![vec![], vec![C], vec![W], vec![]],
            Kind::Float,
        );
        assert_eq!(row.space().unwrap(), Space(vec![W, H]));
        let wrong = view.with_dims(vec![vec![], vec![H], vec![W], vec![C]]);
        assert!(wrong.space().is_err());
    }
}
