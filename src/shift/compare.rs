//! From directories to comparisons.
//!
//! Owns the order of work: select tables, then read and compute pair by pair, then combine pairs. Not here: any of
//! these steps.

use std::collections::BTreeSet;
use std::path::Path;

use polars::prelude::LazyFrame;

use super::align::pair::of_pair;
use super::figures::{between, differences, estimate, floor, overall, pair};
use super::options::Options;
use super::output::study::StudyFigures;
use super::query::joined;
use super::result::aligned::AlignedComparison;
use super::result::comparison::{Comparison, ModelFacts, NotCompared};
use super::result::study;
use super::tables::apart::Apart;
use super::tables::fields::Fields;
use super::tables::files::PairTables;
use super::tables::footers;
use super::tables::select::{self, Selection};
use super::tables::shared_clusters::SharedClusters;
use crate::error::{Error, Result, panic_message};
use crate::store::FoundCell;

/// P and Q of every pair that [`compare`] would compare.
///
/// # Errors
/// [`crate::Error::Usage`] if P is unclear or nothing fits.
pub fn chosen(root: &Path, options: &Options) -> Result<Vec<[FoundCell; 2]>> {
    let mut chosen = select::chosen(root, options)?;
    chosen.retain(|[p, q]| is_requested(&p.cell.model, &q.cell.model, options));
    Ok(chosen)
}

/// Whether the options request this pair.
fn is_requested(p: &str, q: &str, options: &Options) -> bool {
    options.pairs.is_empty() || options.pairs.iter().any(|[of_p, of_q]| (of_p.as_str(), of_q.as_str()) == (p, q))
}

/// The pairs to look at among those that are selected.
fn requested(root: &Path, options: &Options) -> Result<Selection> {
    let Selection { mut pairs, mut not_compared } = select::pairs(root, options)?;
    if options.pairs.is_empty() {
        return Ok(Selection { pairs, not_compared });
    }
    let names: BTreeSet<String> = pairs.iter().map(|pair| format!("{},{}", pair.p.model, pair.q.model)).collect();
    pairs.retain(|pair| is_requested(&pair.p.model, &pair.q.model, options));
    not_compared.retain(|pair| is_requested(&pair.p, &pair.q, options));
    match (pairs.is_empty(), not_compared.is_empty()) {
        (true, true) => {
            let what = "no response set has this pair; those there are (use --reference for another P)";
            Err(Error::Usage(format!("--pair: {what}: {}", names.into_iter().collect::<Vec<_>>().join("; "))))
        }
        (true, false) => Err(Error::Usage(NotCompared::all(&not_compared))),
        _ => Ok(Selection { pairs, not_compared }),
    }
}

/// Compares every model under `root` with P on every response set that both scored.
///
/// Memory: some thousand rows of each side a thread and some 400 bytes a sample, whatever the tables' size; quantiles
/// add 12 bytes a value, up to [`EXACT`](crate::shift::EXACT) of them, else 8 MB a measure and thread; slices some 300
/// bytes a slice and cluster.
///
/// # Errors
/// [`crate::Error::Usage`] if P is unclear or nothing fits; [`crate::Error::Tables`] if reading tables panics. A pair
/// whose rows, token ids or contexts do not match, or whose files are damaged, is not compared and in no other's way;
/// if it is the only one: [`crate::Error::Incomparable`], [`crate::Error::File`].
pub fn compare(root: &Path, options: &Options) -> Result<Comparison> {
    guarded(|| compare_all(root, options))
}

fn compare_all(root: &Path, options: &Options) -> Result<Comparison> {
    let Selection { pairs, not_compared } = requested(root, options)?;
    let mut apart = Apart::new(not_compared);
    let (mut found, mut differences) = (Vec::new(), Vec::new());
    let mut tasks = overall::Tasks::new(SharedClusters::read(&pairs));
    let mut shifts = between::Shifts::new(options.between.as_ref());
    let fields = if options.slices { Fields::read(&pairs) } else { Fields::default() };
    for text in pairs.chunk_by(|a, b| a.set == b.set) {
        let (tables, mut of_set) = apart.each(text, |pair| pair::pair(pair, options, &fields))?;
        estimate::agree(&tables, &mut of_set)?;
        floor::note(&tables, &mut of_set, &options.noise_floor)?;
        differences.extend(differences::of_set(&of_set)?);
        for (tables, (pair, sums)) in tables.iter().zip(of_set) {
            tasks.add(tables, &pair, &sums)?;
            shifts.add(tables, &pair, &sums)?;
            found.push(pair);
        }
    }
    let not_compared = apart.finish(found.is_empty())?;
    let overall = tasks.finish(&mut found, &not_compared);
    let between = shifts.finish(&not_compared)?;
    let mut comparison = Comparison { models: Vec::new(), pairs: found, not_compared, differences, overall, between };
    let is_compared = |tables: &&PairTables| comparison.pairs.iter().any(|pair| pair.title() == tables.title());
    let compared: Vec<&PairTables> = pairs.iter().filter(is_compared).collect();
    for table in compared.into_iter().flat_map(|tables| [&tables.p, &tables.q]) {
        let (files, dtype) = table.weights.clone();
        comparison.add_model(ModelFacts { name: table.model.clone(), dtype, files });
    }
    Ok(comparison)
}

/// The result of [`study_figures`](crate::shift::study_figures) on [`compare`], without all other statistics, at a
/// fraction of the cost.
///
/// # Errors
/// Those of [`compare`].
pub fn only_study(root: &Path, options: &Options) -> Result<StudyFigures> {
    guarded(|| {
        let Selection { pairs, not_compared } = requested(root, options)?;
        let mut apart = Apart::new(not_compared);
        let (tables, found) = apart.each(&pairs, |tables| pair::study_alone(tables, options))?;
        let mut figures = StudyFigures::new(&apart.finish(found.is_empty())?);
        for (tables, figure) in tables.iter().zip(&found) {
            let lacks = || study::lacks(&tables.p.model, &tables.set.generation_model);
            figures.add(&tables.title(), figure.as_ref().ok_or_else(lacks), tables.partial.as_ref());
        }
        Ok(figures)
    })
}

/// The tables of every pair that [`compare`] would compare.
///
/// # Errors
/// Those of [`compare`] that the manifests can show.
pub fn pairs(root: &Path, options: &Options) -> Result<Vec<PairTables>> {
    Ok(requested(root, options)?.pairs)
}

/// The lazy query that defines every figure over tokens: one row for each token that both models scored, in the order
/// of `sample_id` and `position`, with the columns of both tokens tables (`p.logprob`, `q.logprob`), those of the pairs
/// table if there is one (`x.kl`), and one for every measure (`kl_k1`; docs/measures.md has its unit).
///
/// Polars gets the hint that the rows ascend. Footers prove it of row groups; of the rows in them `tokshift verify`
/// does.
///
/// # Errors
/// [`crate::Error::File`] naming a file whose footer does not prove that its rows are in order, or are of these tables.
pub fn joined(pair: &PairTables) -> Result<LazyFrame> {
    guarded(|| {
        footers::footers(&pair.p)?;
        footers::footers(&pair.q)?;
        footers::must_fit(pair)?;
        joined::joined(pair)
    })
}

/// The optimised plan of the query over [`joined`] tokens that adds up every pair's measures by sample, without running
/// it. [`compare`] runs it if [`Options::plain`] is set, and adds up the same by a faster pass otherwise.
///
/// # Errors
/// Those of [`compare`] that the samples tables and footers can show.
pub fn explain(root: &Path, options: &Options) -> Result<String> {
    guarded(|| {
        let Selection { pairs, .. } = requested(root, options)?;
        let plans = pairs.iter().map(|pair| {
            let plan = pair::Prepared::new(pair, options)?.query(pair)?.explain(true)?;
            Ok(format!("{}\n{plan}\n", pair.title()))
        });
        plans.collect()
    })
}

/// Runs queries on a thread of their own, because libraries panic on some broken Parquet: that is an error of a file.
fn guarded<T: Send>(work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let failed = |panic: Box<dyn std::any::Any + Send>| Error::Tables { message: panic_message(&*panic) };
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|panic| Err(failed(panic)))
}

/// Compares models whose tokens differ, one response set at a time: P under one root with every model under the other.
///
/// Memory: a batch of each table and some 50 bytes a sample.
///
/// # Errors
/// Those of [`compare`] but for token ids; texts that differ; tokens without a place in the text.
pub fn compare_aligned(roots: [&Path; 2], options: &Options) -> Result<AlignedComparison> {
    guarded(|| {
        let Selection { pairs, not_compared } = select::pairs_across(roots, options)?;
        let mut apart = Apart::new(not_compared);
        let (_, pairs) = apart.each(&pairs, |pair| of_pair(pair, options))?;
        let not_compared = apart.finish(pairs.is_empty())?;
        Ok(AlignedComparison { pairs, not_compared })
    })
}
