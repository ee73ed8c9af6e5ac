//! The noise floor: how far a model stands from itself when it is computed in f32.
//!
//! Owns what is told of a pair whose models have such twins (docs/measures.md: noise floor). Refuses to score twins: they
//! are models like all others.

use super::comparison::Pair;
use super::stats::Estimate;
use super::sums::Sums;
use super::tables::PairTables;
use super::values;
use crate::error::{Error, Result};
use crate::schema::pair::KL;
use crate::store::FoundCell;

/// Samples that make a floor.
const LEAST: u64 = 32;

/// A model, and the name under which the same weights were scored in f32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Twin {
    pub model: String,
    pub in_f32: String,
}

/// What of a pair lies in the noise.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct NoiseFloor {
    /// KL(model‖model in f32), of P and of Q.
    pub p: Estimate,
    pub q: Estimate,
    /// KL(P‖Q), both in f32.
    pub in_f32: Option<Estimate>,
    /// The upper end of KL(P‖Q) lies under the higher of both floors.
    pub is_below: bool,
    /// Share of tokens whose KL(P‖Q) lies under the higher of both floors' 99th percentiles.
    pub tokens_below: f64,
}

/// The further pairs that the floors of `chosen` ones need: each model with its twin, and the twins of both.
pub(super) fn pairs<'a>(twins: &'a [Twin], chosen: &[[&str; 2]]) -> Vec<[&'a str; 2]> {
    let own = twins.iter().map(|twin| [twin.model.as_str(), twin.in_f32.as_str()]);
    let both = chosen.iter().filter_map(|[p, q]| Some([of(twins, p)?, of(twins, q)?]));
    own.chain(both).collect()
}

/// The twin of a model.
fn of<'a>(twins: &'a [Twin], model: &str) -> Option<&'a str> {
    twins.iter().find(|twin| twin.model == model).map(|twin| twin.in_f32.as_str())
}

/// Twins are the same weights, and in f32.
///
/// # Errors
/// [`Error::Usage`] naming the first that are not, of the models of a text.
pub(super) fn must_be_twins(models: &[&FoundCell], twins: &[Twin]) -> Result<()> {
    let find = |name: &str| models.iter().find(|found| found.cell.model == name).map(|found| &found.manifest.engine);
    for Twin { model, in_f32 } in twins {
        let Some((own, twin)) = find(model).zip(find(in_f32)) else { continue };
        let what = if own.files != twin.files {
            "its files are others".to_owned()
        } else if twin.dtype != "f32" {
            format!("it was scored in {}", twin.dtype)
        } else {
            continue;
        };
        return Err(Error::Usage(format!("--noise-floor: `{in_f32}` is not `{model}` in f32: {what}")));
    }
    Ok(())
}

/// Notes the floor in every pair of a text whose two models have twins that were compared with them.
pub(super) fn note(tables: &[&PairTables], found: &mut [(Pair, Sums)], twins: &[Twin]) -> Result<()> {
    let floors = found.iter().map(|(pair, _)| {
        let (p_twin, q_twin) = (of(twins, &pair.p)?, of(twins, &pair.q)?);
        let both = [(pair.p.as_str(), p_twin), (pair.q.as_str(), q_twin)];
        let lacks = |[model, twin]: [&str; 2]| {
            format!("no noise floor: `kl --exact` has to compare `{model}` with `{twin}` first")
        };
        let of_one = |(model, twin)| own(found, model, twin).ok_or_else(|| lacks([model, twin]));
        Some(of_one(both[0]).and_then(|p| Ok((p, of_one(both[1])?, mean(found, p_twin, q_twin)))))
    });
    let floors: Vec<Option<Result<Floor, String>>> = floors.collect();
    for ((tables, (pair, sums)), floor) in tables.iter().zip(found).zip(floors) {
        let (p, q, in_f32) = match floor {
            None => continue,
            Some(Err(lacks)) => {
                pair.notes.push(lacks);
                continue;
            }
            Some(Ok(floor)) => floor,
        };
        if pair.samples < LEAST {
            pair.notes.push(format!("a noise floor of {} samples: it takes {LEAST} to make one", pair.samples));
        }
        let kl = pair.measures.iter().find(|m| m.name == KL).and_then(|m| m.token_mean);
        let high = kl.and_then(|kl| kl.high);
        pair.noise_floor = Some(NoiseFloor {
            p: p.mean,
            q: q.mean,
            in_f32,
            is_below: high.is_some_and(|high| high < p.mean.value.max(q.mean.value)),
            tokens_below: values::share_below(tables, sums, KL, p.tail.max(q.tail))?,
        });
    }
    Ok(())
}

/// P's, Q's, and the mean of both in f32.
type Floor = (Own, Own, Option<Estimate>);

/// Of one model beside its twin: mean, 99th percentile.
#[derive(Clone, Copy)]
struct Own {
    mean: Estimate,
    tail: f64,
}

fn own(found: &[(Pair, Sums)], p: &str, q: &str) -> Option<Own> {
    let (pair, _) = found.iter().find(|(pair, _)| pair.p == p && pair.q == q)?;
    let quantiles = pair.quantiles.iter().find(|quantiles| quantiles.measure == KL)?;
    let tail = quantiles.quantiles.iter().find(|quantile| quantile.name == "q0.99")?.estimate.value;
    Some(Own { mean: mean(found, p, q)?, tail })
}

fn mean(found: &[(Pair, Sums)], p: &str, q: &str) -> Option<Estimate> {
    let (pair, _) = found.iter().find(|(pair, _)| pair.p == p && pair.q == q)?;
    pair.measures.iter().find(|m| m.name == KL)?.token_mean
}
