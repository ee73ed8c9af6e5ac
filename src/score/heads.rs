//! Output heads of models: the part of a checkpoint that `--exact` needs, under the names that runs gave the models. A
//! logits file of llama.cpp stands for its model's head.
//!
//! Owns which heads are in memory: the two of the current pair. A head that did not score is an error before the first
//! one is loaded, so that no time is spent on a wrong head.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use candle_core::{DType, Device};

use super::named::{self, NamedModel};
use crate::decoder::{Adapter, Backend, Checkpoint, Head};
use crate::digest::{self, Fingerprint};
use crate::engine::local_source::ADAPTER_FOLDER;
use crate::error::{Error, Result};
use crate::exact::Side;
use crate::llama_logits;
use crate::store::FoundCell;

/// What decides a head: the model, and the type of its weights.
type Key = (String, String);

fn key(cell: &FoundCell) -> Key {
    (cell.cell.model.clone(), cell.manifest.engine.dtype.clone())
}

/// Models by name, and the heads that are loaded.
pub struct Heads {
    models: Vec<NamedModel>,
    /// Heads' files as they were when they were hashed.
    hashed: HashMap<PathBuf, (Fingerprint, String)>,
    loaded: BTreeMap<Key, Loaded>,
}

/// What gives a model's distributions.
enum Loaded {
    Head(Head),
    File(llama_logits::File),
}

impl Heads {
    /// Of the models as they were typed.
    ///
    /// # Errors
    /// As [`named::resolve`].
    pub fn new(typed: &[String]) -> Result<Self> {
        Ok(Self { models: named::resolve(typed)?, hashed: HashMap::new(), loaded: BTreeMap::new() })
    }

    /// Where the cell's model is, if it was given.
    pub fn directory(&self, cell: &FoundCell) -> Option<&Path> {
        self.named(cell).map(|named| named.path.as_path())
    }

    fn named(&self, cell: &FoundCell) -> Option<&NamedModel> {
        self.models.iter().find(|named| named.name == cell.cell.model)
    }

    /// # Errors
    /// Models of `cells` that were not given, all of them.
    pub fn must_be_given<'c>(&self, cells: impl IntoIterator<Item = &'c FoundCell>) -> Result<()> {
        let lacks = |cell: &&FoundCell| self.named(cell).is_none();
        let lacking: BTreeSet<&str> = cells.into_iter().filter(lacks).map(|cell| cell.cell.model.as_str()).collect();
        let list =
            |form: fn(&str) -> String, between| lacking.iter().map(|name| form(name)).collect::<Vec<_>>().join(between);
        let (names, options) = (list(|name| format!("`{name}`"), ", "), list(|name| format!("{name}=DIRECTORY"), ","));
        match lacking.len() {
            0 => Ok(()),
            1 => Err(Error::usage(format!("--exact needs the head of {names}: use {options} in --models"))),
            _ => Err(Error::usage(format!("--exact needs the heads of {names}: use {options} in --models"))),
        }
    }

    /// If the cell's model was given, the files of its head must be, byte by byte, those of the run that kept the hidden
    /// rows, and its adapter must leave the head alone. A file is read once.
    ///
    /// # Errors
    /// Another model's files; those of [`Checkpoint::open`].
    pub fn must_have_scored(&mut self, cell: &FoundCell) -> Result<()> {
        let Some(named) = self.named(cell).cloned() else { return Ok(()) };
        if llama_logits::is_logits_file(&named.path) {
            return self.must_be_of_run(cell, named.path);
        }
        let checkpoint = Checkpoint::open(&named.path)?;
        for path in checkpoint.head_files() {
            self.must_be_of_run(cell, path)?;
        }
        reject_adapter_on_head(cell, &named, &checkpoint)
    }

    /// # Errors
    /// The file is not, byte by byte, that of the cell's run.
    fn must_be_of_run(&mut self, cell: &FoundCell, path: PathBuf) -> Result<()> {
        let now = Fingerprint::of(&path)?;
        let hash = match self.hashed.get(&path).filter(|(was, _)| *was == now) {
            Some((_, hash)) => hash.clone(),
            None => digest::file(&path)?,
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if cell.manifest.engine.files.get(&name) != Some(&hash) {
            return Err(Error::usage(format!(
                "`{}` is not the file that scored `{}` on `{}`: use the original model directory in --models",
                path.display(),
                cell.cell.model,
                cell.cell.set.task
            )));
        }
        self.hashed.insert(path, (now, hash));
        Ok(())
    }

    /// The heads of a pair, [`Heads::must_have_scored`]; others are let go first.
    ///
    /// # Errors
    /// A file that changed since; what is no head.
    pub fn load(&mut self, cells: [&FoundCell; 2]) -> Result<[Side<'_>; 2]> {
        self.loaded.retain(|loaded, _| cells.iter().any(|cell| key(cell) == *loaded));
        for cell in cells {
            let directory = self.directory(cell).ok_or_else(|| Error::usage("the head was not given"))?.to_owned();
            if let Entry::Vacant(place) = self.loaded.entry(key(cell)) {
                let (loaded, files) = load(&directory, &cell.manifest.engine.dtype)?;
                for path in files {
                    if self.hashed.get(&path).is_none_or(|(was, _)| Fingerprint::of(&path).ok().as_ref() != Some(was)) {
                        let path = path.display();
                        return Err(Error::usage(format!("`{path}` changed since it was checked: run again")));
                    }
                }
                place.insert(loaded);
            }
        }
        let side = |cell| match self.loaded.get(&key(cell)) {
            Some(Loaded::Head(head)) => Ok(Side::Head(head)),
            Some(Loaded::File(file)) => Ok(Side::File(file)),
            None => Err(Error::usage("the head is gone")),
        };
        Ok([side(cells[0])?, side(cells[1])?])
    }
}

/// What gives the distributions of the model at `path`, and the files that it was read from.
fn load(path: &Path, dtype: &str) -> Result<(Loaded, Vec<PathBuf>)> {
    if llama_logits::is_logits_file(path) {
        return Ok((Loaded::File(llama_logits::File::open(path)?), vec![path.to_owned()]));
    }
    let checkpoint = Checkpoint::open(path)?;
    let dtype = if dtype == "bf16" { DType::BF16 } else { DType::F32 };
    let head = Head::load(&checkpoint, None, dtype, &Device::Cpu, Backend::of(&Device::Cpu)?)?;
    Ok((Loaded::Head(head), checkpoint.head_files()))
}

/// An adapter on the body has done its work in the hidden states; of one on the head, they know nothing.
fn reject_adapter_on_head(cell: &FoundCell, named: &NamedModel, checkpoint: &Checkpoint) -> Result<()> {
    let name = &named.name;
    if !cell.manifest.engine.files.keys().any(|file| file.starts_with(ADAPTER_FOLDER)) {
        return Ok(());
    }
    let Some(directory) = &named.adapter else {
        return Err(Error::usage(format!(
            "`{name}` was scored with an adapter: use {name}=BASE+ADAPTER_DIRECTORY in --models"
        )));
    };
    let adapter = Adapter::open(directory)?;
    for path in adapter.files() {
        let file = path.file_name().unwrap_or_default().to_string_lossy();
        if cell.manifest.engine.files.get(&format!("{ADAPTER_FOLDER}{file}")) != Some(&digest::file(&path)?) {
            return Err(Error::usage(format!(
                "`{}` is not the file that scored `{name}`: use the original adapter directory in --models",
                path.display()
            )));
        }
    }
    if adapter.is_on_head(checkpoint.spec())? {
        return Err(Error::usage(format!(
            "the adapter of `{name}` is on the head: --exact cannot compute what it adds there"
        )));
    }
    Ok(())
}
