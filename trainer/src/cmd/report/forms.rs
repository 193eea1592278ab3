//! The forms of one model that lie in a folder: the run, the float file, the integers, the .kiln file.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::bail;
use kiln_core::layer::Layer;
use kiln_report::Size;
use kiln_run::engine::LoadedModel;
use kiln_runtime::onnx;

use crate::cmd::compile::stem;
use crate::cmd::model::file;
use crate::cmd::ui;
use crate::inference::{Foreign, Model};
use crate::run::{Run, is_run};

/// A model and the file that holds it.
pub struct Form {
    /// The file.
    pub path: PathBuf,
    /// What it holds.
    pub model: Model,
}

/// What was found.
pub struct Forms {
    /// The path that was named.
    named: PathBuf,
    /// The run that it comes from.
    pub run: Option<Run>,
    /// Floats in ONNX.
    pub float: Option<Form>,
    /// Integers in ONNX.
    pub int8: Option<Form>,
    /// The compiled file.
    pub kiln: Option<Form>,
}

impl Forms {
    /// Opens `path` and what belongs to it. What lies beside it and cannot be opened is named on stderr
    /// and left out.
    pub fn open(path: &Path, foreign: &Foreign) -> anyhow::Result<Self> {
        let mut forms = Self {
            named: path.to_owned(),
            run: None,
            float: None,
            int8: None,
            kiln: None,
        };
        let folder = match path.is_dir() {
            true => path,
            false => path.parent().unwrap_or(Path::new("")),
        };
        match Model::open(path, foreign)? {
            Model::Run(run) => forms.run = Some(*run),
            model => forms.put(path, model),
        }
        let name = match path.is_dir() {
            true => "model".to_owned(),
            false => stem(path),
        };
        for ending in ["onnx", "int8.onnx", "kiln"] {
            let beside = folder.join(format!("{name}.{ending}"));
            if !beside.is_file() || beside == path {
                continue;
            }
            match Model::open(&beside, foreign) {
                Ok(model) => forms.put(&beside, model),
                Err(error) => ui::say(format!("left out: {}", ui::reason(&error))),
            }
        }
        forms.complete_float();
        if forms.run.is_none() && is_run(folder) {
            let run = Run::open(folder);
            // A file in a run's folder need not come from it.
            forms.run = run.ok().filter(|run| forms.belongs(run));
        }
        forms.agree()?;
        forms.keep_one_quantization();
        Ok(forms)
    }

    /// A float file from elsewhere carries no labels and no recipe; those of its integers are its own.
    fn complete_float(&mut self) {
        let (Some(float), Some(int8)) = (&mut self.float, &self.int8) else {
            return;
        };
        let (Model::Float(file), Model::Int8(from, ..)) = (&mut float.model, &int8.model) else {
            return;
        };
        for key in [onnx::LABELS, onnx::RECIPE, onnx::LAYOUT] {
            if let (Err(_), Ok(value)) = (file.get(key), from.get(key)) {
                file.set(key, value);
            }
        }
    }

    /// Keeps the first of each kind.
    fn put(&mut self, path: &Path, model: Model) {
        let place = match &model {
            Model::Run(_) => return,
            Model::Float(_) => &mut self.float,
            Model::Int8(..) => &mut self.int8,
            Model::Kiln(..) => &mut self.kiln,
        };
        let path = path.to_owned();
        place.get_or_insert(Form { path, model });
    }

    /// All files, those nearest to a device last.
    pub fn files(&self) -> impl Iterator<Item = &Form> {
        let files = [&self.float, &self.int8, &self.kiln];
        files.into_iter().filter_map(|form| form.as_ref())
    }

    fn belongs(&self, run: &Run) -> bool {
        let mut files = self.files();
        files.all(|form| form.model.labels().is_ok_and(|labels| labels == run.labels))
    }

    /// Files of one name that hold different models would make a report of neither.
    fn agree(&self) -> anyhow::Result<()> {
        let mut seen = self.run.as_ref().map(|run| run.labels.clone());
        for form in self.files() {
            let Ok(labels) = form.model.labels() else {
                continue;
            };
            match &seen {
                Some(others) if *others != labels => bail!(
                    "{}: its classes are {labels:?}, those of the files beside it {others:?}; they are \
                     different models: move one away, or give it another name",
                    form.path.display()
                ),
                _ => seen = Some(labels),
            }
        }
        Ok(())
    }

    /// Where the compiled file holds other integers than the ONNX file, the one that was not named is left out.
    fn keep_one_quantization(&mut self) {
        let (Some(int8), Some(kiln)) = (&self.int8, &self.kiln) else {
            return;
        };
        if points(&int8.model) == points(&kiln.model) {
            return;
        }
        let left_out = match kiln.path == self.named {
            true => self.int8.take(),
            false => self.kiln.take(),
        };
        if let Some(form) = left_out {
            ui::say(format!(
                "left out: {}, which holds another quantization than the file beside it; kiln compile makes a .kiln file \
                 of the int8 one",
                form.path.display()
            ));
        }
    }

    /// The integers as the engine runs them: the .kiln file's where there is one.
    pub fn integers(&self) -> Option<&LoadedModel> {
        loaded(&self.kiln.as_ref().or(self.int8.as_ref())?.model)
    }

    /// Class names; none where no form has them.
    pub fn labels(&self) -> Vec<String> {
        if let Some(run) = &self.run {
            return run.labels.clone();
        }
        let mut labels = self.files().filter_map(|form| form.model.labels().ok());
        labels.next().unwrap_or_default()
    }

    /// The model's name.
    pub fn title(&self) -> String {
        let named = self.named.canonicalize();
        let named = named.as_ref().unwrap_or(&self.named);
        match named.is_dir() {
            true => named
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            false => file::name(named),
        }
    }

    /// Bytes of the files, the one nearest to a device first, and of the memory.
    pub fn sizes(&self) -> Vec<Size> {
        let mut sizes = Vec::new();
        let of = |form: &Form, note: String| {
            let name = form.path.file_name().unwrap_or_default().to_string_lossy();
            let bytes = std::fs::metadata(&form.path).ok()?.len();
            Some(Size {
                name: name.into_owned(),
                bytes,
                note,
            })
        };
        if let (Some(form), Some(model)) = (&self.kiln, self.integers()) {
            let target = model.model().target().name();
            sizes.extend(of(form, format!("compiled for {target}")));
        }
        if let Some(form) = &self.int8 {
            sizes.extend(of(form, "int8, ONNX".into()));
        }
        if let Some(form) = &self.float {
            sizes.extend(of(form, "float, ONNX".into()));
        }
        if let Some(model) = self.integers() {
            let model = model.model();
            let mut add = |name: &str, bytes: u64, note: &str| {
                let (name, note) = (name.into(), note.into());
                sizes.push(Size { name, bytes, note });
            };
            let constants = model
                .layers()
                .map(|(_, layer)| super::layers::constants(&layer));
            add(
                "weights",
                constants.sum(),
                "and other constants of the layers",
            );
            add(
                "arena",
                model.arena_bytes() as u64,
                "memory of an inference",
            );
        }
        sizes
    }
}

/// The integers as the engine runs them.
fn loaded(model: &Model) -> Option<&LoadedModel> {
    match model {
        Model::Int8(_, _, model) | Model::Kiln(_, model) => Some(model),
        Model::Run(_) | Model::Float(_) => None,
    }
}

/// The layers with the zero points that they write with, and the scale of the logits: another quantization has others.
fn points(model: &Model) -> Option<(BTreeSet<(&str, i8)>, f32)> {
    let model = loaded(model)?.model();
    let point = |(name, layer): (_, Layer<'_>)| (name, layer.output().zero_point);
    Some((model.layers().map(point).collect(), model.output_scale()))
}
