//! Small ONNX files made in tests, and comparisons with tract.

use std::path::Path;

use kiln_core::tensor::Shape;
use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value as DimValue};
use tract_onnx::pb::type_proto::{Tensor as TensorType, Value as TypeValue};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, OperatorSetIdProto, TensorShapeProto, TypeProto,
    ValueInfoProto,
};

use super::constant::{Constant, Data};
use super::view::{Kind, Space, View, size};
use super::{Loaded, load_with_axes};
use crate::float::FloatModel;
use crate::float_graph::FloatGraph;
use crate::graph::{Axis, Layout};
use crate::onnx::{NodeProto, OnnxFile, TensorProto};

/// An attribute's value.
#[derive(Clone, Copy, Debug)]
pub enum Attr<'a> {
    I(i64),
    F(f32),
    Is(&'a [i64]),
    S(&'a str),
    T(&'a TensorProto),
}
pub use Attr::{F, I, Is, S, T};

/// Numbers from -1 to 1, always the same.
pub fn numbers(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    };
    (0..count).map(|_| next()).collect()
}

/// A file in the making. Its input is `x`, its output `y`.
#[derive(Clone, Debug)]
pub struct Model(pub ModelProto);

impl Model {
    pub fn new(opset: i64, input: &[i64]) -> Self {
        Self::typed(opset, input, DataType::Float)
    }

    pub fn typed(opset: i64, input: &[i64], kind: DataType) -> Self {
        let import = |domain: &str, version| OperatorSetIdProto {
            domain: domain.into(),
            version,
        };
        Self(ModelProto {
            ir_version: 8,
            opset_import: vec![import("", opset), import("com.microsoft", 1)],
            graph: Some(GraphProto {
                input: vec![info("x", Some(input), kind)],
                output: vec![info("y", None, kind)],
                ..Default::default()
            }),
            ..Default::default()
        })
    }

    pub fn graph(&mut self) -> &mut GraphProto {
        self.0.graph.get_or_insert_default()
    }

    fn constant(mut self, name: &str, dims: &[usize], data: Data) -> Self {
        let tensor = Constant::new(dims.to_vec(), data).encode(name);
        self.graph().initializer.push(tensor);
        self
    }

    /// A weight of random numbers.
    pub fn random(self, name: &str, dims: &[usize]) -> Self {
        let seed = name
            .bytes()
            .fold(7, |seed, byte| seed * 31 + u64::from(byte));
        let values = numbers(dims.iter().product(), seed);
        self.constant(name, dims, Data::F32(values))
    }

    pub fn floats(self, name: &str, dims: &[usize], values: &[f32]) -> Self {
        self.constant(name, dims, Data::F32(values.to_vec()))
    }

    pub fn scalar(self, name: &str, value: f32) -> Self {
        self.constant(name, &[], Data::F32(vec![value]))
    }

    pub fn ints(self, name: &str, values: &[i64]) -> Self {
        self.constant(name, &[values.len()], Data::I64(values.to_vec()))
    }

    pub fn int(self, name: &str, value: i64) -> Self {
        self.constant(name, &[], Data::I64(vec![value]))
    }

    pub fn i8(self, name: &str, dims: &[usize], values: &[i8]) -> Self {
        self.constant(name, dims, Data::I8(values.to_vec()))
    }

    pub fn u8(self, name: &str, dims: &[usize], values: &[u8]) -> Self {
        self.constant(name, dims, Data::U8(values.to_vec()))
    }

    pub fn i32(self, name: &str, dims: &[usize], values: &[i32]) -> Self {
        self.constant(name, dims, Data::I32(values.to_vec()))
    }

    /// A node; inputs and outputs are names with spaces between, `-` where there is none.
    pub fn node(self, op: &str, inputs: &str, output: &str, attributes: &[(&str, Attr)]) -> Self {
        self.node_of("", op, inputs, output, attributes)
    }

    pub fn node_of(
        mut self,
        domain: &str,
        op: &str,
        inputs: &str,
        output: &str,
        attributes: &[(&str, Attr)],
    ) -> Self {
        let name = |name: &str| {
            if name == "-" {
                String::new()
            } else {
                name.into()
            }
        };
        self.graph().node.push(NodeProto {
            input: inputs.split_whitespace().map(name).collect(),
            output: output.split_whitespace().map(name).collect(),
            op_type: op.into(),
            domain: domain.into(),
            attribute: attributes.iter().map(attribute).collect(),
            ..Default::default()
        });
        self
    }

    pub fn file(&self) -> OnnxFile {
        OnnxFile {
            proto: self.0.clone(),
            path: Path::new("test.onnx").into(),
        }
    }
}

fn attribute((name, value): &(&str, Attr)) -> AttributeProto {
    let mut attribute = AttributeProto {
        name: (*name).into(),
        ..Default::default()
    };
    let kind = match value {
        I(value) => {
            attribute.i = *value;
            AttributeType::Int
        }
        F(value) => {
            attribute.f = *value;
            AttributeType::Float
        }
        Is(values) => {
            attribute.ints = values.to_vec();
            AttributeType::Ints
        }
        S(value) => {
            attribute.s = value.as_bytes().to_vec();
            AttributeType::String
        }
        T(value) => {
            attribute.t = Some(TensorProto::clone(value));
            AttributeType::Tensor
        }
    };
    attribute.r#type = kind as i32;
    attribute
}

fn info(name: &str, dims: Option<&[i64]>, kind: DataType) -> ValueInfoProto {
    let shape = dims.map(|dims| TensorShapeProto {
        dim: dims
            .iter()
            .map(|size| Dimension {
                value: Some(DimValue::DimValue(*size)),
                ..Default::default()
            })
            .collect(),
    });
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(TypeValue::TensorType(TensorType {
                elem_type: kind as i32,
                shape,
            })),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// An image as most files see it.
pub fn nchw(shape: Shape) -> View {
    let dims = Space(vec![Axis::Rows, Axis::Columns]).dims();
    View::new(0, shape, dims, Kind::Float)
}

/// The file's input, in its own order, as the graph takes it.
pub fn to_nhwc(loaded: &Loaded, input: &[f32]) -> Vec<f32> {
    if loaded.graph.layout == Layout::Nhwc {
        return input.to_vec();
    }
    let shape = loaded.graph.shape(loaded.graph.input);
    let (pixels, channels) = (shape.pixels(), shape.channels as usize);
    let at = |index: usize| index % channels * pixels + index / channels;
    (0..input.len()).map(|index| input[at(index)]).collect()
}

/// The graph's output as the file has it.
pub fn to_file(loaded: &Loaded, output: &[f32]) -> Vec<f32> {
    let shape = loaded.graph.shape(loaded.graph.output);
    let stride = |axis: Axis| match axis {
        Axis::Rows => (shape.width * shape.channels) as usize,
        Axis::Columns => shape.channels as usize,
        Axis::Channels => 1,
    };
    let mut from = vec![0];
    for axis in loaded.output_axes.concat() {
        let steps = size(shape, axis);
        let all = from
            .iter()
            .flat_map(|base| (0..steps).map(move |at| base + at * stride(axis)));
        from = all.collect();
    }
    from.into_iter().map(|index| output[index]).collect()
}

/// Runs a file through the graph, in and out as the file has it.
pub fn run_graph(loaded: &Loaded, input: &[f32]) -> Vec<f32> {
    let mut graph = FloatGraph::new(&loaded.graph);
    let output = graph.run(&to_nhwc(loaded, input), &mut |_, _| {}).unwrap();
    to_file(loaded, &output)
}

/// Whether two outputs agree to 1e-4 of the larger one.
pub fn assert_close(found: &[f32], expected: &[f32], name: &str) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let largest = expected
        .iter()
        .fold(1.0f32, |all, value| all.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let close = (found - expected).abs() <= 1e-4 * largest;
        assert!(close, "{name}: output {index} is {found}, not {expected}");
    }
}

/// Loads a file and compares its outputs with tract's.
pub fn check(name: &str, file: &OnnxFile) -> Loaded {
    let loaded = load_with_axes(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let model = FloatModel::new(file).unwrap_or_else(|error| panic!("{name}: {error}"));
    let input: Vec<f32> = numbers(model.shape().iter().product(), 3);
    let input: Vec<f32> = input.into_iter().map(|value| value * 3.0).collect();
    let expected = model
        .run(&input)
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let found = run_graph(&loaded, &input);
    assert_close(&found, &expected, name);
    loaded
}

/// What was left to the caller.
pub fn softmax(values: &mut [f32]) {
    let largest = values
        .iter()
        .fold(f32::NEG_INFINITY, |all, value| all.max(*value));
    values
        .iter_mut()
        .for_each(|value| *value = (*value - largest).exp());
    let sum: f32 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= sum);
}
