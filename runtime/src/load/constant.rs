//! Constants of a file: weights, biases, shapes, scales.

use std::sync::Arc;

use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::prelude::f16;

use super::MAX_VALUES;
use crate::onnx::TensorProto;

/// Numbers by type. Types that no weight of a classifier needs are widened or narrowed: f16 and f64
/// to f32, small integers to i32, others to i64.
#[derive(Clone, Debug, PartialEq)]
pub enum Data {
    F32(Vec<f32>),
    I64(Vec<i64>),
    I32(Vec<i32>),
    I8(Vec<i8>),
    U8(Vec<u8>),
    Bool(Vec<u8>),
}

/// A constant tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    pub dims: Vec<usize>,
    pub data: Data,
    /// The integers that a DequantizeLinear made `data` of.
    pub stored: Option<Arc<Integers>>,
}

/// `scale * (integer - zero point)`, of the same sizes as the constant that holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Integers {
    pub data: Data,
    /// One, or one for each position along `axis`.
    pub scales: Vec<f32>,
    /// As many as scales.
    pub zero_points: Vec<i32>,
    pub axis: usize,
}

impl Data {
    pub fn len(&self) -> usize {
        match self {
            Self::F32(data) => data.len(),
            Self::I64(data) => data.len(),
            Self::I32(data) => data.len(),
            Self::I8(data) => data.len(),
            Self::U8(data) | Self::Bool(data) => data.len(),
        }
    }

    fn pick(&self, from: &[usize]) -> Self {
        fn each<T: Copy>(data: &[T], from: &[usize]) -> Vec<T> {
            from.iter().map(|index| data[*index]).collect()
        }
        match self {
            Self::F32(data) => Self::F32(each(data, from)),
            Self::I64(data) => Self::I64(each(data, from)),
            Self::I32(data) => Self::I32(each(data, from)),
            Self::I8(data) => Self::I8(each(data, from)),
            Self::U8(data) => Self::U8(each(data, from)),
            Self::Bool(data) => Self::Bool(each(data, from)),
        }
    }

    /// Every number as i64, if they are integers.
    pub fn integers(&self) -> Option<Vec<i64>> {
        Some(match self {
            Self::F32(_) => return None,
            Self::I64(data) => data.clone(),
            Self::I32(data) => data.iter().map(|v| (*v).into()).collect(),
            Self::I8(data) => data.iter().map(|v| (*v).into()).collect(),
            Self::U8(data) | Self::Bool(data) => data.iter().map(|v| (*v).into()).collect(),
        })
    }
}

impl Constant {
    pub fn new(dims: Vec<usize>, data: Data) -> Self {
        debug_assert_eq!(dims.iter().product::<usize>(), data.len());
        Self {
            dims,
            data,
            stored: None,
        }
    }

    pub fn floats(values: Vec<f32>) -> Self {
        Self::new(vec![values.len()], Data::F32(values))
    }

    pub fn ints(values: Vec<i64>) -> Self {
        Self::new(vec![values.len()], Data::I64(values))
    }

    /// Checks sizes and lengths, and decodes.
    pub fn decode(tensor: &TensorProto) -> Result<Self, String> {
        if !tensor.external_data.is_empty() {
            return Err("is stored in another file".into());
        }
        let dims = dims(&tensor.dims)?;
        let count: usize = dims.iter().product();
        let data = numbers(tensor)?;
        if data.len() != count {
            return Err(format!("has {} numbers for {dims:?}", data.len()));
        }
        Ok(Self::new(dims, data))
    }

    /// All numbers, if they are floats.
    pub fn as_f32(&self) -> Option<&[f32]> {
        match &self.data {
            Data::F32(data) => Some(data),
            _ => None,
        }
    }

    /// The only number, as a float.
    pub fn scalar(&self) -> Option<f32> {
        match (&self.data, self.data.len()) {
            (Data::F32(data), 1) => Some(data[0]),
            (data, 1) => data.integers().map(|data| data[0] as f32),
            _ => None,
        }
    }

    /// The same numbers in other sizes of the same product. Integers behind it stay where their
    /// scales still run along one axis.
    pub fn reshape(&self, dims: Vec<usize>) -> Self {
        let stored = self.stored.as_ref().and_then(|stored| {
            let mut stored = Integers::clone(stored);
            if stored.scales.len() > 1 {
                let before: usize = self.dims[..stored.axis].iter().product();
                let at = |axis: &usize| {
                    dims[..*axis].iter().product::<usize>() == before
                        && dims[*axis] == stored.scales.len()
                };
                stored.axis = (0..dims.len()).find(at)?;
            }
            Some(Arc::new(stored))
        });
        Self {
            dims,
            data: self.data.clone(),
            stored,
        }
    }

    /// Axis `i` of the result is axis `permutation[i]` of this.
    pub fn transpose(&self, permutation: &[usize]) -> Self {
        let dims: Vec<usize> = permutation.iter().map(|axis| self.dims[*axis]).collect();
        let mut strides = vec![1; self.dims.len()];
        for axis in (1..self.dims.len()).rev() {
            strides[axis - 1] = strides[axis] * self.dims[axis];
        }
        let mut from = vec![0usize];
        if dims.contains(&0) {
            from.clear();
        }
        for (size, axis) in dims.iter().zip(permutation) {
            let stride = strides[*axis];
            let all = from
                .iter()
                .flat_map(|base| (0..*size).map(move |i| base + i * stride));
            from = all.collect();
        }
        let stored = self.stored.as_ref().map(|stored| {
            let moved = permutation.iter().position(|axis| *axis == stored.axis);
            Arc::new(Integers {
                data: stored.data.pick(&from),
                axis: moved.unwrap_or(0),
                ..Integers::clone(stored)
            })
        });
        Self {
            dims,
            data: self.data.pick(&from),
            stored,
        }
    }

    /// As protobuf.
    pub fn encode(&self, name: &str) -> TensorProto {
        fn bytes<T: Copy, const N: usize>(data: &[T], le: fn(T) -> [u8; N]) -> Vec<u8> {
            data.iter().flat_map(|value| le(*value)).collect()
        }
        let (data_type, raw_data) = match &self.data {
            Data::F32(data) => (DataType::Float, bytes(data, f32::to_le_bytes)),
            Data::I64(data) => (DataType::Int64, bytes(data, i64::to_le_bytes)),
            Data::I32(data) => (DataType::Int32, bytes(data, i32::to_le_bytes)),
            Data::I8(data) => (DataType::Int8, bytes(data, i8::to_le_bytes)),
            Data::U8(data) => (DataType::Uint8, data.clone()),
            Data::Bool(data) => (DataType::Bool, data.clone()),
        };
        TensorProto {
            name: name.into(),
            dims: self.dims.iter().map(|size| *size as i64).collect(),
            data_type: data_type as i32,
            raw_data,
            ..Default::default()
        }
    }
}

fn dims(dims: &[i64]) -> Result<Vec<usize>, String> {
    let sizes: Option<Vec<usize>> = dims
        .iter()
        .map(|size| usize::try_from(*size).ok())
        .collect();
    let sizes = sizes.ok_or_else(|| format!("has the sizes {dims:?}"))?;
    let nonzero = sizes.iter().filter(|size| **size > 0);
    let product = nonzero.fold(1usize, |product, size| product.saturating_mul(*size));
    if product > MAX_VALUES || sizes.len() > 16 {
        return Err(format!("has the sizes {dims:?}, too large to be real"));
    }
    Ok(sizes)
}

fn numbers(tensor: &TensorProto) -> Result<Data, String> {
    fn raw<T, const N: usize>(tensor: &TensorProto, le: fn([u8; N]) -> T) -> Option<Vec<T>> {
        if tensor.raw_data.is_empty() {
            return None;
        }
        let (whole, _) = tensor.raw_data.as_chunks::<N>();
        Some(whole.iter().map(|bytes| le(*bytes)).collect())
    }
    // Narrow types come in int32_data, one number each.
    fn ints<T>(tensor: &TensorProto, narrow: fn(i32) -> T) -> Vec<T> {
        tensor.int32_data.iter().map(|v| narrow(*v)).collect()
    }
    let kind = DataType::try_from(tensor.data_type);
    let kind = kind.map_err(|_| format!("has the unknown type {}", tensor.data_type))?;
    Ok(match kind {
        DataType::Float => {
            Data::F32(raw(tensor, f32::from_le_bytes).unwrap_or_else(|| tensor.float_data.clone()))
        }
        DataType::Double => {
            let wide =
                raw(tensor, f64::from_le_bytes).unwrap_or_else(|| tensor.double_data.clone());
            Data::F32(wide.into_iter().map(|value| value as f32).collect())
        }
        DataType::Float16 => {
            let bits =
                raw(tensor, u16::from_le_bytes).unwrap_or_else(|| ints(tensor, |v| v as u16));
            let half = bits.into_iter().map(|bits| f16::from_bits(bits).to_f32());
            Data::F32(half.collect())
        }
        DataType::Int64 => {
            Data::I64(raw(tensor, i64::from_le_bytes).unwrap_or_else(|| tensor.int64_data.clone()))
        }
        DataType::Int32 => {
            Data::I32(raw(tensor, i32::from_le_bytes).unwrap_or_else(|| tensor.int32_data.clone()))
        }
        DataType::Int16 => {
            let raw = raw(tensor, |bytes| i16::from_le_bytes(bytes).into());
            Data::I32(raw.unwrap_or_else(|| tensor.int32_data.clone()))
        }
        DataType::Uint16 => {
            let raw = raw(tensor, |bytes| u16::from_le_bytes(bytes).into());
            Data::I32(raw.unwrap_or_else(|| tensor.int32_data.clone()))
        }
        DataType::Int8 => {
            Data::I8(raw(tensor, i8::from_le_bytes).unwrap_or_else(|| ints(tensor, |v| v as i8)))
        }
        DataType::Uint8 => {
            Data::U8(raw(tensor, |[byte]| byte).unwrap_or_else(|| ints(tensor, |v| v as u8)))
        }
        DataType::Bool => {
            let raw = raw(tensor, |[byte]| u8::from(byte != 0));
            Data::Bool(raw.unwrap_or_else(|| ints(tensor, |v| u8::from(v != 0))))
        }
        other => return Err(format!("has the type {}", other.as_str_name())),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transposing_moves_numbers_and_scales() {
        let mut constant = Constant::new(vec![2, 3], Data::F32((0..6).map(|v| v as f32).collect()));
        constant.stored = Some(Arc::new(Integers {
            data: Data::I8((0..6).collect()),
            scales: vec![1.0; 3],
            zero_points: vec![0; 3],
            axis: 1,
        }));
        let moved = constant.transpose(&[1, 0]);
        assert_eq!(moved.dims, [3, 2]);
        assert_eq!(moved.data, Data::F32(vec![0.0, 3.0, 1.0, 4.0, 2.0, 5.0]));
        let stored = moved.stored.as_ref().unwrap();
        assert_eq!(stored.axis, 0);
        assert_eq!(stored.data, Data::I8(vec![0, 3, 1, 4, 2, 5]));
        let flat = moved.reshape(vec![1, 3, 1, 2]);
        assert_eq!(flat.stored.unwrap().axis, 1);
        assert_eq!(moved.reshape(vec![6]).stored, None);
    }

    #[test]
    fn types_and_broken_tensors() {
        let tensor = |data_type: DataType, dims: &[i64], raw: &[u8]| TensorProto {
            data_type: data_type as i32,
            dims: dims.to_vec(),
            raw_data: raw.to_vec(),
            ..Default::default()
        };
        let good = [
            (
                tensor(DataType::Float16, &[1], &[0, 0x3e]),
                Data::F32(vec![1.5]),
            ),
            (
                tensor(DataType::Double, &[], &2.5f64.to_le_bytes()),
                Data::F32(vec![2.5]),
            ),
            (
                tensor(DataType::Int8, &[2], &[255, 1]),
                Data::I8(vec![-1, 1]),
            ),
            (
                tensor(DataType::Uint16, &[1], &[1, 1]),
                Data::I32(vec![257]),
            ),
            (tensor(DataType::Float, &[0], &[]), Data::F32(vec![])),
        ];
        for (tensor, expected) in good {
            assert_eq!(Constant::decode(&tensor).unwrap().data, expected);
        }
        let bad = [
            (tensor(DataType::Float, &[2], &[0; 4]), "1 numbers"),
            (tensor(DataType::Float, &[-1], &[0; 4]), "sizes"),
            (tensor(DataType::Float, &[i64::MAX, 2, 0], &[]), "too large"),
            (tensor(DataType::String, &[1], &[0; 4]), "STRING"),
        ];
        for (tensor, expected) in bad {
            let error = Constant::decode(&tensor).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }
}
