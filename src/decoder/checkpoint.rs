//! A model directory: its config and its tensors by name.
//!
//! Owns reading safetensors. Files are read, not mapped: a file that shrinks under a mapping kills the process, a
//! short read is an error with a name. Refuses pickle, and to guess: a tensor that is asked for must exist with the
//! shape asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytemuck::Pod;
use candle_core::{DType, Device, Tensor, WithDType};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::decoder::{DecoderSpec, config, names};
use crate::error::{Error, Result};
use crate::hidden::{Float, Shape};

const INDEX: &str = "model.safetensors.index.json";
const SINGLE: &str = "model.safetensors";
/// Bytes of the header's length, which open a safetensors file.
const LENGTH_BYTES: u64 = 8;
/// The format's own bound on a header.
const MAX_HEADER_BYTES: u64 = 100_000_000;

/// An open model directory. Holds headers, no weights.
#[derive(Debug)]
pub struct Checkpoint {
    directory: PathBuf,
    spec: DecoderSpec,
    /// What the body's names begin with, and the head's name.
    root: (&'static str, &'static str),
    shards: Vec<Shard>,
    /// Tensor to its shard.
    places: BTreeMap<String, usize>,
    read: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
struct Shard {
    path: PathBuf,
    file: File,
    metadata: Metadata,
    /// Where the tensors' bytes begin.
    data: u64,
}

impl Checkpoint {
    /// Opens the directory: reads its config and the headers of its safetensors files.
    ///
    /// # Errors
    /// No config, an unknown architecture, no safetensors, a header that contradicts its file.
    pub fn open(directory: &Path) -> Result<Self> {
        let spec = config::read(&directory.join("config.json"))?;
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
        let roots = spec.names.roots;
        let has_body = |(body, _): &&(&str, &str)| places.contains_key(&format!("{body}{}", names::EMBEDDING));
        let root = *roots.iter().find(has_body).unwrap_or(&roots[0]);
        Ok(Self { directory: directory.to_owned(), spec, root, shards, places, read: Mutex::default() })
    }

    pub fn spec(&self) -> &DecoderSpec {
        &self.spec
    }

    /// The full name of the body's tensor `name`.
    pub fn in_body(&self, name: &str) -> String {
        format!("{}{name}", self.root.0)
    }

    /// The name of the head, where it is not the embedding.
    pub fn head_name(&self) -> &str {
        self.root.1
    }

    /// The files that decide a model's numbers: config and weights.
    pub fn files(&self) -> Vec<PathBuf> {
        let config = self.directory.join("config.json");
        std::iter::once(config).chain(self.shards.iter().map(|s| s.path.clone())).collect()
    }

    /// The type in which most of the weights are stored, judged by the embedding: bf16, or f32 for any other (f16 is
    /// widened, so that nothing is lost).
    pub fn stored_dtype(&self) -> DType {
        match self.info(&self.in_body(names::EMBEDDING)) {
            Some((_, info)) if info.dtype == Dtype::BF16 => DType::BF16,
            _ => DType::F32,
        }
    }

    /// The files that decide what the head makes of a hidden row: config and the head's weights.
    pub fn head_files(&self) -> Vec<PathBuf> {
        let name = if self.spec.tied_head { self.in_body(names::EMBEDDING) } else { self.head_name().to_owned() };
        let config = self.directory.join("config.json");
        std::iter::once(config).chain(self.info(&name).map(|(shard, _)| shard.path.clone())).collect()
    }

    /// What the head reads of a position, if products round to `dtype`.
    pub fn hidden_shape(&self, dtype: DType) -> Shape {
        let dtype = if dtype == DType::BF16 { Float::Bf16 } else { Float::F32 };
        Shape { dtype, width: self.spec.hidden }
    }

    /// Tensors that nobody asked for, buffers aside: after loading, a sign that the spec missed something.
    pub fn unread(&self) -> Vec<String> {
        let Ok(read) = self.read.lock() else { return Vec::new() };
        let unread = |name: &&String| !read.contains(*name) && !names::is_redundant(name);
        self.places.keys().filter(unread).cloned().collect()
    }

    /// Reads tensor `name`, which must have `shape`, as `dtype` onto `device`.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape, of a type that is not read, cut short, or not finite.
    pub fn tensor(&self, name: &str, shape: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
        let Some((shard, info)) = self.info(name) else {
            let what = format!("no tensor `{name}`: the config asks for it ({} tensors found)", self.places.len());
            return Err(Error::file(&self.directory, what));
        };
        if info.shape != shape {
            let what = format!("tensor `{name}` has shape {:?}, the config asks for {shape:?}", info.shape);
            return Err(Error::file(&shard.path, what));
        }
        if let Ok(mut read) = self.read.lock() {
            read.insert(name.to_owned());
        }
        let tensor = match info.dtype {
            Dtype::F32 => shard.load(name, info, f32::is_finite),
            Dtype::BF16 => shard.load(name, info, bf16::is_finite),
            Dtype::F16 => shard.load(name, info, f16::is_finite),
            other => Err(Error::file(&shard.path, format!("tensor `{name}` is {other:?}; F32, F16 and BF16 are read"))),
        }?;
        Ok(tensor.to_dtype(dtype)?.to_device(device)?)
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

    /// The tensor on the CPU in its stored type.
    fn load<T: Pod + WithDType + std::fmt::Debug>(
        &self,
        name: &str,
        info: &TensorInfo,
        finite: impl Fn(T) -> bool,
    ) -> Result<Tensor> {
        let count: usize = info.shape.iter().product();
        let mut values = vec![T::zeroed(); count];
        let offset = self.data + info.data_offsets.0 as u64;
        let bytes = bytemuck::cast_slice_mut(&mut values);
        self.file.read_exact_at(bytes, offset).map_err(Error::io("read weights from", &self.path))?;
        if let Some(place) = values.iter().position(|&x| !finite(x)) {
            let what = format!("tensor `{name}` holds {:?} at element {place}: the weights are broken", values[place]);
            return Err(Error::file(&self.path, what));
        }
        Ok(Tensor::from_vec(values, info.shape.as_slice(), &Device::Cpu)?)
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
