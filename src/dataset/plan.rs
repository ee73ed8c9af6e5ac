//! The one scan of a dataset: its parts, its size, its kept fields' types.
//!
//! Owns what is true of the whole file, and reading one part of it. Refuses to hold rows.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::dataset::cuts::{Cuts, Part};
use crate::dataset::lines::{BYTE_ORDER_MARK, Lines};
use crate::dataset::row::{ReadRow, Row, RowOptions};
use crate::error::{Error, Result};
use crate::sample::Kept;
use crate::schema::{self, KeptField, KeptType};

/// What decides the cuts beside the data.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    pub rows: RowOptions,
    /// `--limit`: only the first rows.
    pub limit: Option<u32>,
}

/// What one scan found. Holds no rows: its size grows with the number of parts alone.
#[derive(Clone, Debug)]
pub struct Plan {
    pub path: PathBuf,
    pub options: PlanOptions,
    pub parts: Vec<Part>,
    pub rows: u32,
    pub samples: u32,
    pub kept: Vec<KeptField>,
    /// BLAKE3 of the whole file, 64 hex digits, whatever the limit.
    pub hash: String,
    /// To notice when the file changes under a run.
    fingerprint: Fingerprint,
}

/// Size and time of change of a file.
type Fingerprint = (u64, Option<SystemTime>);

/// Reads the whole file once, holding one line at a time.
///
/// # Errors
/// A file that cannot be read, changes or holds no row; a field to keep or to cluster by that no row has, or to keep
/// under a name that is taken; more rows than 32 bits can number.
pub fn scan(path: &Path, options: PlanOptions) -> Result<Plan> {
    check_names(&options.rows)?;
    let before = fingerprint(path)?;
    let mut lines = Lines::open(path, 0, 1)?;
    let mut hasher = blake3::Hasher::new();
    if lines.skip_byte_order_mark()? {
        hasher.update(BYTE_ORDER_MARK);
    }
    let (mut cuts, mut seen) = (Cuts::default(), Seen::new(&options.rows));
    while let Some(line) = lines.next_line()? {
        hasher.update(line.raw);
        if line.text().is_empty() {
            continue;
        }
        if options.limit.is_some_and(|limit| cuts.rows() >= limit) {
            break;
        }
        let row = Row::parse(line.text(), &options.rows, &[]);
        // Nothing is known of a bad row's text but the length of its line.
        let text_bytes = row.as_ref().map_or(line.raw.len() as u64, Row::text_bytes);
        if !cuts.add(&line, row.as_ref().map_or(1, Row::samples), text_bytes) {
            return Err(Error::dataset(path, line.number, "more rows or samples than 32 bits can number"));
        }
        if let Ok(row) = &row {
            seen.add(row);
        }
    }
    hasher.update_reader(lines.rest()).map_err(Error::io("read the dataset", path))?;
    if fingerprint(path)? != before {
        return Err(changed(path));
    }
    let (rows, samples) = (cuts.rows(), cuts.samples());
    if rows == 0 {
        return Err(Error::dataset(path, None, "holds no rows"));
    }
    let kept = seen.finish(path, &options.rows)?;
    let hash = hasher.finalize().to_hex().to_string();
    let parts = cuts.finish();
    Ok(Plan { path: path.to_owned(), options, parts, rows, samples, kept, hash, fingerprint: before })
}

impl Plan {
    /// The rows of part `index`, in order, bad ones included.
    ///
    /// # Errors
    /// A part that the plan does not have, a file that cannot be read, or one that is not what was scanned any more.
    pub fn read_part(&self, index: u32) -> Result<Vec<ReadRow>> {
        let no_part = || Error::dataset(&self.path, None, format!("has {} parts, no part {index}", self.parts.len()));
        let part = self.parts.get(index as usize).ok_or_else(no_part)?;
        let end = part.offset + part.bytes;
        let mut lines = Lines::open(&self.path, part.offset, part.first_line)?;
        let (mut rows, mut at, mut sample) = (Vec::new(), part.offset, part.first_sample);
        while at < end
            && let Some(line) = lines.next_line()?
        {
            at = line.end;
            if line.text().is_empty() {
                continue;
            }
            let content = Row::parse(line.text(), &self.options.rows, &self.kept);
            let row = ReadRow {
                row: part.first_row + rows.len() as u32,
                line: line.number,
                first_sample: sample,
                content: content.map_err(|what| format!("line {}: {what}", line.number)),
            };
            sample += row.samples();
            rows.push(row);
        }
        // Looked at after reading, so that a change while we read shows as well.
        let is_whole = at == end && rows.len() == part.rows as usize && sample - part.first_sample == part.samples;
        if !is_whole || fingerprint(&self.path)? != self.fingerprint {
            return Err(changed(&self.path));
        }
        Ok(rows)
    }
}

fn fingerprint(path: &Path) -> Result<Fingerprint> {
    let metadata = std::fs::metadata(path).map_err(Error::io("read the dataset", path))?;
    if !metadata.is_file() {
        let what = if metadata.is_dir() { "is a directory" } else { "is no file that can be read twice" };
        return Err(Error::dataset(path, None, format!("{what}, expected a JSONL file")));
    }
    Ok((metadata.len(), metadata.modified().ok()))
}

fn changed(path: &Path) -> Error {
    Error::dataset(path, None, "changed while it was read: run again")
}

/// Kept fields become columns of the samples table, beside its own and those that its folders name.
fn check_names(options: &RowOptions) -> Result<()> {
    let columns = schema::samples(&[]);
    let folders = [schema::key::GENERATION_MODEL, schema::key::TASK, schema::key::MODEL];
    for (index, name) in options.keep.iter().enumerate() {
        let what = if columns.field_with_name(name).is_ok() || folders.contains(&name.as_str()) {
            "the samples table has a column of that name"
        } else if options.keep[..index].contains(name) {
            "named twice"
        } else {
            continue;
        };
        return Err(Error::Usage(format!("--keep-fields {name}: {what}")));
    }
    Ok(())
}

/// Which of the fields that were asked for some row had.
struct Seen {
    rows: u64,
    cluster: bool,
    kept: Vec<KeptSeen>,
}

impl Seen {
    fn new(options: &RowOptions) -> Self {
        Self { rows: 0, cluster: false, kept: vec![KeptSeen::default(); options.keep.len()] }
    }

    fn add(&mut self, row: &Row) {
        self.rows += 1;
        self.cluster |= row.cluster.is_some();
        self.kept.iter_mut().zip(&row.kept).for_each(|(seen, value)| seen.add(value));
    }

    /// The kept fields with their types. Where no row is good, nothing can be said of its fields.
    fn finish(self, path: &Path, options: &RowOptions) -> Result<Vec<KeptField>> {
        let absent = |name: &str, option: &str| {
            Error::dataset(path, None, format!("no row has a value in the field `{name}` of {option}"))
        };
        if let Some(name) = options.cluster.as_ref().filter(|_| self.rows > 0 && !self.cluster) {
            return Err(absent(name, "--cluster"));
        }
        let field = |(name, seen): (&String, KeptSeen)| match seen.kind() {
            Some(kind) => Ok(KeptField { name: name.clone(), kind }),
            None if self.rows == 0 => Ok(KeptField { name: name.clone(), kind: KeptType::Text }),
            None => Err(absent(name, "--keep-fields")),
        };
        options.keep.iter().zip(self.kept).map(field).collect()
    }
}

/// The types that a kept field had.
#[derive(Clone, Debug, Default)]
struct KeptSeen {
    bools: bool,
    numbers: bool,
    texts: bool,
}

impl KeptSeen {
    fn add(&mut self, value: &Kept) {
        self.bools |= matches!(value, Kept::Bool(_));
        self.numbers |= matches!(value, Kept::Number(_));
        self.texts |= matches!(value, Kept::Text(_));
    }

    /// The one type that holds every value; `None` if there was none.
    fn kind(&self) -> Option<KeptType> {
        match (self.bools, self.numbers, self.texts) {
            (false, false, false) => None,
            (true, false, false) => Some(KeptType::Bool),
            (false, true, false) => Some(KeptType::Number),
            _ => Some(KeptType::Text),
        }
    }
}
