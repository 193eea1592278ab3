//! What there is to know to make a model again.

use kiln_core::preprocess::{Color, Fit, Recipe};
use kiln_report::{Card, Group};
use toml::{Table, Value};

use super::ReportArgs;
use super::forms::Forms;
use crate::inference::Model;

/// One line about the model.
pub fn subtitle(forms: &Forms, card: &Card) -> String {
    let mut parts = Vec::new();
    match forms.labels().len() {
        0 => {}
        n => parts.push(format!("{n} classes")),
    }
    if let Some(recipe) = recipe(forms) {
        let color = match recipe.color {
            Color::Rgb => "RGB",
            Color::Grey => "grey",
        };
        parts.push(format!("{}×{} {color}", recipe.width, recipe.height));
    }
    let network = card.groups.iter().find(|group| group.title == "model");
    let mut lines = network.into_iter().flat_map(|group| &group.lines);
    parts.extend(
        lines
            .find(|line| line.0 == "family")
            .map(|line| line.1.clone()),
    );
    if let Some(model) = forms.integers() {
        parts.push(format!("int8 for {}", model.model().target().name()));
    }
    parts.join(", ")
}

fn recipe(forms: &Forms) -> Option<Recipe> {
    let of = |model: &Model| model.recipe().ok();
    let files = [&forms.kiln, &forms.int8, &forms.float];
    let mut recipes = files
        .into_iter()
        .flatten()
        .filter_map(|form| of(&form.model));
    let run = || forms.run.as_ref().map(|run| run.config.recipe());
    recipes.next().or_else(run)
}

/// The card: of a run all that `run.toml` holds, of a file what it tells.
pub fn card(args: &ReportArgs, forms: &Forms) -> anyhow::Result<Card> {
    let mut card = Card {
        labels: forms.labels(),
        ..Card::default()
    };
    match &forms.run {
        Some(run) => {
            let mut config = run.config.clone();
            let provenance = config.provenance.take();
            card.groups = groups(&toml::from_str(&config.to_toml()?)?);
            if let Some(provenance) = provenance {
                card.command = provenance.command;
                let lines = [
                    ("kiln", provenance.kiln),
                    ("burn", provenance.burn),
                    ("device", provenance.device),
                    ("data hash", provenance.data_hash),
                ];
                let lines = lines.map(|(name, value)| (name.to_owned(), value)).to_vec();
                let title = "provenance".into();
                card.groups.push(Group { title, lines });
            }
        }
        None => {
            let title = "recipe".into();
            let lines = recipe(forms)
                .map(|recipe| recipe_lines(&recipe))
                .unwrap_or_default();
            card.groups.push(Group { title, lines });
        }
    }
    let mut lines = vec![
        ("model".to_owned(), args.model.display().to_string()),
        (
            "by".to_owned(),
            format!("kiln {}", env!("CARGO_PKG_VERSION")),
        ),
    ];
    if let Some(data) = &args.data {
        lines.push(("pictures".to_owned(), data.display().to_string()));
        lines.push(("split".to_owned(), args.split.name().to_owned()));
    }
    let title = "this report".into();
    card.groups.push(Group { title, lines });
    Ok(card)
}

fn recipe_lines(recipe: &Recipe) -> Vec<(String, String)> {
    let channels = recipe.channels();
    let numbers = |values: [f32; 3]| {
        let values = values.iter().take(channels).map(f32::to_string);
        values.collect::<Vec<_>>().join(", ")
    };
    let fit = match recipe.fit {
        Fit::Stretch => "stretch",
        Fit::Crop => "crop",
        Fit::Letterbox => "letterbox",
    };
    let lines = [
        ("size", format!("{}×{}", recipe.width, recipe.height)),
        ("channels", channels.to_string()),
        ("fit", fit.to_owned()),
        ("crop_pct", recipe.crop_pct.to_string()),
        ("mean", numbers(recipe.mean)),
        ("std", numbers(recipe.std)),
    ];
    lines.map(|(name, value)| (name.to_owned(), value)).to_vec()
}

/// A group for each table; what stands in none comes first.
fn groups(config: &Table) -> Vec<Group> {
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut run = Group {
        title: "run".into(),
        lines: Vec::new(),
    };
    let mut tables = Vec::new();
    for (name, value) in config {
        match value {
            Value::Table(table) => tables.push(Group {
                title: name.clone(),
                lines: table
                    .iter()
                    .map(|(key, value)| (key.clone(), text(value)))
                    .collect(),
            }),
            value => run.lines.push((name.clone(), text(value))),
        }
    }
    tables.insert(0, run);
    tables
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::RunConfig;

    #[test]
    fn every_key_of_a_run_is_on_its_card() {
        let groups = groups(&toml::from_str(&RunConfig::default().to_toml().unwrap()).unwrap());
        let find = |title: &str, key: &str| {
            let group = groups.iter().find(|group| group.title == title);
            let line = group.and_then(|group| group.lines.iter().find(|line| line.0 == key));
            line.map(|line| line.1.clone()).unwrap_or_default()
        };
        assert_eq!(find("run", "seed"), RunConfig::default().seed.to_string());
        assert_eq!(find("recipe", "fit"), "stretch");
        assert_eq!(find("recipe", "mean"), "[0.5, 0.5, 0.5]");
        assert!(find("training", "batch").parse::<usize>().is_ok());
    }
}
