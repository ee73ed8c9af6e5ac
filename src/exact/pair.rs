//! Exact comparison of two models on one response set, part by part.
//!
//! Owns the contents of a pair's manifest, and the list of parts that are still to be compared. Not here: the rows of a
//! part (`part`).

use std::path::Path;
use std::time::Duration;

use super::batch;
use super::options::Options;
use super::part::{self, Input};
use super::side::Side;
use super::tile::Tiles;
use crate::error::{Error, Result};
use crate::schema::FORMAT_VERSION;
use crate::stop::Stop;
use crate::store::{FoundCell, PairCell, PairManifest, PairStore, ResponseSetKey, Store};

/// How often parts that other processes compare are looked at again.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// Two models on one response set, P first.
#[derive(Debug)]
pub struct Pair<'a> {
    store: PairStore,
    inputs: [Input<'a>; 2],
    options: Options,
    /// Parts that both models have scored and that are not compared yet, ascending.
    pub missing: Vec<u32>,
}

/// What a run of a pair did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Done {
    /// Positions that were compared.
    pub positions: usize,
    /// Those of them at which every logit was computed in f64.
    pub in_f64: usize,
    /// Where P is a logits file of llama.cpp: the mean KLD, nats, as llama.cpp counts it.
    pub kld_of_llama_cpp: Option<f64>,
}

impl<'a> Pair<'a> {
    /// Lists the parts under `root` that are still to be compared, and checks that their hidden states exist.
    ///
    /// # Errors
    /// A part has no hidden states, or existing parts of the pair were computed with other options.
    pub fn open(root: &Path, p: &'a FoundCell, q: &'a FoundCell, options: Options) -> Result<Self> {
        let store = Store::open(root)?.pair(&manifest(p, q, &options)?)?;
        let inputs = [Input::new(p), Input::new(q)];
        let missing = missing(root, p, q)?;
        inputs.iter().try_for_each(|input| input.must_have(&missing))?;
        Ok(Self { store, inputs, options, missing })
    }

    /// Compares the missing parts, and waits for those that another process compares: if it ends before, they are compared
    /// here.
    ///
    /// # Errors
    /// Files do not belong together or were rewritten meanwhile, or logits are not finite; a logits file has another
    /// number of ids than the other model. [`Error::Stopped`] can come between blocks of the vocabulary.
    pub fn run(&self, sides: [Side; 2], stop: &Stop) -> Result<Done> {
        part::must_share_ids(sides)?;
        let (mut tiles, mut positions) = (Tiles::new(sides), 0);
        let mut left = self.missing.clone();
        loop {
            let mut elsewhere = Vec::new();
            for part in left {
                if !self.store.is_done(part) && !self.store.take(part)? {
                    elsewhere.push(part);
                } else if !self.store.is_done(part) {
                    let (rows, tokens) = part::rows(&self.inputs, &mut tiles, part, &self.options, stop)?;
                    self.store.publish(part, &batch::of_rows(&rows)?, tokens)?;
                    positions += rows.len();
                }
                self.store.release(part);
            }
            if elsewhere.is_empty() {
                break;
            }
            left = elsewhere;
            stop.wait(BETWEEN_LOOKS)?;
        }
        let is_file = matches!(sides[0], Side::File(_)) && positions > 0;
        let kld_of_llama_cpp = is_file.then(|| tiles.kld_of_llama_cpp / positions as f64);
        Ok(Done { positions, in_f64: tiles.again, kld_of_llama_cpp })
    }
}

/// Checks that existing parts of a pair were computed with `options`.
///
/// # Errors
/// [`Error::Mismatch`], which names the folder to delete.
pub fn must_agree(root: &Path, p: &FoundCell, q: &FoundCell, options: &Options) -> Result<()> {
    Store::open(root)?.pair(&manifest(p, q, options)?).map(drop)
}

/// Parts that both models have scored and that have no exact measures yet, ascending.
///
/// # Errors
/// A name cannot be a folder's name.
pub fn missing(root: &Path, p: &FoundCell, q: &FoundCell) -> Result<Vec<u32>> {
    let cell = pair_cell(p, q);
    let both = p.parts.iter().copied().filter(|part| q.parts.contains(part));
    let paths = both.map(|part| Ok((part, cell.part(root, part)?))).collect::<Result<Vec<_>>>()?;
    Ok(paths.into_iter().filter(|(_, path)| !path.exists()).map(|(part, _)| part).collect())
}

/// The manifest that an earlier run of the pair wrote, if there is one.
///
/// # Errors
/// As [`PairManifest::read`].
pub fn manifest_of(root: &Path, p: &FoundCell, q: &FoundCell) -> Result<Option<PairManifest>> {
    pair_cell(p, q).manifest(root)
}

fn pair_cell(p: &FoundCell, q: &FoundCell) -> PairCell {
    p.cell.set.pair(&p.cell.model, &q.cell.model)
}

/// The manifest of a comparison with `options`: everything that decides its numbers.
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
