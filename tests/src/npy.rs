//! Arrays of f32 in NumPy's files, in C order.

use std::fs;
use std::path::Path;

/// An array.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Array {
    /// Its axes, the slowest first.
    pub shape: Vec<usize>,
    /// Its values.
    pub values: Vec<f32>,
}

impl Array {
    /// Rows of equal length under the given axes: `[rows.len(), shape…]`.
    ///
    /// # Panics
    /// A row has another length.
    pub fn stack(shape: &[usize], rows: &[Vec<f32>]) -> Self {
        let len: usize = shape.iter().product();
        assert!(
            rows.iter().all(|row| row.len() == len),
            "rows are {len} long"
        );
        Self {
            shape: [&[rows.len()], shape].concat(),
            values: rows.concat(),
        }
    }

    /// What lies along the first axis.
    pub fn rows(&self) -> impl Iterator<Item = &[f32]> {
        let len: usize = self.shape.iter().skip(1).product();
        self.values.chunks_exact(len.max(1))
    }

    /// Reads a file that NumPy wrote.
    ///
    /// # Panics
    /// It is not there, or its values are not f32 in C order.
    pub fn read(path: &Path) -> Self {
        let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file = npyz::NpyFile::new(&bytes[..]);
        let file = file.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(file.order(), npyz::Order::C, "{}", path.display());
        let shape = file.shape().iter().map(|&axis| axis as usize).collect();
        let values = file.into_vec();
        let values = values.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { shape, values }
    }

    /// Writes a file that NumPy reads.
    ///
    /// # Panics
    /// The file system says no.
    pub fn write(&self, path: &Path) {
        use npyz::WriterBuilder;
        let shape: Vec<u64> = self.shape.iter().map(|&axis| axis as u64).collect();
        let mut bytes = Vec::new();
        let options = npyz::WriteOptions::new().default_dtype().shape(&shape);
        let mut writer = options.writer(&mut bytes).begin_nd().unwrap();
        writer.extend(self.values.iter().copied()).unwrap();
        writer.finish().unwrap();
        fs::write(path, bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        let array = Array::stack(&[1, 2], &[vec![1.0, -0.0], vec![f32::MAX, 3.5]]);
        assert_eq!(array.shape, [2, 1, 2]);
        array.write(&path);
        assert_eq!(Array::read(&path), array);
        assert_eq!(array.rows().nth(1).unwrap(), [f32::MAX, 3.5]);
    }
}
