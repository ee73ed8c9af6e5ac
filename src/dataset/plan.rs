//! The one scan of a dataset: its parts, its size, its kept fields' types.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::dataset::row::{ReadRow, Row, RowOptions};
use crate::error::{Error, Result};
use crate::sample::Kept;
use crate::schema::{self, KeptField, KeptType};

/// A part closes at this many rows...
pub const PART_ROWS: u32 = 256;
/// ...or at this much input + output text in bytes, whichever comes first; a longer row is a part alone.
pub const PART_BYTES: u64 = 256 * 1024;

/// Written at the head of files by some editors; no part of the first row.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// What decides the cuts beside the data.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    pub rows: RowOptions,
    /// `--limit`: only the first rows.
    pub limit: Option<u32>,
}

/// One part: a run of whole rows.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    pub first_row: u32,
    pub rows: u32,
    pub first_sample: u32,
    pub samples: u32,
    /// Where its first line begins in the file, and how many bytes of the file it spans.
    pub offset: u64,
    pub bytes: u64,
    /// Line of its first row, from 1.
    pub first_line: u64,
}

/// What one scan found. Holds no rows.
#[derive(Clone, Debug)]
pub struct Plan {
    pub path: PathBuf,
    pub options: PlanOptions,
    pub parts: Vec<Part>,
    pub rows: u32,
    pub samples: u32,
    pub kept: Vec<KeptField>,
    /// BLAKE3 of the whole file.
    pub hash: String,
    /// Size and time of change, to notice when the file changes under a run.
    fingerprint: Fingerprint,
}

type Fingerprint = (u64, Option<std::time::SystemTime>);

/// Reads the whole file once.
///
/// # Errors
/// A file that cannot be read or holds no row, a field that no row has, a field to keep that a column is called.
pub fn scan(path: &Path, options: PlanOptions) -> Result<Plan> {
    check_keep(&options.rows.keep)?;
    let fingerprint = fingerprint(path)?;
    let mut lines = Lines::open(path)?;
    let mut cuts = Cuts::default();
    let mut kept = vec![KeptSeen::default(); options.rows.keep.len()];
    let mut clustered = false;
    while let Some(line) = lines.next(path)? {
        if options.limit.is_some_and(|limit| cuts.rows >= limit) {
            break;
        }
        let row = Row::parse(&lines.buffer[line.text.clone()], &options.rows);
        cuts.add(&line, row.as_ref().map_or(0, Row::text_bytes));
        clustered |= row.as_ref().is_ok_and(|row| row.cluster.is_some());
        for (seen, value) in kept.iter_mut().zip(row.iter().flat_map(|row| &row.kept)) {
            seen.add(value);
        }
        if cuts.rows == u32::MAX {
            return Err(Error::dataset(path, line.number, "more rows than 32 bits can number"));
        }
    }
    let hash = lines.finish(path)?;
    let rows = cuts.rows;
    if rows == 0 {
        return Err(Error::dataset(path, None, "holds no rows"));
    }
    let nowhere =
        |name: &str, option: &str| Error::dataset(path, None, format!("no row has the field `{name}` of {option}"));
    if let Some(name) = options.rows.cluster.as_ref().filter(|_| !clustered) {
        return Err(nowhere(name, "--cluster"));
    }
    let kept = options.rows.keep.iter().zip(kept).map(|(name, seen)| match seen.kind() {
        Some(kind) => Ok(KeptField { name: name.clone(), kind }),
        None => Err(nowhere(name, "--keep-fields")),
    });
    let kept = kept.collect::<Result<_>>()?;
    Ok(Plan { path: path.to_owned(), options, parts: cuts.finish(), rows, samples: rows, kept, hash, fingerprint })
}

/// Kept fields become columns, beside those of the table and those that readers make of its folders' names.
fn check_keep(names: &[String]) -> Result<()> {
    let columns = schema::samples(&[]);
    let keys = [schema::key::GENERATION_MODEL, schema::key::TASK, schema::key::MODEL];
    for (i, name) in names.iter().enumerate() {
        if columns.field_with_name(name).is_ok() || keys.contains(&name.as_str()) {
            return Err(Error::Usage(format!("--keep-fields {name}: the samples table has a column of that name")));
        }
        if names[..i].contains(name) {
            return Err(Error::Usage(format!("--keep-fields {name}: named twice")));
        }
    }
    Ok(())
}

impl Plan {
    /// The rows of part `index`, in order, bad ones included.
    ///
    /// # Errors
    /// A file that cannot be read, or is not the one that was scanned any more.
    pub fn read_part(&self, index: u32) -> Result<Vec<ReadRow>> {
        let part = &self.parts[index as usize];
        let changed = || Error::dataset(&self.path, None, "changed while it was read: run again");
        if fingerprint(&self.path)? != self.fingerprint {
            return Err(changed());
        }
        let mut file = File::open(&self.path).map_err(Error::io("read", &self.path))?;
        file.seek(SeekFrom::Start(part.offset)).map_err(Error::io("read", &self.path))?;
        let mut bytes = vec![0; part.bytes as usize];
        file.read_exact(&mut bytes).map_err(|_| changed())?;
        let lines = (part.first_line..).zip(bytes.split_inclusive(|&byte| byte == b'\n'));
        let lines = lines.map(|(number, line)| (number, trim(line))).filter(|(_, line)| !line.is_empty());
        let rows: Vec<ReadRow> = lines
            .zip(part.first_row..)
            .map(|((line, text), row)| {
                let content = Row::parse(text, &self.options.rows).map_err(|what| format!("line {line}: {what}"));
                ReadRow { row, line, first_sample: part.first_sample + row - part.first_row, content }
            })
            .collect();
        if rows.len() == part.rows as usize { Ok(rows) } else { Err(changed()) }
    }
}

fn fingerprint(path: &Path) -> Result<Fingerprint> {
    let metadata = std::fs::metadata(path).map_err(Error::io("read the dataset", path))?;
    if metadata.is_dir() {
        return Err(Error::dataset(path, None, "is a directory, expected a JSONL file"));
    }
    Ok((metadata.len(), metadata.modified().ok()))
}

/// A line without its end and surrounding white space.
fn trim(line: &[u8]) -> &[u8] {
    line.trim_ascii()
}

/// A line that holds a row.
struct Line {
    /// From 1.
    number: u64,
    /// Where it begins in the file, and where the next one does.
    offset: u64,
    end: u64,
    /// Its text in the buffer.
    text: std::ops::Range<usize>,
}

/// Lines of a file, hashed as they pass; one is held at a time.
struct Lines {
    file: BufReader<File>,
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    number: u64,
    offset: u64,
}

impl Lines {
    fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(Error::io("read the dataset", path))?;
        let file = BufReader::with_capacity(1 << 20, file);
        let mut lines = Self { file, hasher: blake3::Hasher::new(), buffer: Vec::new(), number: 0, offset: 0 };
        if lines.file.fill_buf().map_err(Error::io("read", path))?.starts_with(BYTE_ORDER_MARK) {
            lines.file.consume(BYTE_ORDER_MARK.len());
            lines.hasher.update(BYTE_ORDER_MARK);
            lines.offset = BYTE_ORDER_MARK.len() as u64;
        }
        Ok(lines)
    }

    /// The next line that is not blank.
    fn next(&mut self, path: &Path) -> Result<Option<Line>> {
        loop {
            self.buffer.clear();
            let read = self.file.read_until(b'\n', &mut self.buffer).map_err(Error::io("read", path))?;
            if read == 0 {
                return Ok(None);
            }
            self.hasher.update(&self.buffer);
            self.number += 1;
            let offset = self.offset;
            self.offset += read as u64;
            let text = trim(&self.buffer);
            if !text.is_empty() {
                let start = self.buffer.len() - self.buffer.trim_ascii_start().len();
                let text = start..start + text.len();
                return Ok(Some(Line { number: self.number, offset, end: self.offset, text }));
            }
        }
    }

    /// Hashes what is left of the file.
    fn finish(mut self, path: &Path) -> Result<String> {
        self.hasher.update_reader(&mut self.file).map_err(Error::io("read", path))?;
        Ok(self.hasher.finalize().to_hex().to_string())
    }
}

/// The parts so far, the last one open.
#[derive(Default)]
struct Cuts {
    done: Vec<Part>,
    open: Option<Part>,
    open_text: u64,
    rows: u32,
}

impl Cuts {
    fn add(&mut self, line: &Line, text_bytes: u64) {
        let full = self.open.as_ref().is_some_and(|part| part.rows >= PART_ROWS);
        if full || self.open_text + text_bytes > PART_BYTES {
            self.close();
        }
        let part = self.open.get_or_insert(Part {
            first_row: self.rows,
            rows: 0,
            first_sample: self.rows,
            samples: 0,
            offset: line.offset,
            bytes: 0,
            first_line: line.number,
        });
        part.rows += 1;
        part.samples += 1;
        part.bytes = line.end - part.offset;
        self.open_text += text_bytes;
        self.rows += 1;
    }

    fn close(&mut self) {
        self.done.extend(self.open.take());
        self.open_text = 0;
    }

    fn finish(mut self) -> Vec<Part> {
        self.close();
        self.done
    }
}

/// The types that a kept field had.
#[derive(Clone, Debug, Default)]
struct KeptSeen {
    any: bool,
    not_bool: bool,
    not_number: bool,
}

impl KeptSeen {
    fn add(&mut self, value: &Kept) {
        self.any |= *value != Kept::Null;
        self.not_bool |= matches!(value, Kept::Number(_) | Kept::Text(_));
        self.not_number |= matches!(value, Kept::Bool(_) | Kept::Text(_));
    }

    /// The one type that holds every value; `None` if there was none.
    fn kind(&self) -> Option<KeptType> {
        match self {
            Self { any: false, .. } => None,
            Self { not_bool: false, .. } => Some(KeptType::Bool),
            Self { not_number: false, .. } => Some(KeptType::Number),
            _ => Some(KeptType::Text),
        }
    }
}

#[cfg(test)]
mod tests;
