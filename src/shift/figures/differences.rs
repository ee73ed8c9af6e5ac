//! Differences between two models that were both compared with one P on the same tokens.
//!
//! Owns the pairing: the effect of P's text on both Qs cancels in each cluster. Not here: tokens that only one of them
//! has.

use std::collections::HashMap;

use crate::error::Result;
use crate::shift::numbers::stats::{clustered_mean, shares};
use crate::shift::pass::sums::Sums;
use crate::shift::result::kl_estimate::KlEstimate;
use crate::shift::result::means::{Difference, Means};
use crate::shift::result::pair::Pair;
use crate::shift::token::measures::{self, is_of_pairs};

/// Every two Qs that share P on one response set, in the order of the pairs.
pub fn of_set(pairs: &[(Pair, Sums)]) -> Result<Vec<Difference>> {
    let twos = pairs.iter().enumerate().flat_map(|(i, one)| pairs[i + 1..].iter().map(move |other| (one, other)));
    twos.filter(|((one, _), (other, _))| one.p == other.p).map(|(one, other)| difference(one, other)).collect()
}

fn difference((one, of_one): &(Pair, Sums), (other, of_other): &(Pair, Sums)) -> Result<Difference> {
    let place: HashMap<u32, usize> = of_other.facts.iter().enumerate().map(|(i, s)| (s.id, i)).collect();
    let both = of_one.facts.iter().enumerate().filter_map(|(i, s)| Some((i, *place.get(&s.id)?)));
    let both: Vec<_> = both.filter(|(i, j)| of_one.rows[*i] == of_other.rows[*j]).collect();
    let wanted = measures::ALL.iter().filter(|m| m.is_in_differences);
    let [first, second] = [one, other].map(|pair| pair.exact.as_ref().map(|exact| exact.temperature));
    let temperature = first.filter(|_| first == second);
    let wanted = wanted.filter(|m| temperature.is_some() || !is_of_pairs(m.name));
    let known = |m: &Result<Means>| !m.as_ref().is_ok_and(|m| m.token_mean.is_none() && is_of_pairs(&m.name));
    Ok(Difference {
        generation_model: one.generation_model.clone(),
        task: one.task.clone(),
        p: one.p.clone(),
        q: one.q.clone(),
        minus: other.q.clone(),
        temperature,
        samples: both.len() as u64,
        kl_estimate: KlEstimate::of_all(&[one, other].map(|pair| (pair.q.as_str(), &pair.kl_estimate))),
        measures: wanted.map(|m| means(m, of_one, of_other, &both)).filter(known).collect::<Result<_>>()?,
    })
}

/// Both means over `(cluster, s − s′, n)` by sample, s and s′ the two sums over the same n tokens.
fn means(measure: &measures::Measure, one: &Sums, other: &Sums, both: &[(usize, usize)]) -> Result<Means> {
    let (a, b) = (one.of(measure.name)?, other.of(measure.name)?);
    let paired = both.iter().filter(|(i, j)| a[*i].1 == b[*j].1 && a[*i].1 > 0);
    let rows: Vec<_> = paired.map(|(i, j)| (one.facts[*i].cluster, a[*i].0 - b[*j].0, a[*i].1)).collect();
    let by_sample = rows.iter().map(|(cluster, sum, n)| (*cluster, sum / *n as f64, 1));
    Ok(Means {
        name: measure.name.to_owned(),
        unit: measure.unit.to_owned(),
        sample_mean: clustered_mean(&shares(one.clusters, by_sample)),
        token_mean: clustered_mean(&shares(one.clusters, rows)),
    })
}
