//! The noise floor: how far a model stands from itself when it is computed in f32.
//!
//! Owns what is told of a pair whose models have such twins (docs/measures.md: noise floor). Refuses to score twins: they
//! are models like all others.

use super::comparison::Pair;
use super::select::PairTables;
use super::stats::Estimate;
use super::sums::Sums;
use super::values;
use crate::error::Result;
use crate::schema::pair::KL;

/// Said where twins were named and have no exact measures.
const WITHOUT: &str = "no noise floor: `kl --exact` has to compare both models with their twins in f32 first";

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

/// The further pairs that floors need: each model with its twin, and every two twins.
pub(super) fn pairs(twins: &[Twin]) -> Vec<[&str; 2]> {
    let own = twins.iter().map(|twin| [twin.model.as_str(), twin.in_f32.as_str()]);
    let others = |i: usize| twins.iter().enumerate().filter(move |(j, _)| *j != i);
    let both = twins.iter().enumerate();
    let both = both.flat_map(|(i, p)| others(i).map(|(_, q)| [p.in_f32.as_str(), q.in_f32.as_str()]));
    own.chain(both).collect()
}

/// Notes the floor in every pair of a text whose two models have twins that were compared with them.
pub(super) fn note(tables: &[PairTables], found: &mut [(Pair, Sums)], twins: &[Twin]) -> Result<()> {
    let twin = |name: &str| twins.iter().find(|twin| twin.model == name).map(|twin| twin.in_f32.as_str());
    let floors = found.iter().map(|(pair, _)| {
        let (p_twin, q_twin) = (twin(&pair.p)?, twin(&pair.q)?);
        let (of_p, of_q) = (own(found, &pair.p, p_twin)?, own(found, &pair.q, q_twin)?);
        Some((of_p, of_q, mean(found, p_twin, q_twin)))
    });
    let floors: Vec<Option<(Own, Own, Option<Estimate>)>> = floors.collect();
    for ((tables, (pair, sums)), floor) in tables.iter().zip(found).zip(floors) {
        let Some((p, q, in_f32)) = floor else {
            if twin(&pair.p).is_some() && twin(&pair.q).is_some() {
                pair.notes.push(WITHOUT.to_owned());
            }
            continue;
        };
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
