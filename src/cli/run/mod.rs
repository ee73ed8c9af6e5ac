//! `tokshift run`: scores and compares everything that a file of experiments lists.
//!
//! Owns the order: look at datasets, score model by model, compare directory by directory, report. A failure ends only
//! its own cells and is reported at the end. Not here: scoring (`score::many`).

mod compare;
mod plan;
mod report;

use anyhow::Result;

use super::args::RunArgs;
use super::exit::Exit;
use super::signals;
use super::terminal::Terminal;
use crate::pipeline::WhichParts;
use crate::score::cells::{Cells, State};
use crate::score::many;

/// Runs the experiments of the file; with `--dry-run` it only prints what a run would do.
pub fn run(args: &RunArgs) -> Result<Exit> {
    let experiments = crate::experiments::read(&args.file)?.experiments;
    let mut cells = Cells::scan(&experiments);
    let (terminal, engine) = (Terminal::new(), args.engine.choice());
    if args.dry_run {
        many::check(&mut cells, engine, &terminal);
        return plan::print(&cells, args);
    }
    let parts = WhichParts { retry_failed: args.retry_failed, shard: args.shard.shard };
    if experiments.iter().any(|experiment| experiment.exact) {
        parts.must_be_all()?;
    }
    let scored = many::score_cells(&mut cells, engine, parts, &terminal, &signals::stop())?;
    let comparisons = compare::compare(&scored.outputs, args.study);
    report::print(&cells, &comparisons, args.json)?;
    let failed = cells.all.iter().any(|cell| matches!(cell.state, State::Failed(_)));
    let skipped = cells.all.iter().any(|cell| matches!(cell.state, State::Skipped(_)));
    Ok(match () {
        () if failed || comparisons.iter().any(|comparison| comparison.failed.is_some()) => Exit::Failed,
        () if skipped || scored.unscored > 0 => Exit::Unscored,
        () => Exit::Done,
    })
}
