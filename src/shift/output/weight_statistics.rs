//! The statistics of importance weights, one by one, for tables of statistics.
//!
//! Owns their names. Not here: the table (`statistics`).

use crate::shift::numbers::stats::Estimate;
use crate::shift::result::weights::{WeightFigures, WeightLevel, Weights};

/// A measure, a statistic of it, and its value.
type Figure = (&'static str, &'static str, Option<Estimate>);

/// Those of all samples, and those of each step.
pub fn of(weights: &Weights) -> Vec<(Option<f64>, Vec<Figure>)> {
    let steps = weights.by_step.iter().map(|of| (Some(of.step), of_figures(&of.figures)));
    std::iter::once((None, of_figures(&weights.all))).chain(steps).collect()
}

fn of_figures(figures: &WeightFigures) -> Vec<Figure> {
    let levels = [
        ("weight_token", Some(&figures.token)),
        ("weight_sequence", figures.sequence.as_ref()),
        ("weight_sequence_mean", figures.sequence_mean.as_ref()),
    ];
    let tokens = [
        ("kl_k2", figures.kl_k2),
        ("abs_delta_logprob", figures.abs_delta_logprob),
        ("exp_abs_delta_logprob", figures.exp_abs_delta_logprob),
    ];
    let of_level = |(name, level): (&'static str, Option<&WeightLevel>)| {
        let statistics = level.map(|of| {
            let extreme = |value| Estimate::around(value, None, 0.0, of.mean.clusters, of.mean.n);
            [
                ("mean", of.mean),
                ("min", extreme(of.min)),
                ("max", extreme(of.max)),
                ("share_outside", of.share_outside),
                ("share_above_cap", of.share_above_cap),
                ("ess", of.ess),
                ("mean_capped", of.mean_capped),
                ("ess_capped", of.ess_capped),
                ("chi2", of.chi2),
                ("chi2_of_ess", of.chi2_of_ess),
            ]
        });
        statistics.into_iter().flatten().map(move |(statistic, value)| (name, statistic, Some(value)))
    };
    let of_tokens = tokens.map(|(name, value)| (name, "token_mean", Some(value)));
    levels.into_iter().flat_map(of_level).chain(of_tokens).collect()
}
