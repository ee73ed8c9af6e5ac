//! Tests whether the statistics of a response set contradict that P sampled it at temperature 1.
//!
//! Owns these tests and their limits (docs/measures.md: "Did P write this text?"). Not here: the answer (`estimate`).

use crate::error::Result;
use crate::schema::pair::KL;
use crate::shift::numbers::stats::{Estimate, clustered_mean, shares};
use crate::shift::pass::sums::Sums;
use crate::shift::result::kl_estimate::K1;
use crate::shift::token::measures::{KL_BOUNDS, LOGPROBS, OWN_TEXT};

/// Number of standard errors beyond which a mean contradicts that P sampled the text.
const FAR: f64 = 3.0;

/// Share of the mean entropy within which P may have sampled the text whatever the standard errors: rounding to bf16
/// moves a mean as far.
const CLOSE: f64 = 0.01;

/// What the lower bound, exact measures and f32 log-probabilities may be off by, and that share of them.
const ROUNDING: f64 = 1e-6;
const SHARE: f64 = 1e-5;

/// The samples that are tested.
pub struct Of<'a> {
    sums: &'a Sums,
    holds: &'a dyn Fn(usize) -> bool,
}

impl<'a> Of<'a> {
    pub fn all(sums: &'a Sums) -> Self {
        Self { sums, holds: &|_| true }
    }

    /// Those at the places that `holds` says.
    pub fn some(sums: &'a Sums, holds: &'a dyn Fn(usize) -> bool) -> Self {
        Self { sums, holds }
    }

    /// Sum and number of tokens by sample, with nothing of those that are not tested.
    fn of(&self, name: &str) -> Result<Vec<(f64, u64)>> {
        let mut samples = self.sums.of(name)?;
        samples.iter_mut().enumerate().filter(|(place, _)| !(self.holds)(*place)).for_each(|(_, of)| *of = (0.0, 0));
        Ok(samples)
    }

    /// The clustered mean over tokens.
    pub fn mean(&self, name: &str) -> Result<Option<Estimate>> {
        let rows = self.sums.facts.iter().zip(self.of(name)?).map(|(facts, (sum, n))| (facts.cluster, sum, n));
        Ok(clustered_mean(&shares(self.sums.clusters, rows)))
    }

    /// Sum over all tokens that have it, and their number.
    pub fn total(&self, name: &str) -> Result<(f64, u64)> {
        Ok(self.of(name)?.into_iter().fold((0.0, 0), |(sum, n), (s, m)| (sum + s, n + m)))
    }

    /// The mean of k1 less another measure, its error, and the size of that measure, over the samples that have both at
    /// the same number of tokens: what their contexts have in common cancels.
    fn paired(&self, other: &str) -> Result<Option<(f64, f64, f64)>> {
        let (k1, other) = (self.of(K1)?, self.of(other)?);
        let both = || k1.iter().zip(&other).zip(&self.sums.facts).filter(|(((_, n), (_, m)), _)| n == m && *n > 0);
        let rows = both().map(|(((k1, n), (other, _)), facts)| (facts.cluster, k1 - other, *n));
        let size: f64 = both().map(|((_, (other, _)), _)| other).sum();
        let mean = clustered_mean(&shares(self.sums.clusters, rows));
        Ok(mean.and_then(|mean| Some((mean.value, mean.stderr?, size.abs() / mean.n as f64))))
    }
}

/// A statistic that P's own samples would not give.
#[derive(Clone, Debug)]
pub struct Contradiction {
    pub what: String,
    /// How many standard errors it is away.
    pub errors: f64,
}

/// All that there are, in the order in which docs/measures.md lists them. `exact` says whether the pairs table is at
/// temperature 1 and over all ids.
pub fn contradictions(of: &Of, exact: bool) -> Result<Vec<Contradiction>> {
    // The ratio's tail is heavy where KL is large, so that its error says too little: the exact KL knows better.
    let ratio = if exact && of.paired(KL)?.is_some() { None } else { off_1(of)? };
    let found = [not_at_temperature_1(of)?, outside_the_bounds(of)?, off_the_exact(of, exact)?, ratio];
    Ok(found.into_iter().flatten().collect())
}

/// The first of them, in words.
pub fn contradiction(of: &Of, exact: bool) -> Result<Option<String>> {
    Ok(contradictions(of, exact)?.into_iter().next().map(|first| first.what))
}

/// E[ln p + H(P)] is 0 at every position of P's own text at temperature 1.
fn not_at_temperature_1(of: &Of) -> Result<Option<Contradiction>> {
    let Some(mean) = of.mean(OWN_TEXT)? else { return Ok(None) };
    if mean.value.is_infinite() {
        let what = "P gives a token of the text no probability at all".to_owned();
        return Ok(Some(Contradiction { what, errors: f64::INFINITY }));
    }
    let Some(error) = mean.stderr else { return Ok(None) };
    let (of_text, n) = of.total(LOGPROBS[0])?;
    let entropy = mean.value - of_text / n as f64;
    let size = mean.value.abs();
    if size <= FAR * error || size <= CLOSE * entropy {
        return Ok(None);
    }
    let (how, sign) = if mean.value > 0.0 { ("sharper", '+') } else { ("flatter", '−') };
    let what = format!(
        "the text is {how} ({sign}) than P at temperature 1 (mean of logprob + entropy of P: {sign}{size:.4} ± {error:.4} \
         nats/token)"
    );
    Ok(Some(Contradiction { what, errors: size / error }))
}

/// The expectation of k1 lies between the bounds, position by position.
fn outside_the_bounds(of: &Of) -> Result<Option<Contradiction>> {
    let [lower, upper] = KL_BOUNDS;
    let beyond_it =
        |(excess, error, size): (f64, f64, f64), sign: f64| beyond(sign * excess, error, ROUNDING + SHARE * size);
    if let Some(errors) = of.paired(lower)?.and_then(|excess| beyond_it(excess, -1.0)) {
        return Ok(Some(far(errors, |errors| format!("the mean of kl_k1 lies {errors} errors below {lower}"))));
    }
    let above = of.paired(upper)?.and_then(|excess| beyond_it(excess, 1.0));
    Ok(above.map(|errors| far(errors, |errors| format!("the mean of kl_k1 lies {errors} errors above {upper}"))))
}

/// It is the exact KL.
fn off_the_exact(of: &Of, exact: bool) -> Result<Option<Contradiction>> {
    let Some((excess, error, size)) = of.paired(KL)?.filter(|_| exact) else { return Ok(None) };
    let errors = beyond(excess.abs(), error, ROUNDING + SHARE * size);
    Ok(errors.map(|errors| far(errors, |errors| format!("the mean of kl_k1 lies {errors} errors from the exact KL"))))
}

/// E[q/p] is 1.
fn off_1(of: &Of) -> Result<Option<Contradiction>> {
    let Some((mean, error)) = of.mean("ratio")?.and_then(|mean| Some((mean, mean.stderr?))) else { return Ok(None) };
    let errors = beyond((mean.value - 1.0).abs(), error, ROUNDING);
    let what = |errors: &str| format!("the mean ratio q/p is {:.4} ± {error:.4}, {errors} errors from 1", mean.value);
    Ok(errors.map(|errors| far(errors, what)))
}

/// How many errors `excess` is above 0, if that is more than [`FAR`] beyond `tolerance`; infinitely many without an error.
fn beyond(excess: f64, error: f64, tolerance: f64) -> Option<f64> {
    (excess.is_finite() && excess > FAR * error + tolerance).then(|| excess / error)
}

fn far(errors: f64, what: impl Fn(&str) -> String) -> Contradiction {
    let described = if errors.is_finite() { format!("{errors:.1}") } else { "many".to_owned() };
    Contradiction { what: what(&described), errors }
}
