//! GGUF files of the fixture checkpoints, put together from the headers that llama.cpp's converter wrote and the numbers
//! of the source; `scripts/make_gguf.py` says how.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::quantized::GgmlDType;
use candle_core::{DType, Device, Tensor};
use half::bf16;
use serde_json::{Map, Value};
use tokshift::gguf::Header;

use super::fixture;

/// Every checkpoint that was converted.
pub fn names() -> Vec<String> {
    recipes().keys().cloned().collect()
}

fn recipes() -> Map<String, Value> {
    let path = fixture("../gguf/recipes.json");
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Writes the GGUF of checkpoint `name` to `path`.
pub fn write(name: &str, path: &Path) {
    let mut sources: HashMap<String, Tensor> = HashMap::new();
    for entry in fs::read_dir(fixture(name)).unwrap().flatten() {
        let file = entry.file_name().into_string().unwrap();
        if file.starts_with("model") && file.ends_with(".safetensors") {
            sources.extend(candle_core::safetensors::load(entry.path(), &Device::Cpu).unwrap());
        }
    }
    let mut bytes = fs::read(fixture(&format!("../gguf/{name}.header"))).unwrap();
    // Room for the tensors, so that the header can be read.
    bytes.resize(bytes.len() + (1 << 20), 0);
    fs::write(path, &bytes).unwrap();
    let header = Header::read(path).unwrap();
    let mut end = 0;
    for (tensor, pieces) in recipes()[name].as_object().unwrap() {
        let info = &header.tensors[tensor];
        let numbers: Vec<f32> = pieces.as_array().unwrap().iter().flat_map(|piece| numbers(piece, &sources)).collect();
        let stored: Vec<u8> = match info.kind {
            GgmlDType::BF16 => numbers.iter().flat_map(|&x| bf16::from_f32(x).to_le_bytes()).collect(),
            _ => numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
        };
        assert_eq!(stored.len() as u64, info.bytes, "{name}: {tensor}");
        let start = info.offset as usize;
        bytes[start..start + stored.len()].copy_from_slice(&stored);
        end = end.max(start + stored.len());
    }
    bytes.truncate(end.next_multiple_of(32));
    fs::write(path, bytes).unwrap();
}

fn numbers(piece: &Value, sources: &HashMap<String, Tensor>) -> Vec<f32> {
    if let Some(values) = piece.get("values") {
        return values.as_array().unwrap().iter().map(|x| x.as_f64().unwrap() as f32).collect();
    }
    let name = piece.as_str().or_else(|| piece["source"].as_str()).unwrap();
    let source = sources[name].to_dtype(DType::F32).unwrap();
    let source = match piece.get("rows") {
        None => source,
        Some(rows) => {
            let rows: Vec<u32> = rows.as_array().unwrap().iter().map(|row| row.as_u64().unwrap() as u32).collect();
            source.index_select(&Tensor::new(rows, &Device::Cpu).unwrap(), 0).unwrap()
        }
    };
    let added = piece.get("added").map_or(0.0, |x| x.as_f64().unwrap() as f32);
    source.flatten_all().unwrap().to_vec1::<f32>().unwrap().iter().map(|x| x + added).collect()
}
