//! A model's files: its config and its tensors by name.
//!
//! Owns what all formats share. Files are read, not mapped: a mapped file that shrinks kills the process, while a short
//! read is an error that names the file. A requested tensor must exist in the requested shape. Pickle files are errors.

mod dtype;
mod gguf;
mod index;
mod roots;
mod safetensors;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bytemuck::Pod;
use candle_core::{DType, Device, Tensor, WithDType};

use self::gguf::Gguf;
use self::safetensors::Safetensors;
pub use self::safetensors::Shard;
use crate::decoder::{DecoderSpec, config, names};
use crate::error::{Error, Result};
use crate::gguf::is_gguf;

/// An open model. Holds headers, no weights.
#[derive(Debug)]
pub struct Checkpoint {
    /// A directory, or a file that is all of a model.
    path: PathBuf,
    spec: DecoderSpec,
    /// What the body's names begin with, and the head's name, in its files.
    root: (&'static str, &'static str),
    source: Source,
    /// What its owner should know of how it is read.
    notes: Vec<String>,
    read: Mutex<BTreeSet<String>>,
}

#[derive(Debug)]
enum Source {
    Safetensors(Safetensors),
    Gguf(Gguf),
}

/// A tensor as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub shape: Vec<usize>,
    /// The type by the name that its format has for it, in capitals.
    pub kind: String,
    /// What it takes in the file.
    pub bytes: u64,
    /// The smallest type that represents its numbers, without loss unless they are F64.
    dtype: DType,
}

impl Checkpoint {
    /// Opens a directory with a config and safetensors files, or a GGUF file: reads the config and the headers.
    ///
    /// # Errors
    /// No config, an unknown architecture, no weights, a header that contradicts its file.
    pub fn open(path: &Path) -> Result<Self> {
        let (spec, source) = if is_gguf(path) {
            let gguf = Gguf::open(path)?;
            (config::read_gguf(gguf.header(), |name| gguf.numbers(name))?, Source::Gguf(gguf))
        } else {
            let spec = config::read(&path.join("config.json"))?;
            let shards = Safetensors::open(path, spec.fp8_block)?;
            (spec, Source::Safetensors(shards))
        };
        let root = roots::of(&spec.names, |name| source.stored(name).is_some());
        let mut notes = spec.passed_over.clone();
        if let Source::Safetensors(shards) = &source {
            notes.extend(shards.note().map(str::to_owned));
        }
        let mut opened = Self { path: path.to_owned(), spec, root, source, notes, read: Mutex::default() };
        opened.fix_names()?;
        opened.fix_head()?;
        opened.reject_other_heads()?;
        Ok(opened)
    }

    /// What the model computes.
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

    /// The name of the embedding; where it is left out because it is the head, the head's.
    pub fn embedding_name(&self) -> String {
        let name = self.in_body(self.spec.names.embedding);
        let is_left_out = self.spec.tied_head && self.source.stored(&name).is_none();
        let is_head = is_left_out && self.source.stored(self.head_name()).is_some();
        if is_head { self.head_name().to_owned() } else { name }
    }

    /// What its owner should know of how it is read, a sentence each.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The files that decide a model's numbers: config and weights.
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.source {
            Source::Safetensors(shards) => {
                std::iter::once(self.path.join("config.json")).chain(shards.paths()).collect()
            }
            Source::Gguf(_) => vec![self.path.clone()],
        }
    }

    /// The files that decide what the head makes of a hidden row: config and the head's weights.
    pub fn head_files(&self) -> Vec<PathBuf> {
        match &self.source {
            Source::Safetensors(shards) => {
                let tied = self.spec.tied_head;
                let name = if tied { self.embedding_name() } else { self.head_name().to_owned() };
                std::iter::once(self.path.join("config.json")).chain(shards.path_of(&name)).collect()
            }
            Source::Gguf(_) => self.files(),
        }
    }

    /// Every tensor as it is stored, buffers aside.
    pub fn tensors(&self) -> Vec<(String, Stored)> {
        let names = self.source.names().filter(|name| !names::is_redundant(name));
        names.filter_map(|name| Some((name.to_owned(), self.source.stored(name)?))).collect()
    }

    /// Tensors that were never requested, except buffers: after loading, a sign that the spec omits something.
    pub fn unread(&self) -> Vec<String> {
        let Ok(read) = self.read.lock() else { return Vec::new() };
        let unread = |name: &&str| !read.contains(*name) && !names::is_redundant(name);
        self.source.names().filter(unread).map(str::to_owned).collect()
    }

    /// Reads tensor `name`, which must have `shape`, as `dtype` onto `device`.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape, of a type that is not read, cut short, or not finite.
    pub fn tensor(&self, name: &str, shape: &[usize], dtype: DType, device: &Device) -> Result<Tensor> {
        if let Ok(mut read) = self.read.lock() {
            read.extend(self.source.names_of(name));
        }
        let Some(tensor) = (match &self.source {
            Source::Safetensors(shards) => shards.load(name, shape)?,
            Source::Gguf(gguf) => gguf.load(name, shape)?,
        }) else {
            let found = self.source.names().count();
            let headless = if name == self.head_name() { ": a model that was saved without its head?" } else { "" };
            return Err(Error::file(
                &self.path,
                format!("no tensor `{name}`: the config asks for it ({found} tensors found){headless}"),
            ));
        };
        Ok(tensor.to_dtype(dtype)?.to_device(device)?)
    }
}

impl Source {
    fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Safetensors(shards) => Box::new(shards.names()),
            Self::Gguf(gguf) => Box::new(gguf.names()),
        }
    }

    fn stored(&self, name: &str) -> Option<Stored> {
        match self {
            Self::Safetensors(shards) => shards.stored(name),
            Self::Gguf(gguf) => gguf.stored(name),
        }
    }

    fn is_quantised(&self) -> bool {
        match self {
            Self::Safetensors(shards) => shards.is_quantised(),
            Self::Gguf(gguf) => gguf.is_quantised(),
        }
    }

    /// The names in the file of the tensor that is requested as `name`.
    fn names_of(&self, name: &str) -> Vec<String> {
        match self {
            Self::Safetensors(shards) => shards.parts_of(name).collect(),
            Self::Gguf(_) => vec![gguf::split_expert(name).0.into_owned()],
        }
    }
}

/// The error of a tensor whose shape is not the requested one.
fn misshapen(path: &Path, name: &str, found: &[usize], wanted: &[usize]) -> Error {
    Error::file(path, format!("tensor `{name}` has shape {found:?}, the config asks for {wanted:?}"))
}

/// The values of tensor `name`, stored plainly from `offset` on, on the CPU in their stored type.
fn read_plain<T: Pod + WithDType + std::fmt::Debug>(
    (file, path): (&File, &Path),
    name: &str,
    shape: &[usize],
    offset: u64,
    finite: impl Fn(T) -> bool,
) -> Result<Tensor> {
    let values = read_values((file, path), shape, offset)?;
    check_finite(path, name, &values, finite)?;
    Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
}

/// As many values as `shape` says, from `offset` on.
fn read_values<T: Pod>((file, path): (&File, &Path), shape: &[usize], offset: u64) -> Result<Vec<T>> {
    let mut values = vec![T::zeroed(); shape.iter().product()];
    file.read_exact_at(bytemuck::cast_slice_mut(&mut values), offset).map_err(Error::io("read weights from", path))?;
    Ok(values)
}

fn check_finite<T: Copy + std::fmt::Debug>(
    path: &Path,
    name: &str,
    values: &[T],
    finite: impl Fn(T) -> bool,
) -> Result<()> {
    match values.iter().position(|&x| !finite(x)) {
        None => Ok(()),
        Some(place) => {
            let what = format!("tensor `{name}` holds {:?} at element {place}: the weights are broken", values[place]);
            Err(Error::file(path, what))
        }
    }
}

#[cfg(test)]
mod tests;
