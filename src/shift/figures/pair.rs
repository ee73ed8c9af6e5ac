//! From the sums of a pair to its statistics.
//!
//! Owns the order of work on one pair: checks that need no scan, the sums, checks of the sums, statistics. Not here:
//! formulas of a token (`measures`) and of a mean (`stats`).

use std::collections::{BTreeMap, HashSet};

use polars::prelude::LazyFrame;

use super::study_pairing::{self, absolute_mean};
use super::{check, estimate, exact, perplexity, read_first, relations, rounding, slices};
use crate::error::Result;
use crate::sample::Status;
use crate::schema::Divergence;
use crate::shift::numbers::stats::{Estimate, clustered_mean, shares};
use crate::shift::options::Options;
use crate::shift::pass::collect::{self, What};
use crate::shift::pass::sums::Sums;
use crate::shift::pass::{plain, values};
use crate::shift::query::by_sample;
use crate::shift::result::kl_estimate::K1;
use crate::shift::result::means::Measure;
use crate::shift::result::pair::{Cut, LeftOut, Pair, few_clusters};
use crate::shift::result::study::StudyFigure;
use crate::shift::tables::fields::Fields;
use crate::shift::tables::files::PairTables;
use crate::shift::tables::footers::{self, Footers};
use crate::shift::tables::samples::{self, Samples};
use crate::shift::token::measures;
use crate::shift::weights::of_pair as weights;

/// A pair whose samples tables and footers were read and found fit.
pub struct Prepared {
    samples: Samples,
    p: Footers,
    q: Footers,
    different_contexts: u64,
}

impl Prepared {
    pub fn new(pair: &PairTables, options: &Options) -> Result<Self> {
        let samples = samples::read(pair)?;
        let are_allowed = options.allow_different_context || pair.own_templates;
        let different_contexts = check::contexts(pair, &samples, are_allowed)?;
        let (p, q) = (footers::footers(&pair.p)?, footers::footers(&pair.q)?);
        footers::must_fit(pair)?;
        Ok(Self { samples, p, q, different_contexts })
    }

    /// After all was read: it must be what was found fit.
    fn must_stand(&self, pair: &PairTables) -> Result<()> {
        footers::must_be_as_before(&pair.p, &self.p)?;
        footers::must_be_as_before(&pair.q, &self.q)?;
        footers::must_fit(pair)
    }

    /// What [`pair`] adds up, as a lazy query.
    pub fn query(&self, pair: &PairTables) -> Result<LazyFrame> {
        by_sample::sums_by_sample(pair, self.samples.study_from.clone())
    }

    fn sums(&self, pair: &PairTables, options: &Options) -> Result<Sums> {
        if options.plain {
            return plain::collect(pair, self.footers(), &self.samples);
        }
        let binned = values::cuts(pair, self.footers(), options.quantiles)?;
        let what = What::all(self.lacks_ids(), pair.exact.is_some(), binned);
        collect::collect(pair, self.footers(), &self.samples, what)
    }

    fn footers(&self) -> [&Footers; 2] {
        [&self.p, &self.q]
    }

    fn lacks_ids(&self) -> bool {
        self.p.lacks_ids || self.q.lacks_ids
    }
}

/// The study's KL value alone, which reads a fraction of the columns and takes a fraction of the time.
pub fn study_alone(tables: &PairTables, options: &Options) -> Result<Option<StudyFigure>> {
    let prepared = Prepared::new(tables, options)?;
    let samples = &prepared.samples;
    let sums = collect::collect(tables, prepared.footers(), samples, What::study(prepared.lacks_ids()))?;
    check::tokens(tables, &sums)?;
    check::rows(tables, samples, &sums, &prepared.p, &prepared.q)?;
    prepared.must_stand(tables)?;
    study(tables, samples, &sums)
}

/// Compares one pair; the sums are what comparing it with others takes.
pub fn pair(tables: &PairTables, options: &Options, fields: &Fields) -> Result<(Pair, Sums)> {
    let prepared = Prepared::new(tables, options)?;
    let samples = &prepared.samples;
    let sums = prepared.sums(tables, options)?;
    check::tokens(tables, &sums)?;
    check::exact(tables, &sums)?;
    let unequal = check::rows(tables, samples, &sums, &prepared.p, &prepared.q)?;
    let mut pair = figures(tables, (options, fields), &prepared, &sums, unequal)?;
    pair.notes.extend(rounding::notes(tables, &pair, options));
    pair.notes.extend(partly_known(&pair.measures));
    prepared.must_stand(tables)?;
    Ok((pair, sums))
}

/// The statistics of a pair whose sums passed the checks; `unequal` of its samples were compared up to the shorter
/// length.
fn figures(
    tables: &PairTables,
    (options, fields): (&Options, &Fields),
    prepared: &Prepared,
    sums: &Sums,
    unequal: u64,
) -> Result<Pair> {
    let clusters = sums.facts.iter().map(|s| s.cluster).collect::<HashSet<_>>().len() as u64;
    let mut measures = measures::ALL.iter().map(|m| measure(m, sums)).collect::<Result<Vec<_>>>()?;
    measures.retain(|m| m.token_mean.is_some() || !measures::is_of_pairs(&m.name));
    let exact = exact::of_pair(tables, sums)?;
    let is_of_all = estimate::is_of_all(tables, exact.as_ref());
    let left_out = left_out(&prepared.samples);
    let kl_estimate = estimate::of_pair(tables, sums, &left_out, is_of_all)?;
    let perplexity = perplexity::perplexity(sums)?;
    let study = study(tables, &prepared.samples, sums)?;
    Ok(Pair {
        generation_model: tables.set.generation_model.clone(),
        task: tables.set.task.clone(),
        p: tables.p.model.clone(),
        q: tables.q.model.clone(),
        samples: sums.facts.len() as u64,
        tokens: sums.rows.iter().sum(),
        clusters,
        left_out,
        cut: cut(sums),
        partial: tables.partial.clone(),
        heads: tables.heads,
        measures,
        perplexity,
        perplexity_ratio: perplexity::perplexity_ratio(sums)?,
        perplexity_difference: perplexity::perplexity_difference(sums, &perplexity)?,
        log_perplexity_correlation: perplexity::correlation(sums)?,
        rms_delta_p: perplexity::rms_delta_p(sums)?,
        exact,
        noise_floor: None,
        mean_sample_perplexity: perplexity::mean_sample_perplexity(sums)?,
        quantiles: values::quantiles(tables, sums, options.quantiles)?,
        slices: if options.slices {
            slices::of_pair(tables, sums, (&kl_estimate, is_of_all), fields)?
        } else {
            Vec::new()
        },
        fields: relations::of_pair(tables, sums, &kl_estimate)?,
        weights: weights::of_pair(tables, sums, options)?,
        read_first: read_first::of_pair(tables, sums)?,
        study,
        notes: kl_estimate.note().into_iter().chain(notes(tables, prepared, sums, clusters, unequal)).collect(),
        kl_estimate,
    })
}

fn measure(measure: &measures::Measure, sums: &Sums) -> Result<Measure> {
    let samples = sums.of(measure.name)?;
    let mean = |of: fn((f64, u64)) -> (f64, u64)| -> Option<Estimate> {
        let rows = sums.facts.iter().zip(&samples).filter(|(_, (_, n))| *n > 0).map(|(facts, sample)| {
            let (sum, n) = of(*sample);
            (facts.cluster, sum, n)
        });
        clustered_mean(&shares(sums.clusters, rows))
    };
    Ok(Measure {
        name: measure.name.to_owned(),
        unit: measure.unit.to_owned(),
        token_mean: mean(|sample| sample),
        sample_mean: mean(|(sum, n)| (sum / n as f64, 1)),
        response_mean: measure.is_per_response.then(|| mean(|(sum, _)| (sum, 1))).flatten(),
    })
}

/// What a limit of tokens ended; `None` if nothing.
fn cut(sums: &Sums) -> Option<Cut> {
    let samples = sums.facts.iter().filter(|facts| facts.is_cut == Some(true)).count() as u64;
    if sums.facts.iter().all(|facts| facts.is_cut.is_none()) {
        return None;
    }
    let rows = sums.facts.iter().map(|facts| (facts.cluster, f64::from(u8::from(facts.is_cut == Some(true))), 1));
    let share = clustered_mean(&shares(sums.clusters, rows))?;
    Some(Cut { samples, share })
}

/// Samples by what the two sides made of them, those compared left away.
fn left_out(samples: &Samples) -> Vec<LeftOut> {
    let place = |status: Status| Status::ALL.iter().position(|s| *s == status);
    let mut counts: BTreeMap<_, LeftOut> = BTreeMap::new();
    for sample in samples.rows.iter().filter(|s| !s.is_scored()) {
        let key = (place(sample.p), place(sample.q));
        counts.entry(key).or_insert(LeftOut { p: sample.p, q: sample.q, samples: 0 }).samples += 1;
    }
    counts.into_values().collect()
}

fn study(tables: &PairTables, samples: &Samples, sums: &Sums) -> Result<Option<StudyFigure>> {
    if tables.p.model != tables.set.generation_model {
        return Ok(None);
    }
    let figure = absolute_mean(sums.of_study()?.into_iter());
    let null_rows_removed = study_pairing::figure(tables, samples)?;
    Ok(figure.map(|(kl_divergence, num_data_points, total_tokens)| StudyFigure {
        generation_model: tables.set.generation_model.clone(),
        task: tables.set.task.clone(),
        tested_model: tables.q.model.clone(),
        kl_divergence,
        num_data_points,
        total_tokens,
        avg_tokens_per_data_point: total_tokens as f64 / num_data_points as f64,
        null_rows_removed,
    }))
}

/// Measures of fewer tokens than have both log-probabilities, because some rows lack ranks, entropies or lists, as rows of
/// recorded numbers may: their means are of those tokens alone. One note for all that are of equally many.
fn partly_known(measures: &[Measure]) -> Vec<String> {
    let tokens = |measure: &Measure| measure.token_mean.map_or(0, |mean| mean.n);
    let of = |name: &str| measures.iter().find(|measure| measure.name == name).map_or(0, tokens);
    // A pairs table may lack parts, which is said of all of its measures; KL stands in every row of one.
    let all = |name: &str| if measures::is_of_pairs(name) { of(Divergence::Kl.column()) } else { of(K1) };
    let mut partly: BTreeMap<(u64, u64), Vec<&str>> = BTreeMap::new();
    // Classes of the written token are only of those that P ranks first.
    for measure in measures.iter().filter(|measure| !measure.name.starts_with("shift_class_token")) {
        let (known, all) = (tokens(measure), all(&measure.name));
        if (1..all).contains(&known) {
            partly.entry((known, all)).or_default().push(&measure.name);
        }
    }
    let note = |((known, all), names): ((u64, u64), Vec<&str>)| {
        format!("known at only {known} of {all} tokens, whose mean they are: {}", names.join(", "))
    };
    partly.into_iter().map(note).collect()
}

fn notes(tables: &PairTables, prepared: &Prepared, sums: &Sums, clusters: u64, unequal: u64) -> Vec<String> {
    let mut notes = tables.notes.clone();
    notes.extend(few_clusters(clusters));
    let truncated = sums.facts.iter().filter(|s| s.p == Status::Truncated || s.q == Status::Truncated).count();
    if truncated > 0 {
        notes.push(format!("samples cut to the shorter of the models' contexts: {truncated}"));
    }
    if let Some(Cut { samples, share }) = cut(sums).filter(|cut| cut.samples > 0) {
        let (all, share) = (share.n, 100.0 * share.value);
        let what = "nats per response include them as they are, the probability to end leaves them out";
        notes.push(format!("responses that a token limit ended: {samples} of {all} ({share:.1}%); {what}"));
    }
    if unequal > 0 {
        notes.push(format!("samples of unequal numbers of tokens, compared up to the shorter: {unequal}"));
    }
    if prepared.different_contexts > 0 {
        notes.push(format!("samples scored in different contexts: {}", prepared.different_contexts));
    }
    notes.extend(tables.heads.and_then(|heads| heads.no_upper_bound()));
    let unchecked = sums.unchecked();
    if unchecked > 0 {
        let (p, q) = (&tables.p.model, &tables.q.model);
        notes.push(format!(
            "tokens of which `{p}` and `{q}` have neither ids nor texts, so that nothing shows that both read one text: \
             {unchecked}"
        ));
    }
    let not_finite = sums.not_finite();
    if not_finite > 0 {
        notes.push(format!(
            "{not_finite} tokens have an infinite or NaN log-probability difference, so means of it are not finite"
        ));
    }
    notes
}
