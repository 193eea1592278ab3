//! An ONNX graph under construction: nodes, constants, and names that are given once.

use tract_onnx::pb::attribute_proto::AttributeType;
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension::Value as DimValue};
use tract_onnx::pb::type_proto::{Tensor as TensorType, Value as TypeValue};
use tract_onnx::pb::{
    AttributeProto, NodeProto, TensorProto, TensorShapeProto, TypeProto, ValueInfoProto,
};

use crate::names::Names;

/// What a node is told beside its inputs.
pub(super) enum Attribute<'a> {
    Int(i64),
    Ints(Vec<i64>),
    Float(f32),
    Text(&'a str),
}

/// Constants by element type.
pub(super) enum Values<'a> {
    F32(&'a [f32]),
    I8(&'a [i8]),
    /// Stored as i8; 128 is added on writing.
    U8(&'a [i8]),
    I32(&'a [i32]),
    I64(&'a [i64]),
}

/// Nodes and constants so far.
#[derive(Default)]
pub(super) struct Document {
    pub nodes: Vec<NodeProto>,
    pub constants: Vec<TensorProto>,
    /// Names of values that are taken.
    names: Names,
    /// Names of nodes that are taken; ONNX keeps them apart from those of values.
    node_names: Names,
}

impl Document {
    /// A new name of a value: `name` or, where it is empty, `fallback`; numbered if it is taken.
    pub fn unique(&mut self, name: &str, fallback: &str) -> String {
        take(&mut self.names, name, fallback)
    }

    /// Adds a constant and gives its name.
    pub fn constant(&mut self, name: &str, axes: &[usize], values: Values) -> String {
        let (data_type, raw_data) = match values {
            Values::F32(values) => {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                (DataType::Float, bytes.collect())
            }
            Values::I8(values) => (
                DataType::Int8,
                values.iter().map(|value| value.cast_unsigned()).collect(),
            ),
            Values::U8(values) => {
                let bytes = values.iter().map(|value| value.cast_unsigned() ^ 0x80);
                (DataType::Uint8, bytes.collect())
            }
            Values::I32(values) => {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                (DataType::Int32, bytes.collect())
            }
            Values::I64(values) => {
                let bytes = values.iter().flat_map(|value| value.to_le_bytes());
                (DataType::Int64, bytes.collect())
            }
        };
        let name = self.unique(name, "constant");
        self.constants.push(TensorProto {
            name: name.clone(),
            data_type: data_type as i32,
            dims: axes.iter().map(|axis| *axis as i64).collect(),
            raw_data,
            ..Default::default()
        });
        name
    }

    /// Adds a node that writes `output`. Empty inputs are ONNX's way to leave one out.
    pub fn node(
        &mut self,
        name: &str,
        op: &str,
        inputs: &[&str],
        output: &str,
        attributes: Vec<(&str, Attribute)>,
    ) {
        let name = take(&mut self.node_names, name, op);
        self.nodes.push(NodeProto {
            name,
            op_type: op.into(),
            input: inputs.iter().map(|input| (*input).into()).collect(),
            output: vec![output.into()],
            attribute: attributes.into_iter().map(attribute).collect(),
            ..Default::default()
        });
    }
}

/// Takes a name, `fallback` in place of none.
fn take(names: &mut Names, name: &str, fallback: &str) -> String {
    names.take(if name.is_empty() { fallback } else { name })
}

fn attribute((name, value): (&str, Attribute)) -> AttributeProto {
    let mut proto = AttributeProto {
        name: name.into(),
        ..Default::default()
    };
    let kind = match value {
        Attribute::Int(value) => {
            proto.i = value;
            AttributeType::Int
        }
        Attribute::Ints(values) => {
            proto.ints = values;
            AttributeType::Ints
        }
        Attribute::Float(value) => {
            proto.f = value;
            AttributeType::Float
        }
        Attribute::Text(text) => {
            proto.s = text.into();
            AttributeType::String
        }
    };
    proto.r#type = kind as i32;
    proto
}

/// An input or output of f32.
pub(super) fn value_info(name: &str, axes: &[usize]) -> ValueInfoProto {
    let dim = |axis: &usize| Dimension {
        denotation: String::new(),
        value: Some(DimValue::DimValue(*axis as i64)),
    };
    let shape = TensorShapeProto {
        dim: axes.iter().map(dim).collect(),
    };
    let tensor = TensorType {
        elem_type: DataType::Float as i32,
        shape: Some(shape),
    };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            denotation: String::new(),
            value: Some(TypeValue::TensorType(tensor)),
        }),
        doc_string: String::new(),
    }
}
