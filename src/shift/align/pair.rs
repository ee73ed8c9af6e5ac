//! Compares models that read one text as different tokens.
//!
//! Owns the comparison over spans (docs/measures.md: "Models with different tokenizers"): log-probabilities of texts,
//! not of tokens. Not here: everything that needs one vocabulary, such as ranks, lists, entropies and divergences.

use std::f64::consts::LN_2;

use polars::prelude::{Engine, JoinArgs, JoinType, col};

use super::read::Texts;
use crate::error::Result;
use crate::schema::sample;
use crate::shift::numbers::spans::{Aligned, align};
use crate::shift::numbers::stats::{Share, clustered_mean};
use crate::shift::options::Options;
use crate::shift::result::aligned::{AlignedMeasure, AlignedPair};
use crate::shift::result::kl_estimate::KlEstimate;
use crate::shift::tables::files::PairTables;
use crate::shift::tables::run_notes::OWN_CONTEXTS;
use crate::shift::tables::samples::{self, SampleFacts};
use crate::shift::tables::scan::scan;
use crate::table::Table;

/// Why k1 estimates no divergence here.
const ONE_TOKENISATION: &str = "each model gives the probability of one tokenisation of the text";

pub fn of_pair(pair: &PairTables, options: &Options) -> Result<AlignedPair> {
    let samples = samples::read(pair)?;
    same_texts(pair, options)?;
    let mut sums = Sums::default();
    let (mut p, mut q) = (Texts::new(&pair.p.tokens), Texts::new(&pair.q.tokens));
    for facts in samples.rows.iter().filter(|facts| facts.is_scored()) {
        sums.add(facts, &align([p.of_sample(facts.id)?, q.of_sample(facts.id)?]));
    }
    Ok(sums.finish(pair, samples.clusters))
}

/// # Errors
/// [`crate::Error::Incomparable`] naming the first sample whose response, or prompt unless that is allowed, differs.
fn same_texts(pair: &PairTables, options: &Options) -> Result<()> {
    let may_differ = options.allow_different_context || pair.own_templates;
    let right = |name: &str| col(name).alias(format!("q_{name}"));
    let p = scan(&pair.p.samples, Table::Samples)?.select([
        col(sample::SAMPLE_ID),
        col(sample::PROMPT),
        col(sample::RESPONSE),
    ]);
    let q = scan(&pair.q.samples, Table::Samples)?.select([
        col(sample::SAMPLE_ID),
        right(sample::PROMPT),
        right(sample::RESPONSE),
    ]);
    let on = || [col(sample::SAMPLE_ID)];
    for (name, what, is_allowed) in [(sample::RESPONSE, "responses", false), (sample::PROMPT, "prompts", may_differ)] {
        let differs = col(name).neq_missing(col(format!("q_{name}")));
        let joined = p.clone().join(q.clone(), on(), on(), JoinArgs::new(JoinType::Inner));
        let first = joined.filter(differs).select([col(sample::SAMPLE_ID).min()]);
        let first = first.collect_with_engine(Engine::Streaming)?.unwrap_single();
        if let Some(id) = first.column(sample::SAMPLE_ID)?.u32()?.get(0).filter(|_| !is_allowed) {
            let help =
                if name == sample::PROMPT { "; --allow-different-context compares them all the same" } else { "" };
            return Err(pair.incomparable(format!("the {what} differ, first at sample_id {id}{help}")));
        }
    }
    Ok(())
}

/// What one sample adds.
#[derive(Clone, Copy, Debug)]
struct OfSample {
    cluster: u32,
    logprob: [f64; 2],
    spans: u64,
    bytes: u64,
}

#[derive(Default)]
struct Sums {
    samples: Vec<OfSample>,
    tokens: [u64; 2],
    left_out: u64,
}

impl Sums {
    fn add(&mut self, facts: &SampleFacts, aligned: &Aligned) {
        self.left_out += aligned.left_out.iter().map(|&n| u64::from(n)).sum::<u64>();
        if aligned.spans.is_empty() {
            return;
        }
        let mut of = OfSample { cluster: facts.cluster, logprob: [0.0; 2], spans: 0, bytes: 0 };
        for span in &aligned.spans {
            of.spans += 1;
            of.bytes += u64::from(span.bytes);
            for side in [0, 1] {
                of.logprob[side] += span.logprob[side];
                self.tokens[side] += u64::from(span.tokens[side]);
            }
        }
        self.samples.push(of);
    }

    fn finish(self, pair: &PairTables, clusters: usize) -> AlignedPair {
        let mean = |value: fn(&OfSample) -> f64, count: fn(&OfSample) -> u64| {
            let mut shares = vec![Share::default(); clusters];
            for of in &self.samples {
                let share = &mut shares[of.cluster as usize];
                share.sum += value(of);
                share.n += count(of);
            }
            clustered_mean(&shares)
        };
        let delta = |of: &OfSample| of.logprob[1] - of.logprob[0];
        let measure =
            |name: &str, unit: &str, mean| AlignedMeasure { name: name.to_owned(), unit: unit.to_owned(), mean };
        let bits = "bits/byte";
        let measures = vec![
            measure("bits_per_byte_p", bits, mean(|of| -of.logprob[0] / LN_2, |of| of.bytes)),
            measure("bits_per_byte_q", bits, mean(|of| -of.logprob[1] / LN_2, |of| of.bytes)),
            measure("delta_bits_per_byte", bits, mean(|of| (of.logprob[0] - of.logprob[1]) / LN_2, |of| of.bytes)),
            measure("delta_logprob", "nats/span", mean(delta, |of| of.spans)),
            measure("delta_logprob", "nats/response", mean(delta, |_| 1)),
            measure("kl_k1", "nats/span", mean(|of| of.logprob[0] - of.logprob[1], |of| of.spans)),
            measure("kl_k1", "nats/response", mean(|of| of.logprob[0] - of.logprob[1], |_| 1)),
        ];
        let total = |count: fn(&OfSample) -> u64| self.samples.iter().map(count).sum();
        AlignedPair {
            generation_model: pair.set.generation_model.clone(),
            task: pair.set.task.clone(),
            p: pair.p.model.clone(),
            q: pair.q.model.clone(),
            samples: self.samples.len() as u64,
            clusters: measures[0].mean.map_or(0, |mean| mean.clusters),
            spans: total(|of| of.spans),
            bytes: total(|of| of.bytes),
            tokens_p: self.tokens[0],
            tokens_q: self.tokens[1],
            left_out_tokens: self.left_out,
            partial: pair.partial.clone(),
            kl_estimate: KlEstimate::No { reason: ONE_TOKENISATION.to_owned() },
            measures,
            notes: pair.own_templates.then(|| OWN_CONTEXTS.to_owned()).into_iter().collect(),
        }
    }
}
