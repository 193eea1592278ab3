//! Which choices are best: measured on the calibration pictures by the engine itself.

use super::build::{Built, Recipe, Variant, build};
use super::measure::{Score, measure};
use super::{Options, Progress, QuantizeError, Stage, WeightRange};
use crate::calibrate::{Calibration, Method};
use crate::report::Candidate;

/// The best quantization, and what was measured on the way.
pub(super) struct Chosen {
    pub recipe: Recipe,
    pub built: Built,
    pub candidates: Vec<Candidate>,
}

/// Tries what the options leave open: ranges with and without equalization first, then for the best of
/// them the finer choices.
pub(super) fn choose(
    variants: &[Variant],
    calibration: &mut dyn Calibration,
    options: &Options,
    progress: &dyn Fn(Progress),
) -> Result<Chosen, QuantizeError> {
    let methods = options
        .method
        .map_or(Method::ALL.to_vec(), |method| vec![method]);
    let indices = 0..variants.len();
    let recipes = indices.flat_map(|variant| {
        methods.iter().map(move |method| Recipe {
            variant,
            method: *method,
            correct_bias: options.correct_bias.unwrap_or(true),
            weights: options.weights.unwrap_or(WeightRange::Max),
        })
    });
    let mut trial = Trial {
        variants,
        options,
        candidates: Vec::new(),
    };
    let first = trial.best(recipes.collect(), Stage::Choose, calibration, progress)?;
    let recipe = first.0;
    let mut finer = vec![recipe];
    if options.correct_bias.is_none() {
        finer.push(Recipe {
            correct_bias: false,
            ..recipe
        });
    }
    if options.weights.is_none() {
        finer.push(Recipe {
            weights: WeightRange::Mse,
            ..recipe
        });
    }
    let (recipe, built) = match finer.len() {
        1 => first,
        _ => trial.best(finer, Stage::Refine, calibration, progress)?,
    };
    Ok(Chosen {
        recipe,
        built,
        candidates: trial.candidates,
    })
}

struct Trial<'a> {
    variants: &'a [Variant],
    options: &'a Options,
    /// All that was measured.
    candidates: Vec<Candidate>,
}

impl Trial<'_> {
    /// The best of some recipes. One alone needs no measuring.
    fn best(
        &mut self,
        recipes: Vec<Recipe>,
        stage: Stage,
        calibration: &mut dyn Calibration,
        progress: &dyn Fn(Progress),
    ) -> Result<(Recipe, Built), QuantizeError> {
        let meta = &self.options.meta;
        let mut built: Vec<Built> = recipes
            .iter()
            .map(|recipe| build(&self.variants[recipe.variant], *recipe, meta))
            .collect();
        let mut best = 0;
        if built.len() > 1 {
            let graph = &self.variants[0].graph;
            let graphs: Vec<_> = built.iter().map(|built| &built.graph).collect();
            let scores = measure(graph, &graphs, calibration, stage, progress)?;
            best = best_of(&scores);
            let told = recipes.iter().zip(&scores);
            let told = told.map(|(recipe, score)| candidate(self.variants, *recipe, score));
            let new: Vec<Candidate> = told
                .filter(|candidate| !self.candidates.contains(candidate))
                .collect();
            self.candidates.extend(new);
        }
        Ok((recipes[best], built.swap_remove(best)))
    }
}

fn candidate(variants: &[Variant], recipe: Recipe, score: &Score) -> Candidate {
    Candidate {
        method: recipe.method.name(),
        equalized: variants[recipe.variant].pairs > 0,
        bias_corrected: recipe.correct_bias,
        weights_by_mse: recipe.weights == WeightRange::Mse,
        top1: score.accuracy(),
        agreement: score.agreement(),
        sqnr_db: score.logits.db(),
    }
}

/// The index of the best score: of those that are right about as often as the one that is right most
/// often, the one whose logits are nearest. About as often is within one standard error of that accuracy
/// (the rule of Breiman et al., Classification and Regression Trees, 1984): a few hundred pictures do not
/// tell smaller differences from luck, while the logits are measured well. The finer choices start from the
/// best so far.
fn best_of(scores: &[Score]) -> usize {
    let most = scores.iter().map(|score| score.right).max().unwrap_or(0);
    let least = |score: &Score| {
        let (all, right) = (score.labelled as f64, most as f64);
        right - (right * (all - right).max(0.0) / all.max(1.0)).sqrt()
    };
    let good = (0..scores.len()).filter(|&at| scores[at].right as f64 >= least(&scores[at]));
    let nearest =
        |best: usize, next: usize| match scores[next].logits.db() > scores[best].logits.db() {
            true => next,
            false => best,
        };
    good.reduce(nearest).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::measure::Sqnr;
    use super::*;

    #[test]
    fn the_logits_decide_between_those_that_are_right_about_as_often() {
        let score = |right, error| Score {
            pictures: 1000,
            labelled: 1000,
            right,
            logits: Sqnr {
                signal: 1.0,
                noise: error,
            },
            ..Score::default()
        };
        let unlabelled = |error| Score {
            labelled: 0,
            ..score(0, error)
        };
        let cases = [
            // One standard error of 950 in 1000 is 6.9.
            (vec![score(900, 0.1), score(950, 0.5), score(943, 0.2)], 1),
            (vec![score(900, 0.1), score(950, 0.5), score(944, 0.2)], 2),
            (vec![score(950, 0.3), score(950, 0.2), score(940, 0.1)], 1),
            (vec![unlabelled(0.3), unlabelled(0.2), unlabelled(0.25)], 1),
            (vec![score(5, 0.2), score(5, 0.2)], 0),
        ];
        for (scores, expected) in cases {
            assert_eq!(best_of(&scores), expected, "{scores:?}");
        }
    }
}
