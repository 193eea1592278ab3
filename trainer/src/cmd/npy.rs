//! NumPy's .npy files of f32.

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

use anyhow::{Context, bail};
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

fn floats<T>(values: Vec<T>, convert: impl Fn(T) -> f32) -> Vec<f32> {
    values.into_iter().map(convert).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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
