//! The safetensors files of a model directory.
//!
//! Owns reading them, and that a tensor is the same wherever it stands. Of quantised types it reads FP8 in blocks; rejects the
//! others.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bytemuck::Pod;
use candle_core::{DType, Device, Tensor, WithDType};
use half::{bf16, f16};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use super::index::Files;
use super::{Stored, check_finite, misshapen, read_plain, read_values};
use crate::decoder::fp8;
use crate::error::{Error, Result};
use crate::stand_in;

/// Bytes of the header's length, which open a safetensors file.
const LENGTH_BYTES: u64 = 8;
/// The format's own bound on a header.
const MAX_HEADER_BYTES: u64 = 100_000_000;
/// Bytes of two tensors that are compared at once.
const COMPARED_BYTES: usize = 1 << 20;

/// All the files of a model.
#[derive(Debug)]
pub struct Safetensors {
    /// Rows and columns that share a scale, where matrices are stored in FP8.
    fp8_block: Option<[usize; 2]>,
    note: Option<String>,
    shards: Vec<Shard>,
    /// Tensor to its shard.
    places: BTreeMap<String, usize>,
}

/// An open safetensors file.
#[derive(Debug)]
pub struct Shard {
    pub path: PathBuf,
    file: File,
    pub metadata: Metadata,
    /// Where the tensors' bytes begin.
    data: u64,
}

impl Safetensors {
    /// Opens the files of `directory` and reads their headers.
    pub fn open(directory: &Path, fp8_block: Option<[usize; 2]>) -> Result<Self> {
        let Files { paths, named, note } = Files::of(directory)?;
        let mut opened = Self { fp8_block, note, shards: Vec::new(), places: BTreeMap::new() };
        for path in paths {
            let shard = Shard::open(path)?;
            let place = opened.shards.len();
            for name in shard.metadata.offset_keys() {
                match opened.places.entry(name) {
                    Entry::Vacant(entry) => drop(entry.insert(place)),
                    Entry::Occupied(entry) => reject_others(&opened.shards[*entry.get()], &shard, entry.key(), &named)?,
                }
            }
            opened.shards.push(shard);
        }
        Ok(opened)
    }

    /// What is there and passed over.
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Whether two tensors are the same, byte by byte.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn are_equal(&self, a: &str, b: &str) -> Result<bool> {
        match (self.info(a), self.info(b)) {
            (Some(a), Some(b)) => are_equal(a, b),
            _ => Ok(false),
        }
    }

    pub fn paths(&self) -> impl Iterator<Item = PathBuf> {
        self.shards.iter().map(|shard| shard.path.clone())
    }

    /// The file that contains tensor `name`.
    pub fn path_of(&self, name: &str) -> Option<PathBuf> {
        self.places.get(name).map(|&shard| self.shards[shard].path.clone())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.places.keys().map(String::as_str)
    }

    pub fn stored(&self, name: &str) -> Option<Stored> {
        let (_, info) = self.info(name)?;
        let dtype = if info.dtype == Dtype::BF16 { DType::BF16 } else { DType::F32 };
        let bytes = (info.data_offsets.1 - info.data_offsets.0) as u64;
        Some(Stored { shape: info.shape.clone(), kind: info.dtype.to_string(), bytes, dtype })
    }

    /// Tensor `name` on the CPU as [`Shard::read`] gives it; `None` if there is none.
    pub fn load(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let Some((shard, info)) = self.info(name) else { return Ok(None) };
        if info.shape != shape {
            return Err(misshapen(&shard.path, name, &info.shape, shape));
        }
        match (info.dtype, self.fp8_block) {
            (Dtype::F8_E4M3, Some(block)) => self.fp8(name, shard, info, block).map(Some),
            _ => shard.read(name, info).map(Some),
        }
    }

    /// The names of the tensors that a tensor is made of.
    pub fn parts_of(&self, name: &str) -> impl Iterator<Item = String> {
        let is_fp8 = self.fp8_block.is_some() && self.info(name).is_some_and(|(_, info)| info.dtype == Dtype::F8_E4M3);
        std::iter::once(name.to_owned()).chain(is_fp8.then(|| fp8::scales_of(name)))
    }

    /// Whether weights are stored in FP8.
    pub fn is_quantised(&self) -> bool {
        self.fp8_block.is_some()
    }

    /// The matrix that FP8 values and the scales of their blocks stand for, f32.
    fn fp8(&self, name: &str, shard: &Shard, info: &TensorInfo, block: [usize; 2]) -> Result<Tensor> {
        let scales = fp8::scales_of(name);
        let shape = fp8::scale_shape(&info.shape, block).map_err(|what| shard.reject(name, &what))?;
        let Some(scales) = self.load(&scales, &shape)? else {
            return Err(shard.reject(name, &format!("is FP8 and its scales `{scales}` are missing")));
        };
        let scales = scales.to_dtype(DType::F32)?;
        fp8::dequantise(&shard.values::<u8>(info)?, &info.shape, &scales, block)
            .map_err(|what| shard.reject(name, &what))
    }

    fn info(&self, name: &str) -> Option<(&Shard, &TensorInfo)> {
        let shard = &self.shards[*self.places.get(name)?];
        Some((shard, shard.metadata.info(name)?))
    }
}

impl Shard {
    /// Reads the header, and that the file is as long as it says.
    ///
    /// # Errors
    /// A file that cannot be read, is none of this format, or cut short.
    pub fn open(path: PathBuf) -> Result<Self> {
        let mut file = File::open(&path).map_err(Error::io("open", &path))?;
        let size = file.metadata().map_err(Error::io("open", &path))?.len();
        let mut length = [0; LENGTH_BYTES as usize];
        file.read_exact(&mut length).map_err(Error::io("read the header of", &path))?;
        let length = u64::from_le_bytes(length);
        if length > MAX_HEADER_BYTES.min(size - LENGTH_BYTES) {
            let what = format!("its header claims {length} bytes of {size}: not a safetensors file, or cut short");
            return Err(stand_in::explain_file(&path, what));
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

    /// The tensor `name` on the CPU in its stored type, or in F32 if that is F64.
    ///
    /// # Errors
    /// A type that is not read, a file cut short, a value that is not finite.
    pub fn read(&self, name: &str, info: &TensorInfo) -> Result<Tensor> {
        match info.dtype {
            Dtype::F32 => self.load(name, info, f32::is_finite),
            Dtype::BF16 => self.load(name, info, bf16::is_finite),
            Dtype::F16 => self.load(name, info, f16::is_finite),
            Dtype::F64 => self.narrowed(name, info),
            other => Err(self.reject(name, &format!("is {other}; F64, F32, F16, BF16 and FP8 in blocks are read"))),
        }
    }

    fn load<T: Pod + WithDType + std::fmt::Debug>(
        &self,
        name: &str,
        info: &TensorInfo,
        finite: impl Fn(T) -> bool,
    ) -> Result<Tensor> {
        let offset = self.data + info.data_offsets.0 as u64;
        read_plain((&self.file, &self.path), name, &info.shape, offset, finite)
    }

    /// F64 as torch rounds it to F32, in which everything is computed.
    fn narrowed(&self, name: &str, info: &TensorInfo) -> Result<Tensor> {
        let values: Vec<f32> = self.values::<f64>(info)?.into_iter().map(|value| value as f32).collect();
        check_finite(&self.path, name, &values, f32::is_finite)?;
        Ok(Tensor::from_vec(values, info.shape.as_slice(), &Device::Cpu)?)
    }

    fn values<T: Pod>(&self, info: &TensorInfo) -> Result<Vec<T>> {
        read_values((&self.file, &self.path), &info.shape, self.data + info.data_offsets.0 as u64)
    }

    /// Tensor `name` cannot be used.
    pub fn reject(&self, name: &str, what: &str) -> Error {
        Error::file(&self.path, format!("tensor `{name}` {what}"))
    }
}

/// A tensor that stands in two files must be the same in both: transformers takes the later one's, whatever the index says.
fn reject_others(first: &Shard, second: &Shard, name: &str, named: &BTreeMap<String, String>) -> Result<()> {
    let (Some(a), Some(b)) = (first.metadata.info(name), second.metadata.info(name)) else { return Ok(()) };
    if are_equal((first, a), (second, b))? {
        return Ok(());
    }
    let index = named.get(name).map_or("does not name it".to_owned(), |file| format!("says `{file}`"));
    let what = format!(
        "stands in `{}` too, with other values; the index {index}, transformers takes the later file's: save the checkpoint anew",
        first.path.display()
    );
    Err(second.reject(name, &what))
}

fn are_equal((a, a_info): (&Shard, &TensorInfo), (b, b_info): (&Shard, &TensorInfo)) -> Result<bool> {
    let bytes = a_info.data_offsets.1 - a_info.data_offsets.0;
    if a_info.dtype != b_info.dtype || a_info.shape != b_info.shape {
        return Ok(false);
    }
    let (mut of_a, mut of_b) = (vec![0; COMPARED_BYTES.min(bytes)], vec![0; COMPARED_BYTES.min(bytes)]);
    for at in (0..bytes).step_by(COMPARED_BYTES) {
        let here = COMPARED_BYTES.min(bytes - at);
        for (shard, info, buffer) in [(a, a_info, &mut of_a), (b, b_info, &mut of_b)] {
            let offset = shard.data + (info.data_offsets.0 + at) as u64;
            shard
                .file
                .read_exact_at(&mut buffer[..here], offset)
                .map_err(Error::io("read weights from", &shard.path))?;
        }
        if of_a[..here] != of_b[..here] {
            return Ok(false);
        }
    }
    Ok(true)
}
