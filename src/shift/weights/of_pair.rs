//! The weights of a pair of which P was recorded.
//!
//! Owns which pairs have weights, and the steps that they are apart by. Not here: statistics (`figures`).

use std::collections::BTreeMap;

use super::collect;
use super::dashboards;
use super::figures::figures;
use super::sequence::Sequence;
use crate::error::Result;
use crate::shift::options::Options;
use crate::shift::pass::sums::Sums;
use crate::shift::result::weights::{NamedScalars, StepWeights, Weights};
use crate::shift::tables::fields;
use crate::shift::tables::files::PairTables;

/// What weights are cut to unless an option says otherwise, as in verl.
pub const CAP: f64 = 2.0;

/// The kept field that says which training step a row is of.
const STEP: &str = "step";

/// The weights of a pair, if another program recorded P's numbers and P wrote the text; without a token that both give
/// a probability there are none.
///
/// # Errors
/// A table that cannot be read.
pub fn of_pair(tables: &PairTables, sums: &Sums, options: &Options) -> Result<Option<Weights>> {
    if !tables.p.recorded || tables.foreign.is_some() {
        return Ok(None);
    }
    let cap = options.weight_cap.unwrap_or(CAP);
    let sequences = collect::sequences(tables, sums, cap)?;
    let Some(all) = figures(&sequences, sums.clusters, cap) else { return Ok(None) };
    let steps = by_step(tables, sums, &sequences)?;
    let of_step = |(step, sequences): (&Step, &Vec<Sequence>)| {
        Some(StepWeights { step: step.0, figures: figures(sequences, sums.clusters, cap)? })
    };
    let named = options.names.map_or_else(Vec::new, |names| {
        let scalars = |sequences: &[Sequence]| dashboards::scalars(names, sequences);
        if steps.is_empty() {
            return vec![NamedScalars { step: None, scalars: scalars(&sequences) }];
        }
        steps.iter().map(|(step, of)| NamedScalars { step: Some(step.0), scalars: scalars(of) }).collect()
    });
    let expectation = options.sampled.expectation().to_owned();
    let by_step = steps.iter().filter_map(of_step).collect();
    Ok(Some(Weights { cap, expectation, all, by_step, named }))
}

/// A step, in the order of numbers.
#[derive(Clone, Copy, PartialEq)]
struct Step(f64);

impl Eq for Step {}

impl PartialOrd for Step {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Step {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The samples of each step; none if rows carry no step. Samples without one are of no step.
fn by_step(tables: &PairTables, sums: &Sums, sequences: &[Sequence]) -> Result<BTreeMap<Step, Vec<Sequence>>> {
    let mut steps: BTreeMap<Step, Vec<Sequence>> = BTreeMap::new();
    if !tables.p.kept.iter().any(|name| name == STEP) {
        return Ok(steps);
    }
    let Some((numbers, _)) = fields::numbers(&tables.p, STEP, &sums.facts)? else { return Ok(steps) };
    let step_of: BTreeMap<u32, f64> =
        sums.facts.iter().zip(numbers).filter_map(|(facts, number)| Some((facts.id, number?))).collect();
    for one in sequences {
        if let Some(step) = step_of.get(&one.id) {
            steps.entry(Step(*step)).or_default().push(*one);
        }
    }
    Ok(steps)
}
