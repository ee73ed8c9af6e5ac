//! Which safetensors files a model directory has.
//!
//! Owns the order in which transformers looks for them: a single file first, an index only if there is none. An index
//! that names a path instead of a file next to it is an error.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::python_json;

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";

/// The files of a model.
#[derive(Debug)]
pub struct Files {
    /// In the order in which transformers reads them.
    pub paths: Vec<PathBuf>,
    /// Tensor to the name of its file, as the index says it; empty without one.
    pub named: BTreeMap<String, String>,
    /// What is there and passed over.
    pub note: Option<String>,
}

impl Files {
    /// Of `directory`.
    ///
    /// # Errors
    /// There are none, or the index names what is not there or no sibling.
    pub fn of(directory: &Path) -> Result<Self> {
        let (single, index) = (directory.join(SINGLE), directory.join(INDEX));
        if single.exists() {
            let note = || format!("`{SINGLE}` is read, as transformers does, and `{INDEX}` next to it is passed over");
            return Ok(Self { paths: vec![single], named: BTreeMap::new(), note: index.exists().then(note) });
        }
        if !index.exists() {
            return Err(Error::file(directory, format!("no `{SINGLE}` and no `{INDEX}`: tokshift reads safetensors")));
        }
        let named = weight_map(&index)?;
        let shards: BTreeSet<&String> = named.values().collect();
        // A shard's name comes from a file: it may name a sibling, never a path.
        if let Some(name) = shards.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref())) {
            return Err(Error::file(&index, format!("shard `{name}` is not a plain file name")));
        }
        let paths: Vec<PathBuf> = shards.iter().map(|name| directory.join(name)).collect();
        let missing: Vec<&&String> = shards.iter().filter(|name| !directory.join(name).exists()).collect();
        match missing.first() {
            Some(first) => {
                let count = format!("{} of its {} files are not there", missing.len(), shards.len());
                Err(Error::file(&index, format!("names the shard `{first}`, but {count}: incomplete download?")))
            }
            None => Ok(Self { paths, named, note: None }),
        }
    }
}

fn weight_map(index: &Path) -> Result<BTreeMap<String, String>> {
    let map = python_json::object(index)?;
    let named = map.get("weight_map").ok_or_else(|| Error::file(index, "not an index: no `weight_map`"))?;
    serde_json::from_value(named.clone()).map_err(|e| Error::file(index, format!("not an index: `weight_map`: {e}")))
}
