//! NumPy's .npy files of f32.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use anyhow::{Context, bail};
use kiln_core::tensor::Shape;
use kiln_run::layout::Layout;
use npyz::WriterBuilder;

/// Values that are read at most: 1 GiB.
const MAX_VALUES: u64 = 1 << 28;

/// Writes an array; `values` fill `shape` in C order.
pub fn write(path: &Path, shape: &[u64], values: impl Iterator<Item = f32>) -> anyhow::Result<()> {
    let named = || path.display().to_string();
    let file = BufWriter::new(File::create(path).with_context(named)?);
    let options = npyz::WriteOptions::new().default_dtype().shape(shape);
    let mut writer = options.writer(file).begin_nd().with_context(named)?;
    writer.extend(values).with_context(named)?;
    writer.finish().with_context(named)
}

/// Reads an array of floats or integers: its shape, and its values in C order.
pub fn read(path: &Path) -> anyhow::Result<(Vec<usize>, Vec<f32>)> {
    let named = || path.display().to_string();
    let file = BufReader::new(File::open(path).with_context(named)?);
    let array = npyz::NpyFile::new(file).with_context(named)?;
    if array.order() != npyz::Order::C {
        bail!(
            "{}: it is in Fortran order; save numpy.ascontiguousarray of it",
            path.display()
        );
    }
    let shape = array.shape().iter().map(|&size| size as usize).collect();
    let count = array
        .shape()
        .iter()
        .try_fold(1u64, |product, &size| product.checked_mul(size));
    if count.is_none_or(|count| count > MAX_VALUES) {
        bail!(
            "{}: more than {MAX_VALUES} values; give fewer inputs at a time",
            path.display()
        );
    }
    let values = match array.dtype().descr().trim_matches('\'') {
        "<f4" => array.into_vec::<f32>().with_context(named)?,
        "<f8" => floats(array.into_vec::<f64>().with_context(named)?, |x| x as f32),
        "|i1" => floats(array.into_vec::<i8>().with_context(named)?, f32::from),
        "|u1" => floats(array.into_vec::<u8>().with_context(named)?, f32::from),
        other => bail!(
            "{}: values of type {other}; save them as float32",
            path.display()
        ),
    };
    Ok((shape, values))
}

/// Whether the axes of an array are those of inputs of `shape` in this order, one or many along the first axis;
/// axes of 1 count for nothing, and rows of all of an input's values are in any order.
pub fn is_of(found: &[usize], shape: Shape, layout: Layout) -> bool {
    let input = layout.axes(shape).map(|side| side as usize);
    let long =
        |axes: &[usize]| -> Vec<usize> { axes.iter().copied().filter(|&n| n != 1).collect() };
    found.last() == Some(&shape.len()) || long(found).ends_with(&long(&input))
}

fn floats<T>(values: Vec<T>, convert: impl Fn(T) -> f32) -> Vec<f32> {
    values.into_iter().map(convert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_tell_the_order_where_they_can() {
        let shape = Shape::new(9, 10, 3);
        let orders = |found: &[usize]| [Layout::Nchw, Layout::Nhwc].map(|l| is_of(found, shape, l));
        assert_eq!(orders(&[24, 3, 9, 10]), [true, false]);
        assert_eq!(orders(&[24, 9, 10, 3]), [false, true]);
        assert_eq!(orders(&[9, 10, 3]), [false, true]);
        assert_eq!(orders(&[24, 270]), [true, true]);
        assert_eq!(orders(&[24, 10, 9, 3]), [false, false]);
        let grey = Shape::new(49, 10, 1);
        for found in [&[5, 49, 10][..], &[5, 1, 49, 10], &[5, 49, 10, 1], &[490]] {
            assert!(is_of(found, grey, Layout::Nchw) && is_of(found, grey, Layout::Nhwc));
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        write(&path, &[2, 3], [0.0, 1.0, 2.0, 3.0, 4.0, 5.5].into_iter()).unwrap();
        let (shape, values) = read(&path).unwrap();
        assert_eq!(shape, [2, 3]);
        assert_eq!(values, [0.0, 1.0, 2.0, 3.0, 4.0, 5.5]);
        std::fs::write(&path, b"not an array").unwrap();
        let error = format!("{:#}", read(&path).unwrap_err());
        assert!(error.contains("a.npy"), "{error}");
    }
}
