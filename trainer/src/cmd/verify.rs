//! `kiln verify`

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Args;
use kiln_run::engine::{Input, LoadedModel};
use kiln_run::layout::{Layout, reorder};
use kiln_run::pictures::{files, pixels};
use kiln_runtime::compile::kept_channels;
use kiln_runtime::float::FloatModel;
use kiln_runtime::verify::{
    Coverage, Difference, TractLayers, compare, first_difference_from_tract,
};
use serde::Serialize;

use super::compile::stem;
use super::ui::{self, LazyBar, at_least_one};
use crate::evaluate::{argmax, largest_gap};
use crate::inference::{Foreign, Model, normalised};

/// `kiln verify`
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Examples:
  kiln verify runs/first photos                  model.onnx, model.int8.onnx and model.kiln of a folder
  kiln verify model.kiln photos --pictures 500
  kiln verify model.kiln photos --int8 other.int8.onnx

The .kiln file must give the bytes that the quantized ONNX file stands for, layer by layer. Files for Cortex-M
are without channels that no result depends on: of such layers the channels that are left are compared, and it
is said how many there are. tract, which computes the quantized file in floats, may be off by --tract-steps.

Exit codes: 0 they agree, 1 they do not, 2 an error.")]
pub struct VerifyArgs {
    /// A .kiln file or a quantized ONNX file, beside which the others lie; or a folder with all.
    pub model: PathBuf,
    /// Pictures.
    pub data: PathBuf,
    /// The float ONNX file [default: the one beside MODEL, with the ending .onnx].
    #[arg(long, value_name = "FILE")]
    pub float: Option<PathBuf>,
    /// The quantized ONNX file [default: the one beside MODEL, with the ending .int8.onnx].
    #[arg(long, value_name = "FILE")]
    pub int8: Option<PathBuf>,
    /// Pictures compared at most, evenly from all of them.
    #[arg(long, default_value_t = 100, value_parser = at_least_one)]
    pub pictures: usize,
    /// How far a logit by tract may be off, in steps of its quantization.
    #[arg(long, default_value_t = 4)]
    pub tract_steps: u8,
    /// Print the outcome as JSON.
    #[arg(long)]
    pub json: bool,
    /// What a model from elsewhere lacks.
    #[command(flatten)]
    pub foreign: Foreign,
}

impl VerifyArgs {
    /// What the command line has where model and pictures are named.
    pub fn of(model: &Path, data: &Path) -> Self {
        Self {
            model: model.to_owned(),
            data: data.to_owned(),
            float: None,
            int8: None,
            pictures: 100,
            tract_steps: 4,
            json: false,
            foreign: Foreign::default(),
        }
    }
}

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Outcome {
    pictures: usize,
    /// Golden vectors in the .kiln file, all of which came out right.
    golden: usize,
    /// Pictures on which the .kiln file's layers have the quantized file's bytes.
    same_bytes: usize,
    /// How many of the .kiln file's layers are compared, and how; none without a .kiln file.
    layers: Option<Coverage>,
    first_difference: Option<Difference>,
    /// Pictures on which tract's logits are within the steps allowed.
    tract_within: usize,
    /// Pictures on which tract's logits are the engine's, to the bit.
    tract_same: usize,
    first_difference_from_tract: Option<Difference>,
    /// Pictures on which the float model names the same class; none without a float model.
    float_agrees: Option<usize>,
}

/// The three forms of a model.
struct Forms {
    float: Option<FloatModel>,
    reference: LoadedModel,
    kiln: Option<(PathBuf, LoadedModel)>,
    /// The channels that a narrowed .kiln file keeps, by layer.
    kept: HashMap<String, Vec<bool>>,
    tract: TractLayers,
}

/// Compares.
pub fn run(args: &VerifyArgs) -> anyhow::Result<ExitCode> {
    let forms = open(args)?;
    let Some(recipe) = forms.reference.model().recipe() else {
        bail!("the model carries no recipe for pictures; give --recipe");
    };
    let all = files(std::slice::from_ref(&args.data))?;
    let step = all.len().div_ceil(args.pictures).max(1);
    let chosen: Vec<_> = all.iter().step_by(step).collect();
    let bar = LazyBar::default();
    let mut outcome = Outcome {
        float_agrees: forms.float.as_ref().map(|_| 0),
        ..Default::default()
    };
    let mut reference = forms.reference.engine();
    let mut kiln = forms.kiln.as_ref().map(|(_, model)| model.engine());
    if let Some(engine) = &mut kiln {
        outcome.golden = engine.verify_golden()?;
    }
    let mut scratch = Vec::new();
    for (index, file) in chosen.iter().enumerate() {
        bar.show("verifying", index, chosen.len());
        let pixels = match pixels(file, &recipe, &mut scratch) {
            Ok(pixels) => pixels,
            Err(error) => {
                bar.line(&format!("left out: {error}"));
                continue;
            }
        };
        outcome.pictures += 1;
        let input = reference.quantized(Input::Pixels(&pixels))?;
        let logits = reference.logits(Input::Quantized(&input))?;
        if let Some(engine) = &mut kiln {
            let compared = compare(&mut reference, engine, &input, &forms.kept)?;
            outcome.layers = Some(compared.layers);
            match compared.first_difference {
                None => outcome.same_bytes += 1,
                found => outcome.first_difference = outcome.first_difference.or(found),
            }
        }
        let values = normalised(&pixels, &recipe);
        let shape = forms.reference.model().input().shape;
        let nchw = reorder(&values, shape, Layout::Nhwc);
        let as_file = |layout: Layout| match layout {
            Layout::Nchw => &nchw,
            Layout::Nhwc => &values,
        };
        let tract = forms.tract.run(as_file(forms.tract.layout()))?;
        let scale = forms.reference.model().output_scale();
        let steps = largest_gap(&logits, &tract.logits) / scale;
        outcome.tract_same += usize::from(logits == tract.logits);
        if steps <= f32::from(args.tract_steps) + 0.5 {
            outcome.tract_within += 1;
        }
        if outcome.first_difference_from_tract.is_none() {
            outcome.first_difference_from_tract =
                first_difference_from_tract(&mut reference, &input, &tract, 0)?;
        }
        if let (Some(model), Some(agrees)) = (&forms.float, &mut outcome.float_agrees) {
            let float = model.run(as_file(model.layout()))?;
            *agrees += usize::from(argmax(&float) == argmax(&logits));
        }
    }
    bar.clear();
    if outcome.pictures == 0 {
        bail!("{}: no pictures", args.data.display());
    }
    report(args, &forms, &outcome)
}

fn report(args: &VerifyArgs, forms: &Forms, outcome: &Outcome) -> anyhow::Result<ExitCode> {
    let n = outcome.pictures;
    let same = forms.kiln.is_none() || outcome.same_bytes == n;
    let agree = same && outcome.tract_within == n;
    if args.json {
        ui::print(serde_json::to_string(outcome)?)?;
    } else {
        let all = |count: usize| format!("{count} of {n} pictures");
        if let Some((path, _)) = &forms.kiln {
            let name = path.display();
            let layers = outcome.layers.unwrap_or_default();
            ui::print(format!(
                "{name}: {} the quantized file's bytes on {}",
                compared(&layers),
                all(outcome.same_bytes)
            ))?;
            if layers.narrowed > 0 {
                ui::print(format!(
                    "  {} compared by the channels that are left: no result depends on the others",
                    counted(layers.narrowed)
                ))?;
            }
            if layers.unknown > 0 {
                ui::print(format!(
                    "  {} not compared: the quantized file has no such layer, or one with other channels",
                    counted(layers.unknown)
                ))?;
            }
            if outcome.golden > 0 {
                ui::print(format!(
                    "{name}: golden vectors that come out right: {}",
                    outcome.golden
                ))?;
            }
        }
        if let Some(found) = &outcome.first_difference {
            ui::print(format!("  the first layer that differs: {}", text(found)))?;
        }
        ui::print(format!(
            "tract: its logits are the same on {}, within {} steps on {}",
            all(outcome.tract_same),
            args.tract_steps,
            all(outcome.tract_within)
        ))?;
        if let Some(found) = &outcome.first_difference_from_tract {
            ui::print(format!("  the first layer that differs: {}", text(found)))?;
        }
        match outcome.float_agrees {
            Some(count) => ui::print(format!("float: it names the same class on {}", all(count)))?,
            None => ui::print("float: no float model; --float names one")?,
        }
    }
    Ok(if agree {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}

/// The layers that are compared, and that they have something.
fn compared(layers: &Coverage) -> String {
    let count = layers.whole + layers.narrowed;
    match layers.unknown {
        0 => "every layer has".to_owned(),
        unknown => format!("{count} of {} layers have", count + unknown),
    }
}

fn counted(layers: usize) -> String {
    match layers {
        1 => "1 layer is".to_owned(),
        count => format!("{count} layers are"),
    }
}

fn text(difference: &Difference) -> String {
    let Difference {
        layer,
        differing,
        values,
        steps,
    } = difference;
    format!("`{layer}`, {differing} of {values} values, by {steps} steps at most")
}

/// Finds and opens what belongs together.
fn open(args: &VerifyArgs) -> anyhow::Result<Forms> {
    if !args.model.exists() {
        bail!("{}: no such file", args.model.display());
    }
    let (folder, name) = match args.model.is_dir() {
        true => (args.model.clone(), "model".to_owned()),
        false => (
            args.model.parent().unwrap_or(Path::new("")).to_owned(),
            stem(&args.model),
        ),
    };
    let beside =
        |ending: &str| Some(folder.join(format!("{name}.{ending}"))).filter(|p| p.is_file());
    let given = |ending: &str| {
        let matches = args.model.to_string_lossy().ends_with(ending);
        (matches && args.model.is_file()).then(|| args.model.clone())
    };
    let kiln = given(".kiln").or_else(|| beside("kiln"));
    let int8 = args
        .int8
        .clone()
        .or_else(|| given(".int8.onnx"))
        .or_else(|| beside("int8.onnx"));
    let int8 = int8.or_else(|| given(".onnx").filter(|_| args.float.is_some()));
    let Some(int8) = int8 else {
        bail!(
            "{}: no quantized ONNX file beside it; name it: --int8 FILE",
            args.model.display()
        );
    };
    let Model::Int8(file, graph, reference) = Model::open(&int8, &args.foreign)? else {
        bail!("{}: it is not a quantized ONNX file", int8.display());
    };
    let float = args.float.clone().or_else(|| beside("onnx"));
    let float = match float {
        Some(path) if path != int8 => match Model::open(&path, &args.foreign)? {
            Model::Float(file) => Some(FloatModel::new(&file)?),
            _ => bail!("{}: it is not a float ONNX file", path.display()),
        },
        _ => None,
    };
    let kiln = kiln
        .map(|path| LoadedModel::open(&path).map(|model| (path, model)))
        .transpose()?;
    if let Some((path, model)) = &kiln
        && model.model().input().shape != reference.model().input().shape
    {
        bail!(
            "{}: it is not compiled from {}",
            path.display(),
            int8.display()
        );
    }
    let tract = TractLayers::new(&file, &graph).with_context(|| int8.display().to_string())?;
    let kept = kept_channels(&graph).with_context(|| int8.display().to_string())?;
    Ok(Forms {
        float,
        reference,
        kiln,
        kept,
        tract,
    })
}
