//! The pixels of a batch, as they leave the worker threads.

use std::borrow::Cow;

use burn::tensor::{DType, Device, Int, Tensor, TensorData};
use kiln_core::preprocess::Recipe;

/// Pictures of one size, as a network takes them.
#[derive(Clone, Debug, PartialEq)]
pub struct Inputs {
    /// `[n, channels, height, width]`.
    pub shape: [usize; 4],
    /// Their pixels.
    pub pixels: Pixels,
}

impl Inputs {
    /// Room for `n` inputs of the recipe.
    pub(super) fn zeros(bytes: bool, n: usize, recipe: &Recipe) -> Self {
        let (height, width) = (recipe.height.into(), recipe.width.into());
        Self {
            shape: [n, recipe.channels(), height, width],
            pixels: Pixels::zeros(bytes, n, recipe),
        }
    }

    /// Sets an input: `picture` is `[height, width, channels]`.
    pub(super) fn put(&mut self, row: usize, tables: &[[f32; 256]], picture: &[u8]) {
        let place = row * picture.len()..(row + 1) * picture.len();
        match &mut self.pixels {
            Pixels::Values(values) => normalise(tables, picture, &mut values[place]),
            Pixels::Bytes(bytes, _) => bytes[place].copy_from_slice(picture),
        }
    }

    /// All of them on `device`, normalised.
    pub fn to_tensor(&self, device: &Device) -> Tensor<4> {
        self.pixels.to_tensor(self.shape, device)
    }

    /// One input after the other, normalised, `[channels, height, width]`.
    pub fn values(&self) -> Cow<'_, [f32]> {
        self.pixels.values()
    }

    /// Values of an input.
    pub fn values_of_one(&self) -> usize {
        self.shape[1..].iter().product()
    }
}

/// The pixels of pictures of one size.
#[derive(Clone, Debug, PartialEq)]
pub enum Pixels {
    /// `[n, channels, height, width]`, normalised by the recipe.
    Values(Vec<f32>),
    /// `[n, height, width, channels]`, for the device to normalise: a quarter of the bytes to move.
    Bytes(Vec<u8>, Recipe),
}

impl Pixels {
    /// Room for `n` inputs of the recipe.
    fn zeros(bytes: bool, n: usize, recipe: &Recipe) -> Self {
        match bytes {
            true => Self::Bytes(vec![0; n * recipe.len()], *recipe),
            false => Self::Values(vec![0.0; n * recipe.len()]),
        }
    }

    /// `[n, channels, height, width]`, normalised.
    fn values(&self) -> Cow<'_, [f32]> {
        let (bytes, recipe) = match self {
            Self::Values(values) => return values.into(),
            Self::Bytes(bytes, recipe) => (bytes, recipe),
        };
        let tables = tables(recipe);
        let mut values = vec![0.0; bytes.len()];
        let pictures = bytes.chunks_exact(recipe.len());
        for (planes, picture) in values.chunks_exact_mut(recipe.len()).zip(pictures) {
            normalise(&tables, picture, planes);
        }
        values.into()
    }

    /// `[n, channels, height, width]` on `device`, normalised there if need be.
    fn to_tensor(&self, shape: [usize; 4], device: &Device) -> Tensor<4> {
        let (bytes, recipe) = match self {
            Self::Values(values) => {
                return Tensor::from_data(TensorData::new(values.clone(), shape), device);
            }
            Self::Bytes(bytes, recipe) => (bytes, recipe),
        };
        let [n, c, h, w] = shape;
        let data = TensorData::new(bytes.clone(), [n, h, w, c]);
        let bytes = Tensor::<4, Int>::from_data(data, (device, DType::U8));
        let by_channel = |value: fn(&Recipe, usize) -> f32| {
            let values: Vec<f32> = (0..c).map(|channel| value(recipe, channel)).collect();
            Tensor::<4>::from_data(TensorData::new(values, [1, c, 1, 1]), device)
        };
        let scale = by_channel(|recipe, c| 1.0 / (255.0 * recipe.std[c]));
        let shift = by_channel(|recipe, c| -recipe.mean[c] / recipe.std[c]);
        bytes.float().permute([0, 3, 1, 2]) * scale + shift
    }
}

/// `[channels]`: from a byte to the normalised value.
pub(super) fn tables(recipe: &Recipe) -> Vec<[f32; 256]> {
    (0..recipe.channels()).map(|c| recipe.table(c)).collect()
}

/// From bytes, `[height, width, channels]`, to normalised planes, `[channels, height, width]`.
fn normalise(tables: &[[f32; 256]], bytes: &[u8], planes: &mut [f32]) {
    match tables {
        [red, green, blue] => {
            let (pixels, _) = bytes.as_chunks::<3>();
            let (r, rest) = planes.split_at_mut(pixels.len());
            let (g, b) = rest.split_at_mut(pixels.len());
            for (((pixel, r), g), b) in pixels.iter().zip(r).zip(g).zip(b) {
                *r = red[usize::from(pixel[0])];
                *g = green[usize::from(pixel[1])];
                *b = blue[usize::from(pixel[2])];
            }
        }
        [grey, ..] => {
            for (out, &value) in planes.iter_mut().zip(bytes) {
                *out = grey[usize::from(value)];
            }
        }
        [] => {}
    }
}

#[cfg(test)]
mod tests {
    use kiln_core::preprocess::{Color, Fit};

    use super::*;

    #[test]
    fn a_device_normalises_as_the_worker_threads_do() {
        for color in [Color::Rgb, Color::Grey] {
            let recipe = Recipe {
                width: 5,
                height: 7,
                fit: Fit::Stretch,
                crop_pct: 100,
                color,
                mean: [0.485, 0.456, 0.406],
                std: [0.229, 0.224, 0.225],
            };
            let shape = [2, recipe.channels(), 7, 5];
            let bytes: Vec<u8> = (0..2 * recipe.len())
                .map(|i| (i * 37 % 256) as u8)
                .collect();
            let pixels = Pixels::Bytes(bytes, recipe);
            let values = pixels.values().into_owned();
            let found = pixels.to_tensor(shape, &Device::flex());
            assert_eq!(found.dims(), shape);
            let found: Vec<f32> = found.into_data().iter::<f32>().collect();
            for (at, (found, expected)) in found.iter().zip(&values).enumerate() {
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{at}: {found} for {expected}"
                );
            }
            let plain = Pixels::Values(values.clone());
            let same = plain.to_tensor(shape, &Device::flex()).into_data();
            assert_eq!(same.iter::<f32>().collect::<Vec<_>>(), values);
        }
    }
}
