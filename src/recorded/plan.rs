//! The first look at recorded rows: their parts, their size, the types of their kept fields.
//!
//! Owns what is true of all of an import, and that its rows are read again part by part. Parts depend on ids alone, so
//! that two files with numbers of one response set have the same parts. Not here: formats (`formats`), tables (`build`).

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::formats::{Format, Reads};
use super::row::{RecordedRow, RecordedSample};
use super::step::Step;
use crate::dataset::records::{Form, Record, Records};
use crate::dataset::seen::Types;
use crate::dataset::unpack::{Packing, Tally};
use crate::dataset::{PART_BYTES, PART_ROWS, Part, source};
use crate::digest::Fingerprint;
use crate::error::{Error, Result};
use crate::schema::KeptField;
use crate::stop::Stop;
use crate::store::UNKNOWN;

/// Tokens of a part, beyond which the next row begins another; a longer row is a part by itself.
const PART_TOKENS: u64 = PART_BYTES / 4;

/// What one look at all files found. Holds rows of such files alone as are read whole.
pub struct Plan {
    /// The files, with their BLAKE3.
    pub files: Vec<(PathBuf, String)>,
    /// As manifests have them: without places in files, which differ between files of one response set.
    pub parts: Vec<Part>,
    pub rows: u32,
    pub samples: u32,
    /// Kept fields that some row has, with their places in [`RecordedRow::kept`].
    pub kept: Vec<(usize, KeptField)>,
    /// BLAKE3 of all ids, their order, and which have numbers; [`UNKNOWN`] if ids are not known.
    pub text: String,
    /// Length of each model's longest list.
    pub top_k: Vec<usize>,
    /// Names of models that rows give, the first of them and another one, if there is any.
    pub named: Vec<String>,
    /// The text of some row was given to the model.
    pub is_given: bool,
    /// Bytes of the files.
    pub bytes: u64,
    places: Vec<Source>,
    /// Where reading last ended, and in which file: what is packed is not unpacked from its beginning for every part.
    ended_at: Mutex<Option<(usize, Records)>>,
}

/// Where the rows of a part are.
#[derive(Debug)]
enum Source {
    File { file: usize, packing: Packing, form: Form, was: Fingerprint, offset: u64, line: u64, end: u64 },
    Memory(Vec<Named>),
}

/// A row and how messages name it.
pub type Named = (String, Result<RecordedRow, String>);

/// Reads every file once. Memory: a row.
///
/// # Errors
/// A file that cannot be read or has no rows, or more rows than 32 bits can number; [`Error::Stopped`] if `stop` was raised.
pub fn scan(paths: &[PathBuf], format: Format, reads: &Reads, seen: (&dyn Fn(Step), &Stop)) -> Result<Plan> {
    let mut scan = Scan::new(format, reads);
    scan.all = paths.iter().filter_map(|path| path.metadata().ok()).map(|data| data.len()).sum();
    for path in paths {
        scan.file(path, paths.len() > 1, seen)?;
    }
    scan.finish(paths)
}

/// The plan of rows that are in memory, of one file.
pub fn of_rows(path: &Path, hash: String, rows: Vec<Named>, format: Format, reads: &Reads) -> Result<Plan> {
    let mut scan = Scan::new(format, reads);
    scan.files.push((path.to_owned(), hash));
    scan.bytes = path.metadata().map_or(0, |data| data.len());
    for (name, row) in rows {
        if let (Err(reason), None) = (&row, &scan.first_failure) {
            scan.first_failure = Some(format!("{name}: {reason}"));
        }
        scan.add(path, &row, None)?;
        if let Some(Source::Memory(rows)) = scan.places.last_mut() {
            rows.push((name, row));
        }
    }
    scan.finish(&[path.to_owned()])
}

/// What is known so far.
struct Scan<'a> {
    format: Format,
    reads: &'a Reads,
    files: Vec<(PathBuf, String)>,
    parts: Vec<Part>,
    places: Vec<Source>,
    rows: u32,
    samples: u32,
    /// Of the open part.
    tokens: u64,
    is_open: bool,
    kept: Vec<Types>,
    text: blake3::Hasher,
    knows_ids: bool,
    top_k: Vec<usize>,
    named: Vec<String>,
    is_given: bool,
    /// Why the first row cannot be used, and whether another one can.
    first_failure: Option<String>,
    is_usable: bool,
    /// Bytes of the files that were read, and of all.
    bytes: u64,
    all: u64,
}

impl<'a> Scan<'a> {
    fn new(format: Format, reads: &'a Reads) -> Self {
        Self {
            format,
            reads,
            files: Vec::new(),
            parts: Vec::new(),
            places: Vec::new(),
            rows: 0,
            samples: 0,
            tokens: 0,
            is_open: false,
            kept: vec![Types::default(); reads.kept.len()],
            text: blake3::Hasher::new(),
            knows_ids: true,
            top_k: vec![0; format.models().len()],
            named: Vec::new(),
            is_given: false,
            first_failure: None,
            is_usable: false,
            bytes: 0,
            all: 0,
        }
    }

    fn file(&mut self, path: &Path, is_one_of_many: bool, (watch, stop): (&dyn Fn(Step), &Stop)) -> Result<()> {
        let was = source::fingerprint(path)?;
        let (packing, tally) = (Packing::of(path)?, Tally::default());
        let wanted = self.reads.wanted(self.format);
        let mut records = Records::begin(path, packing, &tally, &wanted)?;
        let (form, file, before) = (records.form(), self.files.len(), self.rows);
        // A part belongs to one file.
        self.is_open = false;
        while let Some(record) = records.next_record()? {
            if record.text().is_empty() {
                continue;
            }
            stop.check()?;
            let place = Source::File {
                file,
                packing,
                form,
                was: was.clone(),
                offset: record.offset,
                line: record.number,
                end: record.end,
            };
            // Of a packed file, places are those of its text.
            let done = (self.bytes + record.offset).min(self.all);
            watch(Step { doing: "reading", done, of: self.all });
            let (row, named) = self.reads.parse(self.format, path, record.text());
            if let (Err(reason), None) = (&row, &self.first_failure) {
                self.first_failure = Some(format!("{}: {reason}", form.place(record.number)));
            }
            self.named.extend(named.filter(|name| self.named.len() < 2 && !self.named.contains(name)));
            self.add(path, &row, Some(place))?;
        }
        drop(records);
        let hash = tally.finish(path)?;
        if source::fingerprint(path)? != was {
            return Err(Error::dataset(path, None, "changed while it was read: run again"));
        }
        if self.rows == before && !is_one_of_many {
            return Err(Error::dataset(path, None, "contains no rows"));
        }
        let twice = self.files.iter().find(|(_, other)| *other == hash && self.rows > before);
        if let Some((other, _)) = twice {
            let other = other.display();
            return Err(Error::dataset(
                path,
                None,
                format!("has the same content as `{other}`: its rows would count twice"),
            ));
        }
        self.files.push((path.to_owned(), hash));
        self.bytes += path.metadata().map_or(0, |data| data.len());
        Ok(())
    }

    /// Counts a row, which stands at `place` or is held in memory.
    fn add(&mut self, path: &Path, row: &Result<RecordedRow, String>, place: Option<Source>) -> Result<()> {
        let samples: &[RecordedSample] = row.as_ref().map_or(&[], |row| &row.samples);
        let count = samples.len().max(1) as u32;
        let tokens: u64 = samples.iter().map(|sample| sample.ids.len().max(sample.places.len()) as u64).sum();
        let (Some(rows), Some(all)) = (self.rows.checked_add(1), self.samples.checked_add(count)) else {
            return Err(Error::dataset(path, None, "more rows or samples than 32 bits can number"));
        };
        let is_full = self.parts.last().is_some_and(|part| part.rows >= PART_ROWS);
        if !self.is_open || is_full || self.tokens + tokens > PART_TOKENS {
            let (first_row, first_sample) = (self.rows, self.samples);
            self.parts.push(Part { first_row, rows: 0, first_sample, samples: 0, offset: 0, bytes: 0, first_line: 0 });
            (self.tokens, self.is_open) = (0, true);
            self.places.push(place.unwrap_or_else(|| Source::Memory(Vec::new())));
        } else if let (Some(Source::File { end, .. }), Some(Source::File { end: later, .. })) =
            (self.places.last_mut(), place)
        {
            *end = later;
        }
        if let Some(part) = self.parts.last_mut() {
            part.rows += 1;
            part.samples += count;
        }
        (self.rows, self.samples, self.tokens) = (rows, all, self.tokens + tokens);
        self.identify(samples);
        for sample in samples {
            for (longest, numbers) in self.top_k.iter_mut().zip(&sample.numbers) {
                let lists = numbers.as_ref().map_or(&[][..], |numbers| &numbers.top);
                *longest = lists.iter().map(Vec::len).fold(*longest, usize::max);
            }
        }
        if let Ok(row) = row {
            self.is_usable = true;
            self.is_given |= row.is_given;
            self.kept.iter_mut().zip(&row.kept).for_each(|(seen, value)| seen.add(value));
        }
        Ok(())
    }

    /// Adds a row's ids to what identifies the text.
    fn identify(&mut self, samples: &[RecordedSample]) {
        let mut number = |number: usize| _ = self.text.update(&(number as u64).to_le_bytes());
        number(samples.len());
        for sample in samples {
            self.knows_ids &= !sample.ids.is_empty();
            number(usize::from(sample.has_context));
            for list in [&sample.ids, &sample.places] {
                number(list.len());
                for &id in list {
                    number(id as usize);
                }
            }
        }
    }

    fn finish(self, paths: &[PathBuf]) -> Result<Plan> {
        let (first, name) = (paths.first().cloned().unwrap_or_default(), self.format.name());
        if self.rows == 0 {
            return Err(Error::dataset(first, None, "contains no rows"));
        }
        if let (false, Some(reason)) = (self.is_usable, &self.first_failure) {
            // Nothing is written: ids that are not known would decide what the text is.
            return Err(Error::dataset(first, None, format!("has no row that can be used; the first, {reason}")));
        }
        let kept = self.kept.iter().zip(&self.reads.kept).enumerate();
        let kept = kept.filter_map(|(place, (seen, name))| {
            Some((place, KeptField { name: name.clone(), kind: seen.kind()?, per_response: false }))
        });
        let kept: Vec<_> = kept.collect();
        let is_missing = |name: &&String| !kept.iter().any(|(_, field)| field.name == **name);
        if let Some(name) = self.reads.keep.iter().find(is_missing) {
            let what = format!("no row has a value in the field `{name}` of --keep-fields");
            return Err(Error::dataset(first, None, what));
        }
        tracing::debug!(format = name, rows = self.rows, parts = self.parts.len(), "recorded rows");
        Ok(Plan {
            files: self.files,
            parts: self.parts,
            rows: self.rows,
            samples: self.samples,
            kept,
            text: if self.knows_ids { self.text.finalize().to_hex().to_string() } else { UNKNOWN.to_owned() },
            top_k: self.top_k,
            named: self.named,
            is_given: self.is_given,
            bytes: self.bytes,
            places: self.places,
            ended_at: Mutex::default(),
        })
    }
}

impl Plan {
    /// The rows of part `index`, in order.
    ///
    /// # Errors
    /// A file that cannot be read, or is not what was looked at any more.
    pub fn read(&self, index: usize, format: Format, reads: &Reads) -> Result<Vec<Named>> {
        let part = &self.parts[index];
        match &self.places[index] {
            Source::Memory(rows) => Ok(rows.clone()),
            Source::File { file, packing, form, was, offset, line, end } => {
                let path = &self.files[*file].0;
                let changed = || Error::dataset(path, None, "changed while it was read: run again");
                let last = self.ended_at.lock().unwrap_or_else(PoisonError::into_inner).take();
                let is_before = |(of, records): &(usize, Records)| of == file && records.offset() <= *offset;
                let mut records = match last.filter(is_before) {
                    Some((_, records)) => records,
                    None => Records::resume(path, *packing, *form, (*offset, *line), &reads.wanted(format))?,
                };
                let mut rows = Vec::with_capacity(part.rows as usize);
                while records.offset() < *end
                    && let Some(record) = records.next_record()?
                {
                    if !record.text().is_empty() && record.offset >= *offset {
                        rows.push((self.place(*file, *form, &record), reads.parse(format, path, record.text()).0));
                    }
                }
                if rows.len() != part.rows as usize || source::fingerprint(path)? != *was {
                    return Err(changed());
                }
                *self.ended_at.lock().unwrap_or_else(PoisonError::into_inner) = Some((*file, records));
                Ok(rows)
            }
        }
    }

    /// How a message names a row: with its file, if there are several.
    fn place(&self, file: usize, form: Form, record: &Record) -> String {
        let place = form.place(record.number);
        if self.files.len() == 1 { place } else { format!("{}, {place}", self.file_name(file)) }
    }

    /// What distinguishes a file from the others: its path below the folder that they have in common.
    pub fn file_name(&self, file: usize) -> String {
        let path = &self.files[file].0;
        let common = self.files.iter().map(|(path, _)| path.parent().unwrap_or(Path::new("")));
        let common = common.reduce(|a, b| a.ancestors().find(|above| b.starts_with(above)).unwrap_or(Path::new("")));
        let below = common.and_then(|common| path.strip_prefix(common).ok()).unwrap_or(path);
        below.to_string_lossy().into_owned()
    }
}
