//! Limits on means, for scripts that must stop when a model moved too far.
//!
//! Owns which limits are not met and how that is worded. Not here: exit codes (`cli`).

use crate::error::{Error, Result};
use crate::shift::result::comparison::Comparison;
use crate::shift::result::kl_estimate::{KlEstimate, of_measure};
use crate::shift::result::pair::Pair;
use crate::shift::token::measures::{self, KL_BOUNDS, is_of_pairs};

/// The upper 95% end of a measure's mean over tokens must not lie above `value`.
#[derive(Clone, Debug, PartialEq)]
pub struct Limit {
    measure: String,
    value: f64,
}

impl Limit {
    /// # Errors
    /// [`Error::Usage`] if there is no such measure, with the names of those there are.
    pub fn new(measure: &str, value: f64) -> Result<Self> {
        let names: Vec<_> = measures::ALL.iter().map(|m| m.name).collect();
        if names.contains(&measure) {
            return Ok(Self { measure: measure.to_owned(), value });
        }
        Err(Error::Usage(format!("there is no measure `{measure}`: use one of {}", names.join(", "))))
    }
}

/// One message for each pair and limit that it is not known to meet: above it, not a number, without any value or
/// interval, of tables with missing parts, at another temperature than 1, or of a measure that does not estimate KL on
/// this text; one for each pair that is not compared.
pub fn exceeded(comparison: &Comparison, limits: &[Limit]) -> Vec<String> {
    let of_pair = |pair| limits.iter().filter_map(move |limit| described(pair, limit));
    let not_compared = comparison.not_compared.iter().filter(|_| !limits.is_empty());
    let not_compared = not_compared.map(|pair| format!("{}, so it is not known to meet any limit", pair.described()));
    comparison.pairs.iter().flat_map(of_pair).chain(not_compared).collect()
}

fn described(pair: &Pair, Limit { measure, value: limit }: &Limit) -> Option<String> {
    let mean = pair.measures.iter().find(|m| m.name == *measure).and_then(|m| m.token_mean);
    let unknown = |why: &str| format!("{why}, so it is not known to be at most");
    let doubt = of_measure(measure, &pair.kl_estimate).and_then(KlEstimate::doubt);
    let no_bound = pair.heads.and_then(|heads| heads.no_upper_bound()).filter(|_| measure == KL_BOUNDS[1]);
    let temperature = pair.exact.as_ref().map(|exact| exact.temperature).filter(|t| *t != 1.0 && is_of_pairs(measure));
    let what = match mean {
        _ if temperature.is_some() => unknown(&format!("is at temperature {}, not 1", temperature.unwrap_or_default())),
        _ if doubt.is_some() => unknown(&doubt.unwrap_or_default()),
        None => unknown(no_bound.as_deref().unwrap_or("no token has it")),
        Some(_) if pair.partial.is_some() => unknown("parts are missing"),
        Some(mean) => match mean.high {
            None if mean.value.is_finite() => unknown("one cluster has no interval"),
            None => unknown(&format!("the mean is {}", mean.value)),
            Some(end) if end <= *limit => return None,
            Some(end) => format!("the 95% interval of the mean ends at {end}, above"),
        },
    };
    Some(format!("{}: {measure}: {what} {limit}", pair.title()))
}
