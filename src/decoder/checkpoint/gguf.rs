//! The tensors of a GGUF file.
//!
//! Owns reading tensors, dequantising them, and cutting one expert's weights out of a tensor of all experts. Quantised
//! weights are never multiplied as they are stored. Not here: the file's header (`crate::gguf`).

use std::borrow::Cow;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use candle_core::quantized::{GgmlDType, ggml_file};
use candle_core::{DType, Device, Tensor};
use half::{bf16, f16};

use super::{Stored, check_finite, misshapen, read_plain};
use crate::decoder::names::GGUF_EXPERTS;
use crate::error::{Error, Result};
use crate::gguf::{Header, TensorInfo};

/// An open GGUF file.
#[derive(Debug)]
pub struct Gguf {
    header: Header,
    file: File,
}

impl Gguf {
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self { header: Header::read(path)?, file: File::open(path).map_err(Error::io("open", path))? })
    }

    pub fn header(&self) -> &Header {
        &self.header
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.header.tensors.keys().map(String::as_str).filter(|name| !is_factors(name))
    }

    pub fn is_quantised(&self) -> bool {
        self.header.tensors.values().any(|info| info.kind.block_size() > 1)
    }

    pub fn stored(&self, name: &str) -> Option<Stored> {
        let TensorInfo { kind, shape, bytes, .. } = self.header.tensors.get(name)?;
        let dtype = if *kind == GgmlDType::BF16 { DType::BF16 } else { DType::F32 };
        Some(Stored { shape: shape.clone(), kind: kind_name(*kind), bytes: *bytes, dtype })
    }

    /// All values of the tensor `name` in f64, or `None` if there is none. It is meant for small tensors.
    pub fn numbers(&self, name: &str) -> Result<Option<Vec<f64>>> {
        let Some(info) = self.header.tensors.get(name) else { return Ok(None) };
        let values = self.read(name, info)?.to_dtype(DType::F64)?.flatten_all()?;
        Ok(Some(values.to_vec1()?))
    }

    /// Tensor `name` on the CPU, or `None` if there is none. F32, F16 and BF16 keep their type, and quantised types
    /// become f32. Because GGUF leaves out dimensions of 1, these are not compared with `shape`.
    pub fn load(&self, name: &str, shape: &[usize]) -> Result<Option<Tensor>> {
        let (name, expert) = split_expert(name);
        let Some(info) = self.header.tensors.get(name.as_ref()) else { return Ok(None) };
        let Some(info) = expert.map_or(Some(info.clone()), |expert| slice(info, expert)) else {
            return Err(self.header.error(format!("tensor `{name}` has no expert {}", expert.unwrap_or_default())));
        };
        let wide = |shape: &[usize]| shape.iter().copied().filter(|&n| n != 1).collect::<Vec<_>>();
        if wide(&info.shape) != wide(shape) {
            return Err(misshapen(&self.header.path, &name, &info.shape, shape));
        }
        Ok(Some(self.read(&name, &info)?.reshape(shape)?))
    }

    fn read(&self, name: &str, info: &TensorInfo) -> Result<Tensor> {
        let (path, shape) = (self.header.path.as_path(), info.shape.as_slice());
        let file = (&self.file, path);
        match info.kind {
            GgmlDType::F32 => read_plain(file, name, shape, info.offset, f32::is_finite),
            GgmlDType::BF16 => read_plain(file, name, shape, info.offset, bf16::is_finite),
            GgmlDType::F16 => read_plain(file, name, shape, info.offset, f16::is_finite),
            kind => {
                // The bytes are reinterpreted as ggml's blocks, which must be aligned; a buffer of u64 is.
                let mut words = vec![0_u64; info.bytes.div_ceil(8) as usize];
                let bytes = &mut bytemuck::cast_slice_mut(&mut words)[..info.bytes as usize];
                self.file.read_exact_at(bytes, info.offset).map_err(Error::io("read weights from", path))?;
                let tensor = ggml_file::qtensor_from_ggml(kind, bytes, shape.to_vec(), &Device::Cpu)?;
                let tensor = tensor.dequantize(&Device::Cpu)?;
                check_finite(path, name, &tensor.flatten_all()?.to_vec1()?, f32::is_finite)?;
                Ok(tensor)
            }
        }
    }
}

/// Splits the name of one expert's tensor into the name that the file has for all experts, and the expert's index. Any
/// other name is returned unchanged, without an index.
pub fn split_expert(name: &str) -> (Cow<'_, str>, Option<usize>) {
    let parts: Vec<&str> = name.split('.').collect();
    let place = parts.iter().position(|part| *part == GGUF_EXPERTS);
    let index = place.and_then(|place| Some((place, parts.get(place + 1)?.parse().ok()?)));
    match index {
        None => (name.into(), None),
        Some((place, expert)) => ([&parts[..place], &parts[place + 2..]].concat().join(".").into(), Some(expert)),
    }
}

/// The slice of a tensor of all experts that belongs to `expert`, or `None` if there is no such expert.
fn slice(info: &TensorInfo, expert: usize) -> Option<TensorInfo> {
    let (&count, shape) = info.shape.split_first().filter(|(count, _)| expert < **count)?;
    let bytes = info.bytes / count as u64;
    let offset = info.offset + bytes * expert as u64;
    Some(TensorInfo { kind: info.kind, shape: shape.to_vec(), offset, bytes })
}

/// Whether this is a tensor of rotary factors, which belong to the spec and not to the weights.
fn is_factors(name: &str) -> bool {
    name.starts_with("rope_f")
}

/// llama.cpp's name of a tensor type.
fn kind_name(kind: GgmlDType) -> String {
    let name = match kind {
        GgmlDType::F32 => "F32",
        GgmlDType::F16 => "F16",
        GgmlDType::BF16 => "BF16",
        GgmlDType::Q4_0 => "Q4_0",
        GgmlDType::Q4_1 => "Q4_1",
        GgmlDType::Q5_0 => "Q5_0",
        GgmlDType::Q5_1 => "Q5_1",
        GgmlDType::Q8_0 => "Q8_0",
        GgmlDType::Q8_1 => "Q8_1",
        GgmlDType::Q2K => "Q2_K",
        GgmlDType::Q3K => "Q3_K",
        GgmlDType::Q4K => "Q4_K",
        GgmlDType::Q5K => "Q5_K",
        GgmlDType::Q6K => "Q6_K",
        GgmlDType::Q8K => "Q8_K",
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gguf::KINDS;

    /// Scripts read these names in `inspect --json`.
    #[test]
    fn types_are_called_as_llama_cpp_calls_them() {
        let names = KINDS.map(|(_, kind)| kind_name(kind));
        let expected =
            ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"];
        assert_eq!(names, expected);
    }
}
