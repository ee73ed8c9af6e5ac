//! Numbers that other programs recorded, as the tables that scoring writes.
//!
//! Owns the way from files of recorded log-probabilities to cells: what rows say becomes samples and scores, and goes
//! through the ordinary writer, part by part. A row that cannot be used is a failed sample; the others are kept. Not
//! here: tables (`table`), and how they are published (`store`).

mod build;
mod cells;
mod formats;
mod numbers;
mod plan;
mod request;
mod row;
mod step;
mod zip;

use std::collections::HashSet;
use std::path::PathBuf;
use std::time::Instant;

pub use self::formats::{Format, Tokens};
pub use self::numbers::Noted;
pub use self::request::Request;
pub use self::step::Step;

use self::cells::{Names, manifest};
use self::formats::Reads;
use self::formats::names::FieldNames;
use self::formats::{inspect, token_losses};
use self::plan::Plan;
use crate::dataset::RowOptions;
use crate::dataset::seen::check_names;
use crate::error::{Error, Result};
use crate::run_log::{Entry, RunLog};
use crate::sample::Status;
use crate::schema::KeptField;
use crate::stop::Stop;
use crate::store::{Cell, CellStore, Store};
use crate::table;

/// What became of one model's numbers.
#[derive(Clone, Debug)]
pub struct Imported {
    /// Its cell.
    pub cell: Cell,
    /// What was read.
    pub format: Format,
    /// Samples that this import wrote, indexed by `Status as usize`; none if every part was there before.
    pub samples: [u64; Status::ALL.len()],
    /// Tokens with numbers that this import wrote.
    pub tokens: u64,
    /// Log-probabilities that were not taken as they stand.
    pub noted: Noted,
    /// Why samples have no numbers: the first of them.
    pub reasons: Vec<String>,
}

/// Number of reasons that are listed; the samples tables contain all of them.
const REASONS: usize = 3;

/// Reads every file twice: once for its parts, and once part by part into tables. Memory: the rows of a part. A file of
/// the published study is read whole. `watch` learns how far it is.
///
/// # Errors
/// A file that cannot be read or whose format is not known, names that nothing gives, or tables of other rows under the
/// same names. [`Error::Stopped`] if `stop` was raised. Parts that are written stay, and the same request continues.
pub fn import(request: &Request, watch: &dyn Fn(Step), stop: &Stop) -> Result<Vec<Imported>> {
    let names = FieldNames::parse(&request.fields, &Format::fields_of_all())?;
    must_differ(&request.files)?;
    let format = |path: &PathBuf| request.format.map_or_else(|| Format::of_file(path, &names), Ok);
    let formats = request.files.iter().map(format).collect::<Result<Vec<_>>>()?;
    let Some(&format) = formats.first() else { return Err(Error::usage("no file to import")) };
    if let Some(place) = formats.iter().position(|other| *other != format) {
        let (first, other) = (request.files[0].display(), request.files[place].display());
        let (is, but) = (format.name(), formats[place].name());
        return Err(Error::usage(format!("`{first}` is of the format {is} and `{other}` of {but}: import them apart")));
    }
    let (cluster, keep, kept) = (request.cluster.clone(), request.keep_fields.clone(), Vec::new());
    let reads = Reads { names, cluster, keep, kept, vocab: request.vocab, tokens: request.tokens }.of(format);
    check_names(&RowOptions { keep: reads.kept.clone(), ..RowOptions::default() })?;
    let store = Store::open(&request.output_dir)?;
    let to = To { store: &store, run_log: &RunLog::new(&request.output_dir), watch };
    let mut imported = Vec::new();
    if format == Format::TokenLosses {
        for path in &request.files {
            let read = token_losses::read(path)?;
            let rows = (0..).zip(read.rows).map(|(row, found): (u32, _)| (format!("row {row}"), Ok(found))).collect();
            let plan = plan::of_rows(path, read.hash, rows, format, &reads)?;
            let cells = vec![Names::of(request).over(read.cell)];
            imported.extend(Import { plan, cells, format, reads: &reads, stop }.write(&to)?);
        }
        return Ok(imported);
    }
    if format == Format::Inspect {
        for path in &request.files {
            let read = inspect::read(path, request.tokens, &reads.kept)?;
            let last = |name: &str| name.rsplit('/').next().unwrap_or_default().to_owned();
            let (model, task) = (last(&read.model), last(&read.task));
            let plan = plan::of_rows(path, read.hash, read.rows, format, &reads)?;
            let cells = vec![Names::of(request).over(Cell::new(model.clone(), task, model))];
            imported.extend(Import { plan, cells, format, reads: &reads, stop }.write(&to)?);
        }
        return Ok(imported);
    }
    let plan = plan::scan(&request.files, format, &reads, (watch, stop))?;
    let cells = Names::of(request).cells(format, &plan)?;
    Import { plan, cells, format, reads: &reads, stop }.write(&to)
}

/// Where an import goes.
struct To<'a> {
    store: &'a Store,
    run_log: &'a RunLog,
    watch: &'a dyn Fn(Step),
}

/// Each file must be given once: its rows would count twice, and errors of means would come out too small.
///
/// # Errors
/// [`Error::Usage`] with the first path that is another name of an earlier one.
fn must_differ(files: &[PathBuf]) -> Result<()> {
    let mut seen = HashSet::new();
    for path in files {
        // A path that does not exist is an error where it is opened.
        let file = path.canonicalize().unwrap_or_else(|_| path.clone());
        if !seen.insert(file) {
            return Err(Error::usage(format!("`{}` is given twice: its rows would count twice", path.display())));
        }
    }
    Ok(())
}

/// One text with the numbers of one or several models.
struct Import<'a> {
    plan: Plan,
    /// In the order of the rows' numbers.
    cells: Vec<Cell>,
    format: Format,
    reads: &'a Reads,
    stop: &'a Stop<'a>,
}

impl Import<'_> {
    fn write(&self, to: &To) -> Result<Vec<Imported>> {
        let open = |(model, cell): (usize, &Cell)| {
            to.store.cell(cell, &manifest(cell, &self.plan, self.format, self.reads, model))
        };
        let stores = self.cells.iter().enumerate().map(open).collect::<Result<Vec<CellStore>>>()?;
        let kept: Vec<KeptField> = self.plan.kept.iter().map(|(_, field)| field.clone()).collect();
        let new = |cell: &Cell| Imported {
            cell: cell.clone(),
            format: self.format,
            samples: [0; Status::ALL.len()],
            tokens: 0,
            noted: Noted::default(),
            reasons: Vec::new(),
        };
        let mut imported: Vec<Imported> = self.cells.iter().map(new).collect();
        let (parts, begun) = (self.plan.parts.len(), Instant::now());
        let mut written = vec![0; self.cells.len()];
        for part in 0..parts {
            self.stop.check()?;
            (to.watch)(Step { doing: "writing", done: part as u64, of: parts as u64 });
            let missing = |model: &usize| !stores[*model].is_done(part as u32);
            let missing: Vec<usize> = (0..stores.len()).filter(missing).collect();
            if missing.is_empty() {
                continue;
            }
            let rows = self.rows(part)?;
            for model in missing {
                self.write_part(part, &rows, (model, &stores[model]), &kept, &mut imported[model])?;
                written[model] += 1;
            }
        }
        for (found, parts) in imported.iter().zip(written).filter(|(_, parts)| *parts > 0) {
            let (cell, cells, tokens) = (found.cell.clone(), self.cells.len() as u64, found.tokens);
            let (seconds, bytes) = (begun.elapsed().as_secs_f64() / cells as f64, self.plan.bytes);
            to.run_log.add(&Entry { cell, parts, cells, seconds, tokens, computed: None, bytes, failed: None });
        }
        Ok(imported)
    }

    /// The rows of a part, with those kept fields alone that some row has.
    fn rows(&self, part: usize) -> Result<Vec<plan::Named>> {
        let mut rows = self.plan.read(part, self.format, self.reads)?;
        for row in rows.iter_mut().filter_map(|(_, row)| row.as_mut().ok()) {
            row.kept = self.plan.kept.iter().filter_map(|(place, _)| row.kept.get(*place).cloned()).collect();
        }
        Ok(rows)
    }

    fn write_part(
        &self,
        index: usize,
        rows: &[plan::Named],
        (model, store): (usize, &CellStore),
        kept: &[KeptField],
        imported: &mut Imported,
    ) -> Result<()> {
        let part = &self.plan.parts[index];
        let (mut samples, mut first_sample) = (Vec::new(), part.first_sample);
        for (row, (name, found)) in (part.first_row..).zip(rows) {
            let place = build::Place { row, first_sample, name, vocab: self.reads.vocab };
            let of_row = build::samples(found, place, model, &mut imported.noted);
            first_sample += of_row.len() as u32;
            samples.extend(of_row);
        }
        let mut writer = store.begin(index as u32)?;
        writer.write(&table::samples_batch(&samples, kept)?, &table::tokens_batch(&samples)?)?;
        writer.commit()?;
        for scored in &samples {
            imported.samples[scored.sample.status as usize] += 1;
            imported.tokens += scored.scores.as_ref().map_or(0, |scores| scores.len() as u64);
            let reason = scored.sample.reason.iter().filter(|_| scored.sample.status == Status::Failed);
            let room = REASONS.saturating_sub(imported.reasons.len());
            imported.reasons.extend(reason.take(room).cloned());
        }
        Ok(())
    }
}
