//! Two models on one response set: which parts are to be compared, and their pairs tables.
//!
//! Owns the manifest of a pair. Not here: rows (`part`).

use std::path::Path;

use super::batch;
use super::options::Options;
use super::part::{self, Input};
use super::tile::Tiles;
use crate::decoder::Head;
use crate::error::{Error, Result};
use crate::schema::FORMAT_VERSION;
use crate::stop::Stop;
use crate::store::{FoundCell, PairCell, PairManifest, PairStore, ResponseSetKey, Store};

/// Two models on one text, P first.
#[derive(Debug)]
pub struct Pair<'a> {
    store: PairStore,
    inputs: [Input<'a>; 2],
    options: Options,
    /// Parts that both have and that are not done, ascending.
    pub missing: Vec<u32>,
}

impl<'a> Pair<'a> {
    /// Looks at what is done under `root`, and whether the rest can be.
    ///
    /// # Errors
    /// A part without hidden states; an earlier run with other options.
    pub fn open(root: &Path, p: &'a FoundCell, q: &'a FoundCell, options: Options) -> Result<Self> {
        let store = Store::open(root)?.pair(&manifest(p, q, &options)?)?;
        let inputs = [Input::new(p), Input::new(q)];
        let missing = missing(root, p, q)?;
        inputs.iter().try_for_each(|input| input.must_have(&missing))?;
        Ok(Self { store, inputs, options, missing })
    }

    /// Compares what is missing; the positions compared, and how many of them took every id in f64.
    ///
    /// # Errors
    /// Files that do not belong together, or were written again meanwhile; logits that are not finite; [`Error::Stopped`] between blocks of the vocabulary.
    pub fn run(&self, heads: [&Head; 2], stop: &Stop) -> Result<(usize, usize)> {
        self.store.lock()?;
        let (mut tiles, mut positions) = (Tiles::new(heads), 0);
        // Another process may have done some by now.
        for part in self.missing.iter().copied().filter(|&part| !self.store.is_done(part)) {
            let (rows, tokens) = part::rows(&self.inputs, &mut tiles, part, &self.options, stop)?;
            self.store.publish(part, &batch::of_rows(&rows)?, tokens)?;
            positions += rows.len();
        }
        Ok((positions, tiles.again))
    }
}

/// Whether existing parts of a pair were computed with `options`.
///
/// # Errors
/// [`Error::Mismatch`], which names what to delete.
pub fn must_agree(root: &Path, p: &FoundCell, q: &FoundCell, options: &Options) -> Result<()> {
    Store::open(root)?.pair(&manifest(p, q, options)?).map(drop)
}

/// Parts that both have done and whose exact measures are not there, ascending.
///
/// # Errors
/// A name that makes no folder.
pub fn missing(root: &Path, p: &FoundCell, q: &FoundCell) -> Result<Vec<u32>> {
    let cell = pair_cell(p, q);
    let both = p.parts.iter().copied().filter(|part| q.parts.contains(part));
    let paths = both.map(|part| Ok((part, cell.part(root, part)?))).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|(_, path)| !path.exists()).map(|(part, _)| part).collect())
}

/// What an earlier run of the pair decided.
///
/// # Errors
/// As [`PairManifest::read`].
pub fn manifest_of(root: &Path, p: &FoundCell, q: &FoundCell) -> Result<Option<PairManifest>> {
    pair_cell(p, q).manifest(root)
}

fn pair_cell(p: &FoundCell, q: &FoundCell) -> PairCell {
    p.cell.set.pair(&p.cell.model, &q.cell.model)
}

/// What decides the numbers of a pair.
fn manifest(p: &FoundCell, q: &FoundCell, options: &Options) -> Result<PairManifest> {
    if p.cell.set != q.cell.set {
        return Err(Error::Usage("the two models scored different texts".to_owned()));
    }
    let PairCell { set: ResponseSetKey { generation_model, task }, p: of_p, q: of_q } = pair_cell(p, q);
    Ok(PairManifest {
        format_version: FORMAT_VERSION,
        generation_model,
        task,
        p: of_p,
        q: of_q,
        temperature: options.temperature,
        stop: options.stop.clone(),
        of_p: p.manifest.digest()?,
        of_q: q.manifest.digest()?,
    })
}
