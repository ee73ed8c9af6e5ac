//! Means over subsets of the tokens: by region, kind, position, and by the fields that the samples table kept.
//!
//! Owns which slices there are and what is added up for each: one more pass over the tokens, and two sums per slice,
//! measure and cluster in memory. Not here: formulas (`measures`), and the kind or region of a token (`kinds`,
//! `regions`).

use std::collections::HashMap;
use std::ops::Range;

use polars::prelude::{DataFrame, PolarsResult, col};

use super::estimate;
use crate::error::Result;
use crate::schema::{sample, token};
use crate::shift::numbers::buckets::Buckets;
use crate::shift::numbers::kinds::{self, KINDS};
use crate::shift::numbers::regions::{self, REGIONS};
use crate::shift::numbers::stats::{FEW_CLUSTERS, Share, clustered_mean};
use crate::shift::pass::sums::Sums;
use crate::shift::query::batches::{self, Order};
use crate::shift::query::look_up;
use crate::shift::result::kl_estimate::KlEstimate;
use crate::shift::result::means::{Means, Slice};
use crate::shift::tables::fields::{self, DecidedBy, Fields};
use crate::shift::tables::files::PairTables;
use crate::shift::tables::scan::scan;
use crate::shift::token::measures::{self, Measure, is_of_pairs};
use crate::table::Table;

/// Every slice that has a token, dimension by dimension. `estimate` is the pair's, and `exact` says whether the pairs table is
/// at temperature 1 and over all ids.
pub fn of_pair(
    tables: &PairTables,
    sums: &Sums,
    (estimate, exact): (&KlEstimate, bool),
    fields: &Fields,
) -> Result<Vec<Slice>> {
    let mut slices = by_token(tables, sums)?;
    for slice in &mut slices {
        slice.kl_estimate = of_tokens(&slice.by, estimate);
    }
    for name in &tables.p.kept {
        slices.extend(by_field(tables, sums, (name, fields.buckets(&tables.set.task, name)), (estimate, exact))?);
    }
    let all: u64 = sums.rows.iter().sum();
    slices.iter_mut().filter(|slice| slice.tokens == all).for_each(|slice| slice.kl_estimate = estimate.clone());
    Ok(slices)
}

/// What was sampled before a token decides its position; what was sampled there and later decides the others, and so which
/// samples of P are among them.
fn of_tokens(by: &str, estimate: &KlEstimate) -> KlEstimate {
    match by {
        POSITION => estimate.clone(),
        by => estimate.of_selected(&format!("the {by} of a token depends on what was sampled")),
    }
}

fn measures() -> impl Iterator<Item = &'static Measure> {
    measures::ALL.iter().filter(|m| m.is_in_slices)
}

/// Sum and number of tokens, by measure.
type OfMeasures = [(f64, u64); MEASURES];

/// The measures whose means are taken.
const MEASURES: usize = {
    let (mut n, mut i) = (0, 0);
    while i < measures::ALL.len() {
        n += measures::ALL[i].is_in_slices as usize;
        i += 1;
    }
    n
};

/// What is known of a slice: shares by cluster of every measure, over tokens and over samples.
#[derive(Clone, Default)]
struct Slot {
    samples: u64,
    tokens: u64,
    shares: Vec<[Vec<Share>; 2]>,
}

impl Slot {
    /// Adds one sample's tokens of the slice.
    fn add(&mut self, clusters: usize, cluster: u32, tokens: u64, sums: &OfMeasures) {
        if self.shares.is_empty() {
            // Only now: most of the slices that there could be have no token.
            self.shares = vec![[vec![Share::default(); clusters], vec![Share::default(); clusters]]; MEASURES];
        }
        self.samples += 1;
        self.tokens += tokens;
        for ([of_tokens, of_samples], (sum, n)) in self.shares.iter_mut().zip(sums).filter(|(_, (_, n))| *n > 0) {
            let add = |shares: &mut Vec<Share>, sum, n| {
                shares[cluster as usize].sum += sum;
                shares[cluster as usize].n += n;
            };
            add(of_tokens, *sum, *n);
            add(of_samples, sum / *n as f64, 1);
        }
    }

    fn finish(&self, by: &str, value: String) -> Slice {
        let means = |(measure, [of_tokens, of_samples]): (&Measure, &[Vec<Share>; 2])| Means {
            name: measure.name.to_owned(),
            unit: measure.unit.to_owned(),
            token_mean: clustered_mean(of_tokens),
            sample_mean: clustered_mean(of_samples),
        };
        let measures =
            measures().zip(&self.shares).map(means).filter(|m| m.token_mean.is_some() || !is_of_pairs(&m.name));
        let measures = measures.collect();
        let (samples, tokens, kl_estimate) = (self.samples, self.tokens, KlEstimate::Yes);
        Slice { by: by.to_owned(), value, samples, tokens, kl_estimate, measures }
    }
}

/// The samples of each value of a kept field. Those that their prompts alone chose are samples of P as all are.
fn by_field(
    tables: &PairTables,
    sums: &Sums,
    (name, buckets): (&str, &Buckets),
    (estimate, exact): (&KlEstimate, bool),
) -> Result<Vec<Slice>> {
    let (groups, decided_by) = fields::groups(&tables.p, name, &sums.facts, buckets)?;
    let of_measures = measures().map(|m| sums.of(m.name)).collect::<Result<Vec<_>>>()?;
    let mut slots = vec![Slot::default(); groups.names.len()];
    for (i, facts) in sums.facts.iter().enumerate() {
        let of_sample = std::array::from_fn(|measure| of_measures[measure][i]);
        slots[groups.of_sample[i]].add(sums.clusters, facts.cluster, sums.rows[i], &of_sample);
    }
    // A field may be called as a dimension is.
    let by = format!("field.{name}");
    let found = slots.iter().zip(groups.names).enumerate().filter(|(_, (slot, _))| slot.tokens > 0);
    let slice = |(group, (slot, value)): (usize, (&Slot, String))| -> Result<Slice> {
        let holds = |place: usize| groups.of_sample[place] == group;
        let kl_estimate = match decided_by[group] {
            DecidedBy::Prompt => estimate::of_prompts(estimate, sums, &holds, exact)?,
            DecidedBy::Response => estimate.of_selected(&format!("{by} chose the responses")),
            DecidedBy::Either => estimate.of_chosen_somehow(&format!(
                "below {FEW_CLUSTERS} clusters of several rows with this value it is unknown whether {by} is of the \
                 prompt or of what was sampled"
            )),
        };
        Ok(Slice { kl_estimate, ..slot.finish(&by, value) })
    };
    let mut slices = found.map(slice).collect::<Result<Vec<_>>>()?;
    carry_over(&mut slices, estimate);
    Ok(slices)
}

/// What chose the samples of a value that contradict P by themselves chose those of the field's other values, too.
fn carry_over(slices: &mut [Slice], of_pair: &KlEstimate) {
    let contradicts =
        |slice: &&Slice| *of_pair == KlEstimate::Yes && matches!(slice.kl_estimate, KlEstimate::No { .. });
    let Some(no) = slices.iter().find(contradicts) else { return };
    let why =
        format!("{}={} is none, and what chose its samples chose these: {}", no.by, no.value, no.kl_estimate.reason());
    for slice in slices {
        slice.kl_estimate = slice.kl_estimate.of_chosen_somehow(&why);
    }
}

/// What slices by tokens are by.
const REGION: &str = "region";
const KIND: &str = "kind";
const POSITION: &str = "position";

/// Positions 0, 1, 2-3, 4-7, …: as many as a u32 has bits, and one for 0.
const POSITIONS: usize = 33;
const SLOTS: usize = REGIONS.len() + KINDS.len() + POSITIONS;

/// The slice's dimension and value.
fn names(slot: usize) -> (&'static str, String) {
    if let Some(region) = REGIONS.get(slot) {
        return (REGION, (*region).to_owned());
    }
    if let Some(kind) = KINDS.get(slot - REGIONS.len()) {
        return (KIND, (*kind).to_owned());
    }
    let bits = slot - REGIONS.len() - KINDS.len();
    let value = match bits {
        0 | 1 => bits.to_string(),
        _ => format!("{}-{}", 1_u64 << (bits - 1), (1_u64 << bits) - 1),
    };
    (POSITION, value)
}

fn by_token(tables: &PairTables, sums: &Sums) -> Result<Vec<Slice>> {
    let measures: Vec<_> = measures().collect();
    let query = look_up::described(tables, &measures)?;
    let state = Tokens {
        clusters: sums.clusters,
        cluster_of: sums.facts.iter().map(|s| (s.id, s.cluster)).collect(),
        thinking: thinking(tables)?,
        slots: vec![Slot::default(); SLOTS],
        current: None,
        running: vec![Running::default(); SLOTS],
    };
    let mut tokens = batches::fold(query, Order::Rows, state, Tokens::push)?;
    tokens.end_sample();
    let found = tokens.slots.iter().enumerate().filter(|(_, slot)| slot.tokens > 0);
    Ok(found.map(|(i, slot)| (slot, names(i))).map(|(slot, (by, value))| slot.finish(by, value)).collect())
}

/// Where each response with known text thinks.
type Thinking = HashMap<u32, Vec<Range<u32>>>;

fn thinking(tables: &PairTables) -> Result<Thinking> {
    let texts =
        scan(&tables.p.samples, Table::Samples)?.select([sample::SAMPLE_ID, sample::PROMPT, sample::RESPONSE].map(col));
    batches::fold(texts, Order::Any, Thinking::new(), |found, batch| {
        let ids = batch.column(sample::SAMPLE_ID)?.u32()?;
        let (prompts, responses) = (batch.column(sample::PROMPT)?.str()?, batch.column(sample::RESPONSE)?.str()?);
        found.extend(ids.iter().zip(prompts.iter().zip(responses.iter())).filter_map(|(id, (prompt, response))| {
            Some((id?, regions::thinking(prompt.unwrap_or_default(), response?)))
        }));
        Ok(())
    })
}

/// The pass over the tokens: sums of the sample at hand, then added to the slots.
struct Tokens {
    clusters: usize,
    cluster_of: HashMap<u32, u32>,
    thinking: Thinking,
    slots: Vec<Slot>,
    current: Option<u32>,
    running: Vec<Running>,
}

#[derive(Clone, Default)]
struct Running {
    tokens: u64,
    sums: OfMeasures,
}

impl Tokens {
    fn push(&mut self, batch: &DataFrame) -> PolarsResult<()> {
        let u32s = |name: &str| batch.column(name)?.u32();
        let (ids, positions) = (u32s(token::SAMPLE_ID)?, u32s(token::POSITION)?);
        let (starts, ends) = (u32s(token::START)?, u32s(token::END)?);
        let (texts, is_end) = (batch.column(token::TOKEN)?.str()?, batch.column(token::IS_END)?.bool()?);
        let values = measures().map(|m| batch.column(m.name)?.f64()).collect::<PolarsResult<Vec<_>>>()?;
        for row in 0..batch.height() {
            let (Some(id), Some(position)) = (ids.get(row), positions.get(row)) else { continue };
            if self.current != Some(id) {
                self.end_sample();
                self.current = Some(id);
            }
            let is_end = is_end.get(row).unwrap_or(false);
            let bytes = starts.get(row).zip(ends.get(row));
            let slots = [
                self.region(id, bytes, is_end),
                kind(texts.get(row), is_end).map(|kind| REGIONS.len() + kind),
                Some(REGIONS.len() + KINDS.len() + (u32::BITS - position.leading_zeros()) as usize),
            ];
            for slot in slots.into_iter().flatten() {
                let running = &mut self.running[slot];
                running.tokens += 1;
                for ((sum, n), value) in running.sums.iter_mut().zip(&values) {
                    if let Some(value) = value.get(row) {
                        *sum += value;
                        *n += 1;
                    }
                }
            }
        }
        Ok(())
    }

    /// `None` where no text is known, as in imports.
    fn region(&self, id: u32, bytes: Option<(u32, u32)>, is_end: bool) -> Option<usize> {
        let thinking = self.thinking.get(&id)?;
        bytes.map(|(start, end)| regions::region(thinking, start, end, is_end))
    }

    /// Adds what is running to the slots, under the cluster of the sample that it was of.
    fn end_sample(&mut self) {
        let Some(cluster) = self.current.and_then(|id| self.cluster_of.get(&id)).copied() else { return };
        for (slot, running) in self.slots.iter_mut().zip(&mut self.running).filter(|(_, r)| r.tokens > 0) {
            let Running { tokens, sums } = std::mem::take(running);
            slot.add(self.clusters, cluster, tokens, &sums);
        }
    }
}

fn kind(text: Option<&str>, is_end: bool) -> Option<usize> {
    if is_end { Some(kinds::SPECIAL) } else { text.map(kinds::kind) }
}
