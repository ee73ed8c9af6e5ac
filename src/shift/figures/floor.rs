//! The noise floor: the KL between a model and its f32 version.
//!
//! Owns the statistics of a pair whose models have f32 versions (docs/measures.md: "Noise floor"). Not here: scoring
//! f32 versions, which are models like all others.

use crate::error::Result;
use crate::schema::pair::KL;
use crate::shift::numbers::stats::Estimate;
use crate::shift::options::F32Version;
use crate::shift::pass::sums::Sums;
use crate::shift::pass::values;
use crate::shift::result::means::NoiseFloor;
use crate::shift::result::pair::Pair;
use crate::shift::tables::f32_versions::of;
use crate::shift::tables::files::PairTables;

/// Samples that make a floor.
const LEAST: u64 = 32;

/// Records the floor in every pair of a response set whose two models have f32 versions that were compared with them.
pub fn note(tables: &[&PairTables], found: &mut [(Pair, Sums)], f32_versions: &[F32Version]) -> Result<()> {
    let floors = found.iter().map(|(pair, _)| {
        let (p_twin, q_twin) = (of(f32_versions, &pair.p)?, of(f32_versions, &pair.q)?);
        let both = [(pair.p.as_str(), p_twin), (pair.q.as_str(), q_twin)];
        let lacks = |[model, f32_version]: [&str; 2]| {
            format!("no noise floor: `kl --exact` has to compare `{model}` with `{f32_version}` first")
        };
        let of_one = |(model, f32_version)| own(found, model, f32_version).ok_or_else(|| lacks([model, f32_version]));
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
            pair.notes.push(format!("the noise floor is unreliable: {} samples, fewer than {LEAST}", pair.samples));
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

/// KL of one model and its f32 version: mean, 99th percentile.
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
