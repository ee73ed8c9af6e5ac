//! `kl --exact` and `score --exact`: the pairs tables that are missing, from hidden rows and heads.
//!
//! Owns which heads are in memory: the two of the pair at hand. Refuses heads that are not those that scored.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device};

use super::models::{self, ADAPTER_FOLDER, NamedModel};
use super::{inputs, progress, signals};
use crate::decoder::{Adapter, Checkpoint, Form, Head};
use crate::digest::{self, Fingerprint};
use crate::exact::{self, Pair};
use crate::stop::Stop;
use crate::store::FoundCell;

/// What is to be compared, and how.
pub struct Exact<'a> {
    pub root: &'a Path,
    /// The models whose heads are needed, as they were typed.
    pub models: &'a [String],
    /// What logits are divided by.
    pub temperature: f64,
    pub allow_removed: bool,
}

impl Exact<'_> {
    /// Writes what is missing of every pair.
    pub fn run(&self, pairs: &[[FoundCell; 2]]) -> Result<()> {
        let mut heads =
            Heads { models: models::resolve(self.models)?, hashes: HashMap::new(), loaded: BTreeMap::new() };
        pairs.iter().try_for_each(|[p, q]| self.compare(p, q, &mut heads))
    }

    fn compare(&self, p: &FoundCell, q: &FoundCell, heads: &mut Heads) -> Result<()> {
        let stop = heads.stop_ids(p)?;
        let how = exact::Options { temperature: self.temperature, stop, allow_removed: self.allow_removed };
        let pair = Pair::open(self.root, p, q, &how)?;
        if pair.missing.is_empty() {
            return Ok(());
        }
        heads.load([p, q])?;
        let started = Instant::now();
        let both = [heads.get(p)?, heads.get(q)?];
        let (positions, again) = signals::heed(|asked| pair.run(both, &Stop::new(asked)))
            .with_context(|| format!("comparing `{}` with `{}` on `{}`", p.cell.model, q.cell.model, p.cell.task))?;
        let seconds = started.elapsed().as_secs_f64();
        let again = if again == 0 { String::new() } else { format!(", {again} of them in f64 throughout") };
        progress::say(&format!(
            "exact: {} beside {} on {} by {}: {positions} positions in {seconds:.1} s{again}",
            p.cell.model, q.cell.model, p.cell.task, p.cell.generation_model
        ));
        Ok(())
    }
}

/// What decides a head: the model, and the type of its weights.
type Key = (String, String);

fn key(cell: &FoundCell) -> Key {
    (cell.cell.model.clone(), cell.manifest.engine.dtype.clone())
}

/// Models by name, and the heads that are loaded.
struct Heads {
    models: Vec<NamedModel>,
    /// Of heads' files, as long as they stay what they were.
    hashes: HashMap<PathBuf, (Fingerprint, String)>,
    loaded: BTreeMap<Key, Head>,
}

impl Heads {
    fn directory(&self, model: &str) -> Result<&Path> {
        Ok(&self.named(model)?.path)
    }

    fn named(&self, model: &str) -> Result<&NamedModel> {
        match self.models.iter().find(|named| named.name == model) {
            Some(named) => Ok(named),
            None => bail!("--exact needs the head of `{model}`: give {model}=DIRECTORY in --models"),
        }
    }

    /// The end token of the run, else what the configuration of P's model names.
    fn stop_ids(&self, p: &FoundCell) -> Result<Vec<u32>> {
        match p.manifest.tokens.end {
            Some(id) => Ok(vec![id]),
            None => inputs::end_ids(self.directory(&p.cell.model)?),
        }
    }

    /// Loads the heads of a pair; others are let go first.
    fn load(&mut self, cells: [&FoundCell; 2]) -> Result<()> {
        self.loaded.retain(|loaded, _| cells.iter().any(|cell| key(cell) == *loaded));
        for cell in cells {
            let checkpoint = Checkpoint::open(self.directory(&cell.cell.model)?)?;
            self.must_have_scored(cell, &checkpoint)?;
            self.refuse_adapter_on_head(cell, &checkpoint)?;
            if let Entry::Vacant(place) = self.loaded.entry(key(cell)) {
                let dtype = if cell.manifest.engine.dtype == "bf16" { DType::BF16 } else { DType::F32 };
                let head = Head::load(&checkpoint, None, dtype, &Device::Cpu, Form::of(&Device::Cpu)?)?;
                for path in checkpoint.head_files() {
                    if self.hashes.get(&path).is_none_or(|(was, _)| Fingerprint::of(&path).ok().as_ref() != Some(was)) {
                        bail!("`{}` changed while it was read: run again", path.display());
                    }
                }
                place.insert(head);
            }
        }
        Ok(())
    }

    /// An adapter on the body has done its work in the hidden rows; of one on the head, they know nothing.
    fn refuse_adapter_on_head(&self, cell: &FoundCell, checkpoint: &Checkpoint) -> Result<()> {
        let name = &cell.cell.model;
        if !cell.manifest.engine.files.keys().any(|file| file.starts_with(ADAPTER_FOLDER)) {
            return Ok(());
        }
        let Some(directory) = &self.named(name)?.adapter else {
            bail!("`{name}` was scored with an adapter: give {name}=BASE+ADAPTER_DIRECTORY in --models");
        };
        let adapter = Adapter::open(directory)?;
        for path in adapter.files() {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            if cell.manifest.engine.files.get(&format!("{ADAPTER_FOLDER}{file}")) != Some(&digest::file(&path)?) {
                bail!("`{}` is not what scored `{name}`: give the adapter's own directory in --models", path.display());
            }
        }
        if adapter.is_on_head(checkpoint.spec())? {
            bail!("the adapter of `{name}` is on the head: --exact cannot compute what it adds there");
        }
        Ok(())
    }

    fn get(&self, cell: &FoundCell) -> Result<&Head> {
        self.loaded.get(&key(cell)).context("the head is gone")
    }

    /// The head's files must be, byte by byte, those of the run that kept the hidden rows.
    fn must_have_scored(&mut self, cell: &FoundCell, checkpoint: &Checkpoint) -> Result<()> {
        for path in checkpoint.head_files() {
            let now = Fingerprint::of(&path)?;
            let hash = match self.hashes.get(&path).filter(|(was, _)| *was == now) {
                Some((_, hash)) => hash.clone(),
                None => digest::file(&path)?,
            };
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if cell.manifest.engine.files.get(&name) != Some(&hash) {
                bail!(
                    "`{}` is not what scored `{}` on `{}`: give the model's own directory in --models",
                    path.display(),
                    cell.cell.model,
                    cell.cell.task
                );
            }
            self.hashes.insert(path, (now, hash));
        }
        Ok(())
    }
}
