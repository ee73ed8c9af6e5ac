//! The limits that RL frameworks state for the mismatch of a rollout engine and a trainer.
//!
//! Owns the thresholds and whose they are. verl's documentation (`docs/algo/rollout_corr.md`) names a mean weight outside
//! 0.5 to 2 and an effective sample size below 0.3; NeMo-RL's (`docs/guides/grpo.md`) a mean of e^|d| above 1.05 and a
//! KL above 1e-3, which it computes as k3.

use super::sequence::FAR;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::weights::{Alarm, WeightFigures, WeightLevel};

/// verl's limit on the effective sample size.
pub const LEAST_ESS: f64 = 0.3;
/// NeMo-RL's limit on the mean of e^|d|.
pub const MOST_EXP_ABS: f64 = 1.05;
/// NeMo-RL's limit on KL.
pub const MOST_KL: f64 = 1e-3;

/// On which side of a limit an alarm is.
#[derive(Clone, Copy)]
enum Beyond {
    Below(f64),
    Above(f64),
}

/// Every limit that is not kept. A value at its limit keeps it.
pub fn alarms(figures: &WeightFigures) -> Vec<Alarm> {
    let mut found = Vec::new();
    let levels = [("token", Some(&figures.token)), ("sequence", figures.sequence.as_ref())];
    for (name, level) in levels.into_iter().filter_map(|(name, level)| Some((name, level?))) {
        found.extend(of_level(name, level));
    }
    let nemo = [
        ("exp_abs_delta_logprob", figures.exp_abs_delta_logprob, Beyond::Above(MOST_EXP_ABS)),
        ("kl_k3", figures.kl_k3, Beyond::Above(MOST_KL)),
    ];
    found.extend(nemo.into_iter().filter_map(|(name, value, limit)| alarm("nemo-rl", name.to_owned(), value, limit)));
    found
}

fn of_level(name: &str, level: &WeightLevel) -> impl Iterator<Item = Alarm> {
    let [low, high] = FAR;
    let limits = [
        ("mean", level.mean, Beyond::Below(low)),
        ("mean", level.mean, Beyond::Above(high)),
        ("ess", level.ess, Beyond::Below(LEAST_ESS)),
    ];
    limits.into_iter().filter_map(move |(of, value, limit)| alarm("verl", format!("{name}.{of}"), value, limit))
}

fn alarm(framework: &str, statistic: String, estimate: Estimate, beyond: Beyond) -> Option<Alarm> {
    let Estimate { value, low, high, .. } = estimate;
    let (is_beyond, is_clear, limit) = match beyond {
        Beyond::Below(limit) => (value < limit, high.is_some_and(|high| high < limit), format!("below {limit}")),
        Beyond::Above(limit) => (value > limit, low.is_some_and(|low| low > limit), format!("above {limit}")),
    };
    let framework = framework.to_owned();
    is_beyond.then_some(Alarm { framework, statistic, value, limit, is_clear })
}
