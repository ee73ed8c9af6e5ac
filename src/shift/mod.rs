//! How far models moved: lazy queries over the tables, and the statistics of what comes back.
//!
//! Owns everything between the tables on disk and a [`Comparison`]. Refuses engines and terminals: it touches only
//! Parquet and manifests, and `cli` decides what is shown where.

mod alone;
mod bounds;
mod check;
mod comparison;
mod display;
mod gate;
mod lists;
mod math;
mod measures;
mod query;
mod samples;
mod scan;
mod select;
mod stats;
mod student;
mod study;
mod summary;
mod sums;

use std::path::Path;

pub use comparison::{Comparison, LeftOut, Measure, Pair, Partial, Sides};
pub use display::table;
pub use gate::{Limit, exceeded};
pub use stats::{Estimate, FEW_CLUSTERS};
pub use study::{StudyFigure, study_json};

use crate::error::Result;
use crate::store;

/// What to compare.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// P. Default: the generation model of each text.
    pub reference: Option<String>,
    /// Tasks and generation models to look at; all if empty.
    pub tasks: Vec<String>,
    pub generation_models: Vec<String>,
    /// Compare samples whose contexts differ (each model was given its own rendering).
    pub allow_different_context: bool,
}

/// Compares every model under `root` with P on every text that both scored.
///
/// Memory: one row group of each side and one row a sample, whatever the tables' size.
///
/// # Errors
/// [`crate::Error::Usage`] if P is unclear or nothing fits; [`crate::Error::Incomparable`] if rows, token ids or
/// contexts of two tables do not match; [`crate::Error::File`] if a table's files are not in order.
pub fn compare(root: &Path, options: &Options) -> Result<Comparison> {
    let pairs = select::pairs(store::cells(root)?, options)?;
    let pairs = pairs.iter().map(|pair| summary::pair(pair, options)).collect::<Result<_>>()?;
    Ok(Comparison { pairs })
}

/// The optimised plan of every pair's query, without running it.
///
/// # Errors
/// Those of [`compare`] that the samples tables and footers can show.
pub fn explain(root: &Path, options: &Options) -> Result<String> {
    let pairs = select::pairs(store::cells(root)?, options)?;
    let plans = pairs.iter().map(|pair| {
        let plan = summary::Prepared::new(pair, options)?.query(pair)?.explain(true)?;
        Ok(format!("{}\n{plan}\n", pair.title()))
    });
    plans.collect()
}
