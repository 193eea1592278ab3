//! One step: pictures in, loss and gradients out.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, ExecutionError, Int, Tensor, TensorData};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};

use super::teacher::Lesson;
use crate::config::TeacherConfig;
use crate::data::loader::Batch;
use crate::model::{Answer, Network};

/// What is minimised: cross-entropy against soft targets, and against a teacher.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Loss {
    /// Share of the target that is spread over all classes.
    pub label_smoothing: f64,
    /// The teacher's share of the loss.
    pub teacher_weight: f64,
    /// Divides both sides' logits in the teacher's part.
    pub temperature: f64,
    /// What the unexplained share of the variance of a teacher's features is multiplied by.
    pub features: f64,
}

/// A batch on a device.
#[derive(Clone, Debug)]
pub struct StepInput {
    /// `[n, c, h, w]`, normalised.
    pub pixels: Tensor<4>,
    /// `[n, classes]`, rows sum to 1.
    pub targets: Tensor<2>,
    /// `[n]`, each picture's own class.
    pub labels: Tensor<1, Int>,
    /// What the teacher says.
    pub lesson: Option<Lesson<Tensor<2>>>,
    /// What is minimised.
    pub loss: Loss,
    /// Which of the step's batches it is, where several devices take one each.
    pub index: usize,
}

/// What a step reports; it stays on the device until it is read.
#[derive(Clone, Debug)]
pub struct StepOutput {
    /// `[1]`: the mean loss of the batch.
    pub loss: Tensor<1>,
    /// `[1]`: pictures whose highest logit is their own class.
    pub correct: Tensor<1, Int>,
    /// Pictures in the batch.
    pub pictures: usize,
}

impl StepInput {
    /// Copies a batch to `device`.
    pub fn new(
        batch: &Batch,
        lesson: Option<Lesson<Vec<f32>>>,
        loss: Loss,
        device: &Device,
    ) -> Self {
        let n = batch.labels.len();
        let rows = |values: Vec<f32>| {
            let columns = values.len() / n.max(1);
            Tensor::<2>::from_data(TensorData::new(values, [n, columns]), device)
        };
        let labels: Vec<i32> = batch.labels.iter().map(|&label| label as i32).collect();
        Self {
            pixels: batch.inputs.to_tensor(device),
            targets: rows(batch.targets.clone()),
            labels: Tensor::from_data(TensorData::new(labels, [n]), device),
            lesson: lesson.map(|lesson| lesson.map(rows)),
            loss,
            index: 0,
        }
    }
}

impl Loss {
    /// As a run's configuration says.
    pub fn new(label_smoothing: f64, teacher: Option<&TeacherConfig>) -> Self {
        Self {
            label_smoothing,
            teacher_weight: teacher.map_or(0.0, |teacher| teacher.weight),
            temperature: teacher.map_or(1.0, |teacher| teacher.temperature),
            features: teacher.map_or(0.0, |teacher| teacher.features),
        }
    }

    /// The mean loss over a batch; `said` are the student's logits, and its features as it maps them to the
    /// teacher's.
    fn of(
        &self,
        said: Lesson<Tensor<2>>,
        targets: Tensor<2>,
        lesson: Option<Lesson<Tensor<2>>>,
    ) -> Tensor<1> {
        let logits = said.logits;
        let classes = logits.dims()[1] as f64;
        let smooth = self.label_smoothing;
        let targets = match smooth > 0.0 {
            true => targets * (1.0 - smooth) + smooth / classes,
            false => targets,
        };
        let hard = cross_entropy(logits.clone(), targets);
        let Some(lesson) = lesson else {
            return hard;
        };
        let soft_targets = log_softmax(lesson.logits / self.temperature, 1).exp();
        let soft = cross_entropy(logits / self.temperature, soft_targets);
        let soft = soft * (self.temperature * self.temperature);
        let answers = hard * (1.0 - self.teacher_weight) + soft * self.teacher_weight;
        match said.features.zip(lesson.features) {
            Some((own, taught)) => answers + unexplained(own, taught) * self.features,
            None => answers,
        }
    }
}

/// The share of the variance of `taught`, over a batch, that `own` does not explain.
fn unexplained(own: Tensor<2>, taught: Tensor<2>) -> Tensor<1> {
    let variance = (taught.clone() - taught.clone().mean_dim(0))
        .square()
        .mean();
    (own - taught).square().mean() / variance.clamp_min(1e-6)
}

fn cross_entropy(logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
    let rows = (log_softmax(logits, 1) * targets).sum_dim(1);
    rows.mean().neg()
}

/// Pictures whose highest logit is their own class.
pub fn count_correct(logits: Tensor<2>, labels: Tensor<1, Int>) -> Tensor<1, Int> {
    let [n, _] = logits.dims();
    logits.argmax(1).reshape([n]).equal(labels).int().sum()
}

impl TrainStep for Network {
    type Input = StepInput;
    type Output = StepOutput;

    fn step(&self, input: StepInput) -> TrainOutput<StepOutput> {
        let pictures = input.pixels.dims()[0];
        let Answer { features, logits } = self.answer(input.pixels);
        let correct = count_correct(logits.clone().detach(), input.labels);
        let projector = self.projector.as_ref();
        let features = projector.map(|projector| projector.forward(features));
        let said = Lesson { logits, features };
        let loss = input.loss.of(said, input.targets, input.lesson);
        let gradients = loss.backward();
        let output = StepOutput {
            loss: loss.inner(),
            correct,
            pictures,
        };
        TrainOutput::new(self, gradients, output)
    }
}

/// Logits on their way from a worker.
#[derive(Clone, Debug)]
pub struct Logits(pub Tensor<2>);

impl InferenceStep for Network {
    type Input = Tensor<4>;
    type Output = Logits;

    fn step(&self, pixels: Tensor<4>) -> Logits {
        Logits(self.forward(pixels))
    }
}

impl ItemLazy for StepOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

/// What a replica reports: the step's output, and its own running statistics.
#[derive(Clone, Debug)]
pub struct ReplicaOutput {
    /// Of which of the step's batches.
    pub index: usize,
    /// Loss and right answers.
    pub output: StepOutput,
    /// Of each batch normalisation: running mean and variance.
    pub statistics: Vec<[Tensor<1>; 2]>,
}

impl ItemLazy for ReplicaOutput {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

impl ItemLazy for Logits {
    fn sync(self) -> Result<Self, ExecutionError> {
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(tensor: Tensor<1>) -> f32 {
        tensor.into_scalar::<f32>()
    }

    fn answers(logits: &Tensor<2>) -> Lesson<Tensor<2>> {
        Lesson {
            logits: logits.clone(),
            features: None,
        }
    }

    #[test]
    fn the_loss_is_that_of_the_textbook() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[1.0, 2.0, 0.5]], &device);
        let targets = Tensor::<2>::from_floats([[0.0, 1.0, 0.0]], &device);
        let mut loss = Loss {
            label_smoothing: 0.0,
            teacher_weight: 0.5,
            temperature: 2.0,
            features: 0.25,
        };
        let sum: f32 = [1.0f32, 2.0, 0.5].iter().map(|x| x.exp()).sum();
        let log_p = [1.0f32, 2.0, 0.5].map(|x| x - sum.ln());
        let plain = value(loss.of(answers(&logits), targets.clone(), None));
        assert!((plain + log_p[1]).abs() < 1e-6);

        loss.label_smoothing = 0.3;
        let smooth = value(loss.of(answers(&logits), targets.clone(), None));
        let expected = -(0.1 * log_p[0] + 0.8 * log_p[1] + 0.1 * log_p[2]);
        assert!((smooth - expected).abs() < 1e-6);

        // Against a teacher that agrees, the soft part is T² times the entropy at temperature T.
        loss.label_smoothing = 0.0;
        let own = answers(&logits);
        let taught = value(loss.of(own.clone(), targets.clone(), Some(own.clone())));
        let halved = [0.5f32, 1.0, 0.25];
        let sum: f32 = halved.iter().map(|x| x.exp()).sum();
        let entropy: f32 = halved
            .iter()
            .map(|x| -(x.exp() / sum) * (x - sum.ln()))
            .sum();
        assert!((taught - (0.5 * plain + 0.5 * 4.0 * entropy)).abs() < 1e-5);

        // Features count by the share of the teacher's variance that is not explained.
        let features = |rows: [[f32; 2]; 2]| Some(Tensor::<2>::from_floats(rows, &device));
        let lesson = Lesson {
            features: features([[1.0, 4.0], [3.0, 4.0]]),
            ..own.clone()
        };
        let said = Lesson {
            features: features([[1.0, 4.0], [2.0, 5.0]]),
            ..own
        };
        let both = value(loss.of(said, targets.clone(), Some(lesson.clone())));
        assert!((both - (taught + 0.25 * (2.0 / 4.0) / (2.0 / 4.0))).abs() < 1e-5);
        let same = value(loss.of(lesson.clone(), targets, Some(lesson)));
        assert!((same - taught).abs() < 1e-6);
    }

    #[test]
    fn correct_answers_are_counted() {
        let device = Device::flex();
        let logits = Tensor::<2>::from_floats([[1.0, 2.0], [3.0, 0.0], [0.0, 9.0]], &device);
        let labels = Tensor::<1, Int>::from_ints([1, 0, 0], &device);
        assert_eq!(count_correct(logits, labels).into_scalar::<i32>(), 2);
    }
}
