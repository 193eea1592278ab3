//! What a worker thread of the loader does.

use std::iter::{self, StepBy};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use kiln_core::preprocess::{PictureView, Recipe};

use super::pixels::{Inputs, Pixels, tables};
use super::{Batch, LoaderError, LoaderOptions};
use crate::data::augment::{AugmentConfig, augment, augment_pixels, mix};
use crate::data::cache::{Cache, Form};
use crate::data::random::stream;

/// What the workers share.
pub struct Plan {
    pub cache: Arc<Cache>,
    /// How the network sees a picture.
    pub seen: Seen,
    /// How its teacher does, where that differs.
    pub teacher: Option<Seen>,
    pub config: AugmentConfig,
    pub options: LoaderOptions,
    /// The epoch's pictures in order.
    pub order: Vec<usize>,
}

/// How someone sees a picture.
pub struct Seen {
    recipe: Recipe,
    /// `[channels]`: from a byte to the normalised value.
    tables: Vec<[f32; 256]>,
}

impl Seen {
    pub fn by(recipe: &Recipe) -> Self {
        Self {
            recipe: *recipe,
            tables: tables(recipe),
        }
    }
}

/// One worker's buffers.
#[derive(Default)]
struct Buffers {
    stored: Vec<u8>,
    scratch: Vec<i32>,
    /// `[height, width, channels]`.
    bytes: Vec<u8>,
}

impl Plan {
    /// Prepares batches, and puts them into the queue.
    pub fn prepare(
        &self,
        numbers: StepBy<Range<usize>>,
        queue: &SyncSender<Result<Batch, LoaderError>>,
    ) {
        let mut buffers = Buffers::default();
        for number in numbers {
            let batch = self.batch(number, &mut buffers);
            let failed = batch.is_err();
            if queue.send(batch).is_err() || failed {
                return;
            }
        }
    }

    fn batch(&self, number: usize, buffers: &mut Buffers) -> Result<Batch, LoaderError> {
        let options = &self.options;
        let start = number * options.batch;
        let end = (start + options.batch).min(self.order.len());
        let indices = self.order[start..end].to_vec();
        let bytes = options.bytes && !self.config.mixes();
        let room = |seen: &Seen| Inputs::zeros(bytes, indices.len(), &seen.recipe);
        let (mut inputs, mut teacher) = (room(&self.seen), self.teacher.as_ref().map(room));
        let mut targets = vec![0.0; indices.len() * options.classes];
        let mut labels = Vec::with_capacity(indices.len());
        for (row, &index) in indices.iter().enumerate() {
            let own = iter::once((&self.seen, &mut inputs));
            let views = own.chain(self.teacher.iter().zip(teacher.as_mut()));
            self.picture(index, row, views, buffers)?;
            let class = self.cache.samples()[index].class;
            targets[row * options.classes + class] = 1.0;
            labels.push(class);
        }
        if let Some(inputs) = &mut teacher {
            self.mix(number, inputs, &mut targets.clone());
        }
        self.mix(number, &mut inputs, &mut targets);
        Ok(Batch {
            number,
            inputs,
            teacher,
            targets,
            labels,
            indices,
        })
    }

    /// Mixes the pictures of a batch, the same way for all who see it.
    fn mix(&self, number: usize, inputs: &mut Inputs, targets: &mut [f32]) {
        let numbers = [self.options.seed, self.options.epoch, number as u64];
        let mut rng = stream("mix", &numbers);
        if let Pixels::Values(values) = &mut inputs.pixels {
            mix(&self.config, &mut rng, inputs.shape, values, targets);
        }
    }

    /// Puts an augmented picture into a batch's row, as each of `views` sees it: the same part of it, alike in
    /// all but the noise of erasing.
    fn picture<'a>(
        &self,
        index: usize,
        row: usize,
        views: impl Iterator<Item = (&'a Seen, &'a mut Inputs)>,
        buffers: &mut Buffers,
    ) -> Result<(), LoaderError> {
        let Buffers {
            stored,
            scratch,
            bytes,
        } = buffers;
        let numbers = [self.options.seed, self.options.epoch, index as u64];
        let picture = self.cache.picture(index, stored)?;
        for (Seen { recipe, tables }, inputs) in views {
            let mut rng = stream("augment", &numbers);
            bytes.resize(recipe.len(), 0);
            match self.cache.form() {
                Form::Exact(_) => {
                    bytes.copy_from_slice(picture.bytes);
                    augment_pixels(recipe, &self.config, &mut rng, bytes);
                }
                Form::Working { .. } => {
                    let view = PictureView::new(picture.width, picture.height, picture.bytes)?;
                    augment(view, recipe, &self.config, &mut rng, scratch, bytes)?;
                }
            }
            inputs.put(row, tables, bytes);
        }
        Ok(())
    }
}
