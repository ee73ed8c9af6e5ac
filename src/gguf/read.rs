//! Reads a header from its file.
//!
//! Owns the order of the bytes and the checks of what they claim. An array within an array is an error.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::header::{Header, KINDS, TensorInfo};
use super::value::{Array, Kind, Value};
use crate::error::{Error, Result};
use crate::stand_in;

const MAGIC: [u8; 4] = *b"GGUF";
/// What tensors' offsets are multiples of, where the header does not say.
const ALIGNMENT: u64 = 32;
const ALIGNMENT_KEY: &str = "general.alignment";
/// The most dimensions that ggml has.
const DIMENSIONS: u32 = 4;

type Parsed<T> = Result<T, String>;

impl Header {
    /// Reads the header of the file at `path`.
    ///
    /// # Errors
    /// Not GGUF, cut short, a key or tensor listed twice, a type that is not read, a tensor outside the file or over
    /// another, or one file of several.
    pub fn read(path: &Path) -> Result<Self> {
        let header = header(path)?;
        match header.unsigned("split.count")? {
            Some(count @ 2..) => Err(header.error(format!("one of {count} files: merge them with llama-gguf-split"))),
            _ => Ok(header),
        }
    }
}

/// The header of the file at `path`.
fn header(path: &Path) -> Result<Header> {
    let file = File::open(path).map_err(Error::io("open", path))?;
    let size = file.metadata().map_err(Error::io("open", path))?.len();
    let mut reader = Reader { file: BufReader::new(file), size, at: 0 };
    let (metadata, tensors) = reader.header().map_err(|what| stand_in::explain_file(path, what))?;
    Ok(Header { path: path.to_owned(), metadata, tensors })
}

struct Reader {
    file: BufReader<File>,
    size: u64,
    /// Bytes read so far.
    at: u64,
}

impl Reader {
    fn header(&mut self) -> Parsed<(BTreeMap<String, Value>, BTreeMap<String, TensorInfo>)> {
        if self.array()? != MAGIC {
            return Err("not a GGUF file: it does not begin with `GGUF`".to_owned());
        }
        match self.u32()? {
            2 | 3 => {}
            other => return Err(format!("GGUF version {other} (or another byte order): 2 and 3 are read")),
        }
        // Counts only say how often to read: a false one runs into the end of the file, which is an error.
        let (tensor_count, key_count) = (self.u64()?, self.u64()?);
        let mut metadata = BTreeMap::new();
        for _ in 0..key_count {
            let key = self.text()?;
            let value = self.value().map_err(|what| format!("`{key}`: {what}"))?;
            insert_once(&mut metadata, key, value)?;
        }
        let mut tensors = BTreeMap::new();
        for _ in 0..tensor_count {
            let name = self.text()?;
            let info = self.tensor().map_err(|what| format!("tensor `{name}`: {what}"))?;
            insert_once(&mut tensors, name, info)?;
        }
        self.place(&metadata, &mut tensors)?;
        Ok((metadata, tensors))
    }

    /// A tensor's entry; its offset is still counted from where the data begin.
    fn tensor(&mut self) -> Parsed<TensorInfo> {
        let dimensions = self.u32()?;
        if dimensions > DIMENSIONS {
            return Err(format!("{dimensions} dimensions, at most {DIMENSIONS} are known"));
        }
        let mut shape = (0..dimensions).map(|_| Ok(self.u64()? as usize)).collect::<Parsed<Vec<_>>>()?;
        let number = self.u32()?;
        let Some(&(_, kind)) = KINDS.iter().find(|(known, _)| *known == number) else {
            let known: Vec<String> = KINDS.iter().map(|(number, kind)| format!("{number} {kind:?}")).collect();
            return Err(format!("of type {number}; those that are read: {}", known.join(", ")));
        };
        let (block, width) = (kind.block_size(), kind.type_size() as u64);
        if shape.first().is_some_and(|first| !first.is_multiple_of(block)) {
            return Err(format!("rows of {}, which are no blocks of {block}", shape[0]));
        }
        let elements = shape.iter().try_fold(1_usize, |product, &n| product.checked_mul(n));
        let bytes = elements.and_then(|n| (n as u64 / block as u64).checked_mul(width));
        let Some(bytes) = bytes else { return Err(format!("its shape {shape:?} overflows")) };
        shape.reverse();
        Ok(TensorInfo { kind, shape, offset: self.u64()?, bytes })
    }

    /// Makes offsets count from the file's beginning; every tensor must lie in the file, apart from the others.
    fn place(&self, metadata: &BTreeMap<String, Value>, tensors: &mut BTreeMap<String, TensorInfo>) -> Parsed<()> {
        let alignment = match metadata.get(ALIGNMENT_KEY) {
            None => ALIGNMENT,
            Some(Value::Unsigned(n)) if n.is_power_of_two() && *n <= 1 << 20 => *n,
            Some(other) => return Err(format!("`{ALIGNMENT_KEY}` is {other}, expected a power of two")),
        };
        let data = self.at.next_multiple_of(alignment);
        let mut places = Vec::new();
        for (name, info) in tensors {
            let begin = data.checked_add(info.offset).filter(|_| info.offset.is_multiple_of(alignment));
            let end = begin.and_then(|begin| begin.checked_add(info.bytes)).filter(|&end| end <= self.size);
            let (Some(begin), Some(end)) = (begin, end) else {
                let TensorInfo { bytes, offset, .. } = info;
                return Err(format!(
                    "tensor `{name}` claims {bytes} bytes at {offset} after {data}, but the file has {}: incomplete download?",
                    self.size
                ));
            };
            info.offset = begin;
            places.push((begin, end, name.as_str()));
        }
        places.sort_unstable();
        match places.windows(2).find(|pair| pair[0].1 > pair[1].0) {
            Some(pair) => Err(format!("tensors `{}` and `{}` overlap", pair[0].2, pair[1].2)),
            None => Ok(()),
        }
    }

    fn value(&mut self) -> Parsed<Value> {
        match self.kind()? {
            Kind::Text => Ok(Value::Text(self.text()?)),
            Kind::Array => {
                let (kind, count) = (self.kind()?, self.u64()?);
                let bytes = match kind.width() {
                    Some(width) => self.bytes(count.saturating_mul(width as u64))?,
                    None if kind == Kind::Text => self.texts(count)?,
                    None => return Err("arrays within arrays are not read".to_owned()),
                };
                Ok(Value::Array(Array { kind, count, bytes }))
            }
            kind => {
                let bytes = self.bytes(kind.width().unwrap_or_default() as u64)?;
                kind.decode(&bytes).ok_or_else(|| "not a value".to_owned())
            }
        }
    }

    fn kind(&mut self) -> Parsed<Kind> {
        let number = self.u32()?;
        Kind::from_number(number).ok_or_else(|| format!("value type {number} is not known"))
    }

    /// The bytes of `count` texts, each with its length before it.
    fn texts(&mut self, count: u64) -> Parsed<Vec<u8>> {
        let mut bytes = Vec::new();
        for _ in 0..count {
            let length: [u8; 8] = self.array()?;
            bytes.extend(length);
            self.append(u64::from_le_bytes(length), &mut bytes)?;
        }
        Ok(bytes)
    }

    fn text(&mut self) -> Parsed<String> {
        let length = self.u64()?;
        Ok(String::from_utf8_lossy(&self.bytes(length)?).into_owned())
    }

    fn u32(&mut self) -> Parsed<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Parsed<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn array<const N: usize>(&mut self) -> Parsed<[u8; N]> {
        let mut bytes = [0; N];
        self.file
            .read_exact(&mut bytes)
            .map_err(|e| format!("its header is cut short after {} bytes: {e}", self.at))?;
        self.at += N as u64;
        Ok(bytes)
    }

    fn bytes(&mut self, count: u64) -> Parsed<Vec<u8>> {
        let mut bytes = Vec::new();
        self.append(count, &mut bytes)?;
        Ok(bytes)
    }

    /// Reads `count` bytes, room for which is made only if the file has them.
    fn append(&mut self, count: u64, bytes: &mut Vec<u8>) -> Parsed<()> {
        let left = self.size.saturating_sub(self.at);
        if count > left {
            return Err(format!("its header claims {count} bytes where {left} are left: cut short, or not GGUF"));
        }
        let start = bytes.len();
        bytes.resize(start + count as usize, 0);
        self.file.read_exact(&mut bytes[start..]).map_err(|e| format!("cannot read the header: {e}"))?;
        self.at += count;
        Ok(())
    }
}

fn insert_once<T>(map: &mut BTreeMap<String, T>, name: String, value: T) -> Parsed<()> {
    match map.entry(name) {
        Entry::Occupied(entry) => Err(format!("`{}` is listed twice", entry.key())),
        Entry::Vacant(entry) => {
            entry.insert(value);
            Ok(())
        }
    }
}
