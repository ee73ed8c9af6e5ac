//! What `kl --exact` and `score --exact` do: the pairs tables that are missing, from hidden states and heads.
//!
//! Owns the rule that everything that would stop any pair is reported before the first pair is computed. Not here:
//! which pairs are requested.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Instant;

use super::heads::Heads;
use super::watch::{Compared, Event, Watch, watched};
use super::{inputs, named};
use crate::error::{Error, Result};
use crate::exact::{self, Pair};
use crate::stop::Stop;
use crate::store::{self, FoundCell};

/// What is to be compared, and how.
pub struct Exact<'a> {
    /// The output directory.
    pub root: &'a Path,
    /// The models whose heads are needed, as they were typed.
    pub models: &'a [String],
    /// The divisor of logits.
    pub temperature: f64,
    /// `--allow-removed`.
    pub allow_removed: bool,
}

impl Exact<'_> {
    /// # Errors
    /// A name of a model that the directory does not have: a model that is missed later may be it.
    pub fn must_know_models(&self) -> Result<()> {
        let (found, damaged) = store::cells_and_damaged(self.root)?;
        let cells = found.iter().map(|found| &found.cell).chain(damaged.iter().map(|damaged| &damaged.cell));
        let known: BTreeSet<&str> = cells.map(|cell| cell.model.as_str()).collect();
        let names = self.models.iter().map(|typed| named::split(typed).0);
        let Some(name) = names.into_iter().find(|name| !known.contains(name.as_str())) else { return Ok(()) };
        let known = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        Err(Error::usage(format!(
            "--models: `{name}` has no scores in `{}`, only {known}: use one of these names, as NAME=DIRECTORY",
            self.root.display()
        )))
    }

    /// What is there of the pairs must have been made as this would make it.
    ///
    /// # Errors
    /// [`Error::Mismatch`], which names what to delete.
    pub fn must_agree(&self, pairs: &[[FoundCell; 2]]) -> Result<()> {
        let heads = Heads::new(self.models)?;
        pairs.iter().try_for_each(|[p, q]| exact::must_agree(self.root, p, q, &self.options(p, q, &heads)?))
    }

    /// Writes what is missing of every pair. A pair that is whole needs no heads; those that are given must be right all
    /// the same.
    ///
    /// # Errors
    /// Those of pairs that cannot be compared, once the others are.
    pub fn run(&self, pairs: &[[FoundCell; 2]], seen: (&dyn Watch, &Stop)) -> Result<()> {
        let mut heads = Heads::new(self.models)?;
        let mut needed = Vec::new();
        for [p, q] in pairs {
            if !exact::missing(self.root, p, q)?.is_empty() {
                needed.extend([p, q]);
            }
        }
        heads.must_be_given(needed)?;
        let mut left = Vec::new();
        for [p, q] in pairs {
            let pair = Pair::open(self.root, p, q, self.options(p, q, &heads)?)?;
            if !pair.missing.is_empty() {
                left.push((p, q, pair));
            }
        }
        pairs.iter().flatten().try_for_each(|cell| heads.must_have_scored(cell))?;
        let mut failures = Vec::new();
        for (p, q, pair) in &left {
            match compare([p, q], pair, &mut heads, seen) {
                Err(error) if error.is_stopped() => return Err(error),
                compared => failures.extend(compared.err()),
            }
        }
        match failures.len() {
            0 | 1 => failures.pop().map_or(Ok(()), Err),
            _ => Err(Error::Several(failures)),
        }
    }

    /// The end token is the run's, else what the configuration of P's model names; a pair that is whole without that model
    /// has its own.
    fn options(&self, p: &FoundCell, q: &FoundCell, heads: &Heads) -> Result<exact::Options> {
        let stop = match (p.manifest.tokens.end, heads.directory(p)) {
            (Some(id), _) => vec![id],
            (None, Some(directory)) => inputs::end_ids(directory)?,
            (None, None) => exact::manifest_of(self.root, p, q)?.map(|earlier| earlier.stop).unwrap_or_default(),
        };
        Ok(exact::Options { temperature: self.temperature, stop, allow_removed: self.allow_removed })
    }
}

fn compare([p, q]: [&FoundCell; 2], pair: &Pair, heads: &mut Heads, (watch, stop): (&dyn Watch, &Stop)) -> Result<()> {
    let both = heads.load([p, q])?;
    let name = format!("comparing `{}` with `{}` on `{}`", p.cell.model, q.cell.model, p.cell.set.task);
    let started = Instant::now();
    let compared = watched((watch, stop), (&name, None), || pair.run(both, &stop.part()));
    let done = compared.map_err(|e| e.during(name))?;
    let elapsed = started.elapsed();
    watch.event(&Event::Compared(Compared { p: &p.cell, q: &q.cell, done, elapsed }));
    Ok(())
}
