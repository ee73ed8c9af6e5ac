//! `tokshift run`: a file of experiments from its first cell to its last comparison.
//!
//! Owns the order: look at datasets, score model by model, compare directory by directory, tell. A failure ends its own
//! cells alone and is told at the end. Refuses to score: `session` does.

mod cells;
mod compare;
mod models;
mod plan;
mod report;
mod scoring;

use anyhow::Result;

use super::Exit;
use super::args::RunArgs;
use cells::{Cells, State};

/// Does what the file asks for, or tells what that is.
pub fn run(args: &RunArgs) -> Result<Exit> {
    let experiments = crate::experiments::read(&args.file)?.experiments;
    let mut cells = Cells::scan(&experiments);
    if args.dry_run {
        return plan::print(&cells, args);
    }
    let scored = scoring::score(&mut cells, args)?;
    let comparisons = compare::compare(&scored.outputs);
    report::print(&cells, &comparisons, args.json)?;
    let failed = cells.all.iter().any(|cell| matches!(cell.state, State::Failed(_)));
    let skipped = cells.all.iter().any(|cell| matches!(cell.state, State::Skipped(_)));
    Ok(match () {
        () if failed || comparisons.iter().any(|comparison| comparison.failed.is_some()) => Exit::Failed,
        () if skipped || scored.unscored > 0 => Exit::Unscored,
        () => Exit::Done,
    })
}
