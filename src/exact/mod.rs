//! Exact shift: the full distributions of two models at every token, from the hidden rows that each kept.
//!
//! Owns the way from hidden files and heads to pairs tables. Two heads are in memory and no body: what takes long is four
//! numbers' worth of the vocabulary a token, not a forward pass. Refuses to score, and statistics: `shift` has them.

mod batch;
mod doubt;
mod kernel;
mod measures;
mod part;
mod position;
mod rest;
mod tile;
mod tokens;

use std::path::Path;

pub use measures::{Options as MeasureOptions, Row};
pub use tile::{Failure, Tiles};

use crate::decoder::Head;
use crate::error::{Error, Result};
use crate::schema::FORMAT_VERSION;
use crate::stop::Stop;
use crate::store::{FoundCell, PairManifest, PairStore, Store};

/// How two models are compared.
#[derive(Clone, Debug)]
pub struct Options {
    /// What logits are divided by.
    pub temperature: f64,
    /// Ids that end a response.
    pub stop: Vec<u32>,
    /// Ids that one model alone has may hold more than [`MAX_REMOVED`] of its probability.
    pub allow_removed: bool,
}

/// Largest mean probability of ids that the other model does not have: above it the comparison is of something else.
pub const MAX_REMOVED: f64 = 1e-3;

/// Two models on one text, P first.
#[derive(Debug)]
pub struct Pair<'a> {
    store: PairStore,
    inputs: [part::Input<'a>; 2],
    options: &'a Options,
    /// Parts that both have and that are not done, ascending.
    pub missing: Vec<u32>,
}

impl<'a> Pair<'a> {
    /// Looks at what is done under `root`, and whether the rest can be.
    ///
    /// # Errors
    /// A part without hidden rows; an earlier run with other options.
    pub fn open(root: &Path, p: &'a FoundCell, q: &'a FoundCell, options: &'a Options) -> Result<Self> {
        let store = Store::open(root)?.pair(&manifest(p, q, options)?)?;
        let inputs = [part::Input::new(p)?, part::Input::new(q)?];
        let both = p.parts.iter().copied().filter(|part| q.parts.contains(part));
        let missing: Vec<u32> = both.filter(|&part| !store.is_done(part)).collect();
        inputs.iter().try_for_each(|input| input.must_have(&missing))?;
        Ok(Self { store, inputs, options, missing })
    }

    /// Compares what is missing; the positions compared, and how many of them took every id in f64.
    ///
    /// # Errors
    /// Files that do not belong together, logits that are not finite; [`Error::Stopped`] between blocks of the vocabulary.
    pub fn run(&self, heads: [&Head; 2], stop: &Stop) -> Result<(usize, usize)> {
        self.store.lock()?;
        let (mut tiles, mut positions) = (Tiles::new(heads), 0);
        for &part in &self.missing {
            let rows = part::rows(&self.inputs, &mut tiles, part, self.options, stop)?;
            self.store.publish(part, &batch::of_rows(&rows)?)?;
            positions += rows.len();
        }
        Ok((positions, tiles.again))
    }
}

/// What decides the numbers of a pair.
fn manifest(p: &FoundCell, q: &FoundCell, options: &Options) -> Result<PairManifest> {
    let text = |cell: &FoundCell| (cell.cell.generation_model.clone(), cell.cell.task.clone());
    if text(p) != text(q) {
        return Err(Error::Usage("the two models scored different texts".to_owned()));
    }
    let (generation_model, task) = text(p);
    Ok(PairManifest {
        format_version: FORMAT_VERSION,
        generation_model,
        task,
        p: p.cell.model.clone(),
        q: q.cell.model.clone(),
        temperature: options.temperature,
        stop: options.stop.clone(),
        of_p: p.manifest.digest()?,
        of_q: q.manifest.digest()?,
    })
}
