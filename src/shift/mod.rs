//! How far models moved: lazy queries over the tables, and the statistics of what comes back.
//!
//! Owns everything between the tables on disk and a [`Comparison`]. Refuses engines and terminals: it touches only
//! Parquet and manifests, and `cli` decides what is shown where.

mod align;
mod alone;
mod apart;
mod asked;
mod batches;
mod bounds;
mod check;
mod comparison;
mod contradictions;
mod detail;
mod differences;
mod display;
mod estimate;
mod exact;
mod expressions;
mod fields;
mod floor;
mod gate;
mod kinds;
mod lists;
mod math;
mod measures;
mod overall;
mod overview;
mod pairs_table;
mod pass;
mod quantiles;
mod query;
mod read_first;
mod reference;
mod regions;
mod run_notes;
mod samples;
mod scan;
mod select;
mod slices;
mod statistics;
mod stats;
mod student;
mod study;
mod study_pairing;
mod summary;
mod sums;
mod tables;
mod together;
mod token;
mod values;
mod warnings;
mod writer;

use std::path::Path;

pub use align::{AlignedComparison, AlignedMeasure, AlignedPair, aligned_table, compare_aligned};
pub use comparison::{Comparison, Cut, Heads, LeftOut, Means, Measure, NotCompared, Pair, Partial, Sides};
pub use differences::Difference;
pub use display::{aligned, table};
pub use estimate::KlEstimate;
pub use exact::{ExactFigures, ShiftedToken, Stop};
pub use floor::{NoiseFloor, Twin};
pub use gate::{Limit, exceeded};
pub use overall::{Overall, OverallMeasure};
pub use overview::overview;
pub use quantiles::{EXACT, Quantile, Quantiles, Values};
pub use read_first::{FarResponse, FarToken, Place, ReadFirst};
pub use reference::default_reference;
pub use slices::Slice;
pub use statistics::statistics_parquet;
pub use stats::{Estimate, FEW_CLUSTERS, Share, clustered_mean, shares};
pub use study::{NullsRemoved, StudyFigure, StudyFigures, study_figures};
pub use warnings::{aligned_warnings, warnings};

use self::apart::Apart;
use self::select::Selection;
use self::tables::PairTables;
use crate::error::{Error, Result, panic_message};
use crate::store::FoundCell;

/// What to compare.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// P. Default: the generation model of each text; of windows, which none wrote, what [`default_reference`] says.
    pub reference: Option<String>,
    /// The model that sampled, at temperature 1, the texts whose own name says no model that was scored.
    pub own_text: Option<String>,
    /// Tasks and generation models to look at; all if empty.
    pub tasks: Vec<String>,
    pub generation_models: Vec<String>,
    /// Compare every two models, in the contexts that the text's writer wrote, not P with each alone.
    pub all_pairs: bool,
    /// Models that were also scored in f32: how far each stands from itself is the noise below which nothing is seen.
    /// Needs quantiles.
    pub noise_floor: Vec<Twin>,
    /// Compare samples whose contexts differ (each model was given its own rendering).
    pub allow_different_context: bool,
    /// Take quantiles too, exact ones of up to this many tokens ([`EXACT`]), a pass over the tables for each
    /// measure; beyond, in the same pass, from counts.
    pub quantiles: Option<u64>,
    /// Take means by region, kind, position and kept field too: one more pass over the tables.
    pub slices: bool,
}

/// P and Q of every pair that [`compare`] would compare.
///
/// # Errors
/// [`crate::Error::Usage`] if P is unclear or nothing fits.
pub fn chosen(root: &Path, options: &Options) -> Result<Vec<[FoundCell; 2]>> {
    select::chosen(root, options)
}

/// Compares every model under `root` with P on every text that both scored.
///
/// Memory: some thousand rows of each side a thread and some 400 bytes a sample, whatever the tables' size; quantiles add
/// 12 bytes a value, up to [`EXACT`] of them, else 8 MB a measure and thread; slices some 300 bytes a slice and cluster.
///
/// # Errors
/// [`crate::Error::Usage`] if P is unclear or nothing fits; [`crate::Error::Tables`] if reading tables panics. A pair whose
/// rows, token ids or contexts do not match, or whose files are damaged, is not compared and in no other's way; if it is
/// the only one: [`crate::Error::Incomparable`], [`crate::Error::File`].
pub fn compare(root: &Path, options: &Options) -> Result<Comparison> {
    guarded(|| compare_all(root, options))
}

fn compare_all(root: &Path, options: &Options) -> Result<Comparison> {
    let Selection { pairs, not_compared } = select::pairs(root, options)?;
    let mut apart = Apart::new(not_compared);
    let (mut found, mut differences, mut tasks) = (Vec::new(), Vec::new(), overall::Tasks::default());
    let same = |a: &PairTables, b: &PairTables| (&a.generation_model, &a.task) == (&b.generation_model, &b.task);
    for text in pairs.chunk_by(same) {
        let (tables, mut of_text) = apart.each(text, |pair| summary::pair(pair, options))?;
        floor::note(&tables, &mut of_text, &options.noise_floor)?;
        differences.extend(differences::of_text(&of_text)?);
        for (tables, (pair, sums)) in tables.iter().zip(of_text) {
            tasks.add(tables, &pair, &sums)?;
            found.push(pair);
        }
    }
    let not_compared = apart.finish(found.is_empty())?;
    let overall = tasks.finish(&mut found, &not_compared);
    Ok(Comparison { pairs: found, not_compared, differences, overall })
}

/// What [`study_figures`] makes of [`compare`], without the other figures: the study's own file at a fraction of the cost.
///
/// # Errors
/// Those of [`compare`].
pub fn only_study(root: &Path, options: &Options) -> Result<StudyFigures> {
    guarded(|| {
        let Selection { pairs, not_compared } = select::pairs(root, options)?;
        let mut apart = Apart::new(not_compared);
        let (tables, found) = apart.each(&pairs, |tables| summary::study_alone(tables, options))?;
        let mut figures = StudyFigures::new(&apart.finish(found.is_empty())?);
        for (tables, figure) in tables.iter().zip(&found) {
            let lacks = || study::lacks(&tables.p.model, &tables.generation_model);
            figures.add(&tables.title(), figure.as_ref().ok_or_else(lacks), tables.partial.as_ref());
        }
        Ok(figures)
    })
}

/// The optimised plan of the query that says what is added up of every pair, without running it: [`compare`] adds up
/// the same by a pass of its own.
///
/// # Errors
/// Those of [`compare`] that the samples tables and footers can show.
pub fn explain(root: &Path, options: &Options) -> Result<String> {
    guarded(|| {
        let Selection { pairs, .. } = select::pairs(root, options)?;
        let plans = pairs.iter().map(|pair| {
            let plan = summary::Prepared::new(pair, options)?.query(pair)?.explain(true)?;
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
