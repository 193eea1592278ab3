//! Steps on one device, or on several at once by burn's own multi-device engine.

use std::cell::RefCell;

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::optim::{GradientsAccumulator, GradientsParams};
use burn::tensor::Device;
use burn::train::train::MultiDevicesTrainStep;
use burn::train::{TrainOutput, TrainStep};

use super::TrainError;
use super::lessons::Lessons;
use super::optimizer::scale;
use super::replica::{self, Replica};
use super::step::{Loss, ReplicaOutput, StepInput, StepOutput};
use crate::data::loader::Loader;
use crate::model::Network;

/// Turns batches into gradients.
pub struct Engine {
    /// With autodiff; the first holds the weights.
    devices: Vec<Device>,
    /// Workers, where there is more than one device.
    workers: Option<MultiDevicesTrainStep<Replica>>,
}

impl Engine {
    pub fn new(devices: &[Device]) -> Self {
        let devices: Vec<_> = devices.iter().cloned().map(Device::autodiff).collect();
        let workers = (devices.len() > 1).then(|| MultiDevicesTrainStep::new(&devices));
        Self { devices, workers }
    }

    /// Devices, so batches in a step.
    pub fn devices(&self) -> usize {
        self.devices.len()
    }

    /// Seeds what the devices draw: each draws something else.
    pub fn seed(&self, seed: u64) {
        for (index, device) in (0u64..).zip(&self.devices) {
            device.seed(seed.wrapping_add(index << 32));
        }
    }

    /// Takes a batch for each device; gives the mean of their gradients, on the first device.
    pub fn step(
        &self,
        network: &Network,
        loader: &mut Loader,
        lessons: Option<&mut Lessons<'_>>,
        loss: Loss,
    ) -> Result<(GradientsParams, Vec<StepOutput>), TrainError> {
        let source = RefCell::new(Source {
            loader,
            lessons,
            loss,
            given: 0,
            error: None,
        });
        let feed = |device| Feed {
            source: &source,
            device,
        };
        let mut feeds: Vec<_> = self.devices.iter().map(feed).collect();
        let result = match &self.workers {
            None => feeds[0].next().and_then(Result::ok).map(|input| {
                let output = TrainStep::step(network, input);
                (output.grads, vec![output.item])
            }),
            Some(workers) => {
                let mut feeds: Vec<Box<dyn DataLoaderIterator<StepInput> + '_>> = feeds
                    .into_iter()
                    .map(|feed| Box::new(feed) as Box<dyn DataLoaderIterator<StepInput> + '_>)
                    .collect();
                let (outputs, _) = workers
                    .step(&mut feeds, &Replica(network.clone()))
                    .map_err(|error| TrainError::Device(error.to_string()))?;
                self.mean(network, outputs.into_iter().map(|output| output.output))
            }
        };
        if let Some(error) = source.into_inner().error {
            return Err(error);
        }
        result.ok_or_else(|| TrainError::Device("no batch was left for this step".into()))
    }

    /// The mean gradient of several batches; the network gets the mean of their statistics.
    fn mean(
        &self,
        network: &Network,
        outputs: impl Iterator<Item = TrainOutput<ReplicaOutput>>,
    ) -> Option<(GradientsParams, Vec<StepOutput>)> {
        // They come as they are ready, but sums of floats depend on the order.
        let mut outputs: Vec<_> = outputs.collect();
        outputs.sort_by_key(|output| output.item.index);
        let mut sum = GradientsAccumulator::new();
        let (mut items, mut statistics) = (Vec::new(), Vec::new());
        for output in outputs {
            sum.accumulate(network, output.grads.to_device(&self.devices[0], network));
            items.push(output.item.output);
            statistics.push(output.item.statistics);
        }
        replica::merge(network, &statistics, &self.devices[0]);
        let share = 1.0 / items.len().max(1) as f64;
        (!items.is_empty()).then(|| (scale(network, sum.grads(), share), items))
    }
}

/// The loader, shared by the feeds of all devices.
struct Source<'a, 't> {
    loader: &'a mut Loader,
    lessons: Option<&'a mut Lessons<'t>>,
    loss: Loss,
    /// Batches of this step so far.
    given: usize,
    /// burn's engine has no room for our errors.
    error: Option<TrainError>,
}

/// One device's batches: the next of the loader, whoever asks.
struct Feed<'a, 'b, 't> {
    source: &'a RefCell<Source<'b, 't>>,
    device: &'a Device,
}

impl Source<'_, '_> {
    fn next(&mut self, device: &Device) -> Option<Result<StepInput, TrainError>> {
        let batch = match self.loader.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(error.into())),
        };
        let lessons = self.lessons.as_mut();
        let lesson = match lessons.map(|lessons| lessons.of(&batch)).transpose() {
            Ok(lesson) => lesson,
            Err(error) => return Some(Err(error)),
        };
        let mut input = StepInput::new(&batch, lesson, self.loss, device);
        input.index = self.given;
        self.given += 1;
        Some(Ok(input))
    }
}

impl Iterator for Feed<'_, '_, '_> {
    type Item = Result<StepInput, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut source = self.source.borrow_mut();
        match source.next(self.device)? {
            Ok(input) => Some(Ok(input)),
            Err(error) => {
                source.error = Some(error);
                None
            }
        }
    }
}

impl DataLoaderIterator<StepInput> for Feed<'_, '_, '_> {
    fn progress(&self) -> Progress {
        Progress::new(0, 1, None)
    }
}
