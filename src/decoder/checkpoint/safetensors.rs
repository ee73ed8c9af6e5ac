//! The safetensors files of a model directory.
//!
//! Owns reading them: one file, or those of an index. Refuses quantised types.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{DType, Tensor};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::{Stored, misshapen, read_plain};
use crate::error::{Error, Result};

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";
/// Bytes of the header's length, which open a safetensors file.
const LENGTH_BYTES: u64 = 8;
/// The format's own bound on a header.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// All the files of a model.
#[derive(Debug)]
pub struct Safetensors {
    shards: Vec<Shard>,
    /// Tensor to its shard.
    places: BTreeMap<String, usize>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where the tensors' bytes begin.
    data: u64,
}

impl Safetensors {
    /// Opens the files of `directory` and reads their headers.
    pub fn open(directory: &Path) -> Result<Self> {
        let mut shards = Vec::new();
        let mut places = BTreeMap::new();
        for path in shard_paths(directory)? {
            let shard = Shard::open(path)?;
            for name in shard.metadata.offset_keys() {
                if places.insert(name.clone(), shards.len()).is_some() {
                    return Err(Error::file(&shard.path, format!("tensor `{name}` stands in two files")));
                }
            }
            shards.push(shard);
        }
        Ok(Self { shards, places })
    }

    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.shards.iter().map(|shard| shard.path.clone())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    pub fn stored(&self, name: &str) -> Option<Stored> {
        let (_, info) = self.info(name)?;
        let dtype = if info.dtype == Dtype::BF16 { DType::BF16 } else { DType::F32 };
        let bytes = (info.data_offsets.1 - info.data_offsets.0) as u64;
        Some(Stored { shape: info.shape.clone(), kind: format!("{:?}", info.dtype), bytes, dtype })
    }

    /// Tensor `name` on the CPU in its stored type; `None` if there is none.
    pub fn load(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let Some((shard, info)) = self.info(name) else { return Ok(None) };
        if info.shape != shape {
            return Err(misshapen(&shard.path, name, &info.shape, shape));
        }
        let (file, offset) = ((&shard.file, shard.path.as_path()), shard.data + info.data_offsets.0 as u64);
        match info.dtype {
            Dtype::F32 => read_plain(file, name, shape, offset, f32::is_finite),
            Dtype::BF16 => read_plain(file, name, shape, offset, bf16::is_finite),
            Dtype::F16 => read_plain(file, name, shape, offset, f16::is_finite),
            other => Err(Error::file(&shard.path, format!("tensor `{name}` is {other:?}; F32, F16 and BF16 are read"))),
        }
        .map(Some)
    }

    fn info(&self, name: &str) -> Option<(&Shard, &TensorInfo)> {
        let shard = &self.shards[*self.places.get(name)?];
        Some((shard, shard.metadata.info(name)?))
    }
}

impl Shard {
    fn open(path: PathBuf) -> Result<Self> {
        let mut file = File::open(&path).map_err(Error::io("open", &path))?;
        let size = file.metadata().map_err(Error::io("open", &path))?.len();
        let mut length = [0; LENGTH_BYTES as usize];
        file.read_exact(&mut length).map_err(Error::io("read the header of", &path))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER_BYTES.min(size - LENGTH_BYTES) {
            let what = format!("its header claims {length} bytes of {size}: not a safetensors file, or cut short");
            return Err(Error::file(path, what));
        }
        let mut header = vec![0; length as usize];
        file.read_exact(&mut header).map_err(Error::io("read the header of", &path))?;
        let metadata: Metadata =
            serde_json::from_slice(&header).map_err(|e| Error::file(&path, format!("bad safetensors header: {e}")))?;
        let data = LENGTH_BYTES + length;
        let (has, wants) = (size - data, metadata.data_len() as u64);
        if has != wants {
            let what = format!("holds {has} bytes of tensors where its header lists {wants}: incomplete download?");
            return Err(Error::file(path, what));
        }
        Ok(Self { path, file, metadata, data })
    }
}

/// The safetensors files of a model, those of the index if there is one.
fn shard_paths(directory: &Path) -> Result<Vec<PathBuf>> {
    #[derive(serde::Deserialize)]
    struct Index {
        weight_map: BTreeMap<String, String>,
    }
    let index = directory.join(INDEX);
    if !index.exists() {
        let single = directory.join(SINGLE);
        if single.exists() {
            return Ok(vec![single]);
        }
        return Err(Error::file(directory, format!("no `{SINGLE}` and no `{INDEX}`: tokshift reads safetensors")));
    }
    let text = std::fs::read(&index).map_err(Error::io("read", &index))?;
    let parsed: Index = serde_json::from_slice(&text).map_err(|e| Error::file(&index, format!("not an index: {e}")))?;
    let names: BTreeSet<String> = parsed.weight_map.into_values().collect();
    // A shard's name comes from a file: it may name a sibling, never a path.
    match names.iter().find(|name| Path::new(name).file_name() != Some(name.as_ref())) {
        Some(name) => Err(Error::file(&index, format!("shard `{name}` is not a plain file name"))),
        None => Ok(names.iter().map(|name| directory.join(name)).collect()),
    }
}
