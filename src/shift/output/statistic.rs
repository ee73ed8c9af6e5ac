//! Statistics by their names, as limits and columns of tables name them.
//!
//! Owns these names. Not here: computing the statistics, and how they are shown.

use super::summary::Of;
use crate::error::{Error, Result};
use crate::shift::numbers::quantiles::QUANTILES;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::pair::Pair;
use crate::shift::token::measures::{self, Measure};

/// A statistic of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Statistic {
    /// What it is of: a measure of tokens, or a statistic that is no mean or quantile of one.
    pub of: &'static str,
    which: Which,
}

/// Which statistic of a measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Which {
    TokenMean,
    SampleMean,
    ResponseMean,
    Quantile(&'static str),
    /// It is one of [`DERIVED`].
    Derived,
}

/// Statistics that are no mean or quantile of a measure.
const DERIVED: [&str; 10] = [
    "perplexity_p",
    "perplexity_q",
    PERPLEXITY_RATIO,
    "perplexity_difference",
    "rms_delta_p",
    "log_perplexity_correlation",
    "stop_p",
    "stop_q",
    "delta_stop",
    "is_cut",
];

/// Perplexity of Q over that of P.
pub const PERPLEXITY_RATIO: &str = "perplexity_ratio";

/// Other names, and what they stand for.
const ALIASES: [(&str, &str); 1] = [("ppl_ratio", PERPLEXITY_RATIO)];

impl Statistic {
    /// `MEASURE`, `MEASURE.q0.99` (or another quantile), `MEASURE.sample_mean`, `MEASURE.response_mean`, or
    /// `perplexity_ratio` and the like.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is no such statistic, with the names of those there are.
    pub fn of_name(name: &str) -> Result<Self> {
        let name = ALIASES.iter().find(|(alias, _)| *alias == name).map_or(name, |(_, name)| name);
        if let Some(of) = DERIVED.into_iter().find(|derived| *derived == name) {
            return Ok(Self { of, which: Which::Derived });
        }
        if let Some(measure) = measures::ALL.iter().find(|measure| measure.name == name) {
            return Ok(Self { of: measure.name, which: Which::TokenMean });
        }
        let of_measure = measures::ALL.iter().find_map(|measure| {
            let rest = name.strip_prefix(measure.name)?.strip_prefix('.')?;
            Some((measure, rest))
        });
        let Some((measure, rest)) = of_measure else { return Err(unknown(name)) };
        let which = which(measure, rest).ok_or_else(|| unknown(name))?;
        Ok(Self { of: measure.name, which })
    }

    /// Its name.
    pub fn name(self) -> String {
        match self.which {
            Which::TokenMean | Which::Derived => self.of.to_owned(),
            Which::SampleMean => format!("{}.sample_mean", self.of),
            Which::ResponseMean => format!("{}.response_mean", self.of),
            Which::Quantile(name) => format!("{}.{name}", self.of),
        }
    }

    /// Whether it is a quantile, which is computed on request.
    pub fn is_quantile(self) -> bool {
        matches!(self.which, Which::Quantile(_))
    }

    /// Whether it is the least or the largest value, which has no interval.
    pub fn is_end(self) -> bool {
        matches!(self.which, Which::Quantile("min" | "max"))
    }

    /// The quantile's name.
    pub fn quantile(self) -> Option<&'static str> {
        if let Which::Quantile(name) = self.which { Some(name) } else { None }
    }

    /// Whether it is a share of tokens or responses.
    pub fn is_share(self) -> bool {
        let is_share = |measure: &Measure| measure.name == self.of && measure.unit == measures::SHARE;
        self.of == "is_cut" || measures::ALL.iter().any(is_share)
    }

    /// Its value in a row; `None` if it has none there.
    pub fn value(self, row: Of) -> Option<Estimate> {
        match (self.which, row) {
            (Which::TokenMean, _) => row.mean(self.of),
            (Which::Derived, Of::Pair(pair)) => derived(self.of, pair),
            // The same mean, over all tasks.
            (Which::Derived, Of::Pooled(_)) if self.of == PERPLEXITY_RATIO => row.mean("kl_k1").map(Estimate::exp),
            (Which::SampleMean, Of::Pair(pair)) => pair.measures.iter().find(|m| m.name == self.of)?.sample_mean,
            (Which::SampleMean, Of::Pooled(all)) => all.measures.iter().find(|m| m.name == self.of)?.sample_mean,
            (Which::ResponseMean, Of::Pair(pair)) => pair.measures.iter().find(|m| m.name == self.of)?.response_mean,
            (Which::Quantile(name), Of::Pair(pair)) => {
                let quantiles = &pair.quantiles.iter().find(|of| of.measure == self.of)?.quantiles;
                Some(quantiles.iter().find(|quantile| quantile.name == name)?.estimate)
            }
            (Which::Derived | Which::ResponseMean | Which::Quantile(_), Of::Pooled(_)) => None,
        }
    }
}

fn which(measure: &Measure, rest: &str) -> Option<Which> {
    let fraction = || rest.strip_prefix('q')?.parse::<f64>().ok();
    let is_it = |(name, at): &&(&'static str, f64)| *name == rest || fraction() == Some(*at);
    match rest {
        "sample_mean" => Some(Which::SampleMean),
        "response_mean" => measure.is_per_response.then_some(Which::ResponseMean),
        _ if measure.has_quantiles => QUANTILES.iter().find(is_it).map(|(name, _)| Which::Quantile(name)),
        _ => None,
    }
}

fn derived(name: &str, pair: &Pair) -> Option<Estimate> {
    let stop = || pair.exact.as_ref()?.stop.as_ref();
    match name {
        "perplexity_p" => pair.perplexity.p,
        "perplexity_q" => pair.perplexity.q,
        PERPLEXITY_RATIO => pair.perplexity_ratio,
        "perplexity_difference" => pair.perplexity_difference,
        "rms_delta_p" => pair.rms_delta_p,
        "log_perplexity_correlation" => pair.log_perplexity_correlation.map(|value| {
            let (stderr, low, high) = (None, None, None);
            Estimate { value, stderr, low, high, clusters: pair.clusters, n: pair.tokens }
        }),
        "stop_p" => stop().map(|stop| stop.p),
        "stop_q" => stop().map(|stop| stop.q),
        "delta_stop" => stop().map(|stop| stop.difference),
        _ => pair.cut.map(|cut| cut.share),
    }
}

fn unknown(name: &str) -> Error {
    let measures: Vec<_> = measures::ALL.iter().map(|m| m.name).collect();
    let quantiles: Vec<_> = measures::ALL.iter().filter(|m| m.has_quantiles).map(|m| m.name).collect();
    Error::Usage(format!(
        "there is no measure `{name}`: use one of {}, {}; of {} also a quantile, as in kl.q0.99 (min, q0.001, q0.01, q0.05, \
         q0.10, q0.25, median, q0.75, q0.90, q0.95, q0.99, q0.999, max)",
        measures.join(", "),
        DERIVED.join(", "),
        quantiles.join(", ")
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for name in ["kl", "shift_class.shifted", "kl.q0.999", "kl_k1.response_mean", "same_top.sample_mean", "js.max"]
        {
            assert_eq!(Statistic::of_name(name).unwrap().name(), name);
        }
        for (name, known) in [("kl.q0.9", "kl.q0.90"), ("kl.q0.5", "kl.median"), ("ppl_ratio", "perplexity_ratio")] {
            assert_eq!(Statistic::of_name(name).unwrap().name(), known);
        }
        for name in ["kld", "kl.q0.98", "same_top.q0.5", "same_top.response_mean", "shift_class", "kl."] {
            let error = Statistic::of_name(name).unwrap_err().to_string();
            assert!(error.contains("use one of kl, kl_reverse"), "{error}");
        }
    }
}
