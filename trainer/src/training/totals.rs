//! Loss and right answers over an epoch, read from the device now and then.

use super::step::StepOutput;

/// Sums over an epoch.
#[derive(Default)]
pub struct Totals {
    /// Not read yet.
    pub pending: Vec<StepOutput>,
    /// Of the pictures read, summed.
    loss: f64,
    correct: u64,
    /// Pictures read.
    pub pictures: usize,
}

impl Totals {
    /// Brings the pending outputs from the device.
    pub fn read(&mut self) {
        for output in self.pending.drain(..) {
            let loss: f32 = output.loss.into_scalar();
            let correct: i64 = output.correct.into_scalar();
            self.loss += f64::from(loss) * output.pictures as f64;
            self.correct += correct.unsigned_abs();
            self.pictures += output.pictures;
        }
    }

    /// The mean over the pictures read.
    pub fn loss(&self) -> f64 {
        self.loss / self.pictures.max(1) as f64
    }

    /// The share of right answers.
    pub fn accuracy(&self) -> f64 {
        self.correct as f64 / self.pictures.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;

    #[test]
    fn pictures_weigh_the_same_in_batches_of_any_size() {
        let device = Device::flex();
        let output = |loss: f32, correct: i32, pictures| StepOutput {
            loss: Tensor::from_floats([loss], &device),
            correct: Tensor::from_ints([correct], &device),
            pictures,
        };
        let mut totals = Totals::default();
        totals
            .pending
            .extend([output(1.0, 1, 1), output(2.0, 1, 3)]);
        assert_eq!((totals.loss(), totals.accuracy()), (0.0, 0.0));
        totals.read();
        assert_eq!((totals.loss(), totals.accuracy()), (1.75, 0.5));
        assert!(totals.pending.is_empty());
    }
}
