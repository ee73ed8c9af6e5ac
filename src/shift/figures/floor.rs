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
use crate::shift::tables::files::{ModelTable, PairTables};

/// Samples that make a floor.
const LEAST: u64 = 32;

/// Records the floor in every pair of a response set whose two models have f32 versions that were compared with them. A
/// model that was computed in f32 is its own.
pub fn note(tables: &[&PairTables], found: &mut [(Pair, Sums)], f32_versions: &[F32Version]) -> Result<()> {
    let floors = tables.iter().map(|tables| floor_of([&tables.p, &tables.q], found, f32_versions));
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

/// The floor of a pair, or why there is none; `None` if it needs none: of two f32 models, of a model and its f32
/// version, where neither has one.
fn floor_of(
    both: [&ModelTable; 2],
    found: &[(Pair, Sums)],
    f32_versions: &[F32Version],
) -> Option<Result<Floor, String>> {
    let versions = both.map(|table| of(f32_versions, &table.model));
    let is_of_the_other = |side: usize| versions[side] == Some(both[1 - side].model.as_str());
    if f32_versions.is_empty() || both.iter().all(|table| is_in_f32(table)) || is_of_the_other(0) || is_of_the_other(1)
    {
        return None;
    }
    let in_f32 = |side: usize| versions[side].or_else(|| is_in_f32(both[side]).then_some(&both[side].model));
    let [p, q] = match [in_f32(0), in_f32(1)] {
        [Some(p), Some(q)] => [p, q],
        [None, None] => return None,
        [p, _] => return Some(Err(lacks_a_version(&both[usize::from(p.is_some())].model))),
    };
    let own = |side: usize, version: &str| {
        let model = both[side];
        let lacks = || format!("no noise floor: `kl --exact` has to compare `{}` with `{version}` first", model.model);
        own(found, model, version).ok_or_else(lacks)
    };
    Some(own(0, p).and_then(|of_p| Ok((of_p, own(1, q)?, mean(found, p, q)))))
}

/// P's, Q's, and the mean of both in f32.
type Floor = (Own, Own, Option<Estimate>);

/// KL of one model and its f32 version: mean, 99th percentile.
#[derive(Clone, Copy)]
struct Own {
    mean: Estimate,
    tail: f64,
}

/// What to do about a model that has neither.
fn lacks_a_version(model: &str) -> String {
    format!(
        "no noise floor: `{model}` was not computed in f32, and --noise-floor names no f32 version of it: score it with --dtype \
         f32 under another name, and add `{model}=NAME`"
    )
}

fn is_in_f32(table: &ModelTable) -> bool {
    table.weights.1 == "f32"
}

/// Of a model that is computed in f32 it is 0.
fn own(found: &[(Pair, Sums)], model: &ModelTable, in_f32: &str) -> Option<Own> {
    if in_f32 == model.model {
        let (value, stderr, end) = (0.0, Some(0.0), Some(0.0));
        return Some(Own { mean: Estimate { value, stderr, low: end, high: end, clusters: 0, n: 0 }, tail: 0.0 });
    }
    let (pair, _) = found.iter().find(|(pair, _)| pair.p == model.model && pair.q == in_f32)?;
    let quantiles = pair.quantiles.iter().find(|quantiles| quantiles.measure == KL)?;
    let tail = quantiles.quantiles.iter().find(|quantile| quantile.name == "q0.99")?.estimate.value;
    Some(Own { mean: mean(found, &model.model, in_f32)?, tail })
}

fn mean(found: &[(Pair, Sums)], p: &str, q: &str) -> Option<Estimate> {
    let (pair, _) = found.iter().find(|(pair, _)| pair.p == p && pair.q == q)?;
    pair.measures.iter().find(|m| m.name == KL)?.token_mean
}
