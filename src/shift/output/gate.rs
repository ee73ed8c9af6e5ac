//! Limits on statistics, for scripts that must stop when a model moved too far.
//!
//! Owns which limits are not met, or not known to be, and how that is worded. Not here: exit codes (`cli`).

use super::statistic::Statistic;
use super::summary::Of;
use crate::error::Result;
use crate::shift::result::comparison::Comparison;
use crate::shift::result::kl_estimate::{KlEstimate, of_measure};
use crate::shift::result::pair::Pair;
use crate::shift::token::measures::{KL_BOUNDS, is_of_pairs};

/// Which side of a limit a statistic must stay on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    AtMost,
    AtLeast,
}

/// A limit that a statistic must keep in every pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    statistic: Statistic,
    side: Side,
    value: f64,
}

impl Limit {
    /// The upper end of the 95% interval of the statistic of this name must not lie above `value`.
    ///
    /// # Errors
    /// [`crate::Error::Usage`] if there is no such statistic, with the names of those there are.
    pub fn at_most(statistic: &str, value: f64) -> Result<Self> {
        Ok(Self { statistic: Statistic::of_name(statistic)?, side: Side::AtMost, value })
    }

    /// The lower end of it must not lie below `value`.
    ///
    /// # Errors
    /// As [`Limit::at_most`].
    pub fn at_least(statistic: &str, value: f64) -> Result<Self> {
        Ok(Self { statistic: Statistic::of_name(statistic)?, side: Side::AtLeast, value })
    }

    /// Whether it is on a quantile, which is computed on request.
    pub fn is_on_quantile(&self) -> bool {
        self.statistic.is_quantile()
    }
}

/// A limit that a pair does not keep, or is not known to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The pair, the statistic, and what is wrong.
    pub message: String,
    /// The statistic's interval reaches beyond the limit; else nothing is known of it.
    pub is_known: bool,
}

/// One entry for each pair and limit that it does not keep, or is not known to: without any value or interval, of tables
/// with missing parts, at another temperature than 1, or of a measure that does not estimate KL on this text. One for each
/// pair that is not compared.
pub fn unmet(comparison: &Comparison, limits: &[Limit]) -> Vec<Unmet> {
    let of_pair = |pair| limits.iter().filter_map(move |limit| of_limit(pair, limit));
    let not_compared = comparison.not_compared.iter().filter(|_| !limits.is_empty());
    let not_compared = not_compared.map(|pair| Unmet {
        message: format!("{}, so it is not known to meet any limit", pair.described()),
        is_known: false,
    });
    comparison.pairs.iter().flat_map(of_pair).chain(not_compared).collect()
}

fn of_limit(pair: &Pair, limit: &Limit) -> Option<Unmet> {
    let Limit { statistic, side, value } = limit;
    let (what, is_known) = match reach(pair, limit) {
        Ok(end) => {
            let keeps = if *side == Side::AtMost { end <= *value } else { end >= *value };
            if keeps {
                return None;
            }
            let beyond = if *side == Side::AtMost { "above" } else { "below" };
            let what = if statistic.is_end() {
                format!("is {end}, {beyond} {value}")
            } else {
                let of = if statistic.is_quantile() { "quantile" } else { "mean" };
                let verb = if *side == Side::AtMost { "ends" } else { "begins" };
                format!("the 95% interval of the {of} {verb} at {end}, {beyond} {value}")
            };
            (what, true)
        }
        Err(why) => {
            let bound = if *side == Side::AtMost { "most" } else { "least" };
            (format!("{why}, so it is not known to be at {bound} {value}"), false)
        }
    };
    Some(Unmet { message: format!("{}: {}: {what}", pair.title(), statistic.name()), is_known })
}

/// The end of the statistic's interval on the side of the limit, or why it is not known.
fn reach(pair: &Pair, Limit { statistic, side, .. }: &Limit) -> Result<f64, String> {
    let temperature = pair.exact.as_ref().map(|exact| exact.temperature).filter(|t| *t != 1.0);
    if let Some(temperature) = temperature.filter(|_| is_of_pairs(statistic.of)) {
        return Err(format!("is at temperature {temperature}, not 1"));
    }
    if let Some(caveat) = of_measure(statistic.of, &pair.kl_estimate).and_then(KlEstimate::caveat) {
        return Err(caveat);
    }
    let Some(estimate) = statistic.value(Of::Pair(pair)) else {
        if is_of_pairs(statistic.of) && pair.exact.is_none() {
            return Err("there are no exact measures (`kl --exact` or `score --exact` computes them)".to_owned());
        }
        let no_bound = pair.heads.and_then(|heads| heads.no_upper_bound()).filter(|_| statistic.of == KL_BOUNDS[1]);
        return Err(no_bound.unwrap_or_else(|| "no token has it".to_owned()));
    };
    if pair.partial.is_some() {
        return Err("parts are missing".to_owned());
    }
    let end = if *side == Side::AtMost { estimate.high } else { estimate.low };
    match end {
        _ if !estimate.value.is_finite() => Err(format!("the value is {}", estimate.value)),
        _ if statistic.is_end() => Ok(estimate.value),
        Some(end) => Ok(end),
        None if statistic.is_quantile() => Err("there are too few clusters for its interval".to_owned()),
        None if estimate.clusters < 2 => Err("one cluster has no interval".to_owned()),
        None => Err("it has no interval".to_owned()),
    }
}
