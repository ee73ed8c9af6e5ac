//! `tokshift status`: what an output directory holds and what it cost.
//!
//! Owns the figures of a cell that need no comparison. Refuses to open tokens tables.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use arrow::array::AsArray;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;

use super::args::StatusArgs;
use super::{Exit, kl, progress};
use crate::error::Error;
use crate::escape::visible;
use crate::journal::{self, Entry};
use crate::schema::sample::STATUS;
use crate::shift::aligned;
use crate::store::{self, FoundCell, Manifest};

/// What is known of a cell.
#[derive(Debug, Serialize)]
struct CellStatus {
    generation_model: String,
    task: String,
    model: String,
    parts_done: usize,
    parts: usize,
    /// Samples of the done parts.
    samples: BTreeMap<String, u64>,
    dtype: String,
    device: String,
    top_k: usize,
    limit: Option<u32>,
    /// Of the done parts' tables.
    bytes: u64,
    /// From the log; absent if it tells nothing.
    seconds: Option<f64>,
    tokens_per_second: Option<f64>,
    /// Why the last run that touched the cell ended early, if it did and parts are missing since.
    failed: Option<String>,
}

/// Prints a line a cell.
pub fn run(args: &StatusArgs) -> Result<Exit> {
    let entries = journal::entries(&args.output_dir);
    let cells = store::cells(&args.output_dir)?;
    let cells = cells.iter().map(|found| CellStatus::of(found, &entries)).collect::<Result<Vec<_>>>()?;
    if args.json {
        return kl::print(&(serde_json::to_string_pretty(&cells)? + "\n"));
    }
    kl::print(&table(&cells))
}

impl CellStatus {
    fn of(found: &FoundCell, entries: &[Entry]) -> Result<Self> {
        let own: Vec<&Entry> = entries.iter().filter(|entry| entry.is_of(&found.cell)).collect();
        let Manifest { engine, dataset, parts, .. } = &found.manifest;
        let files = found.tokens.iter().chain(&found.samples).chain(&found.hidden);
        let size = |path| fs::metadata(path).map(|data| data.len()).map_err(Error::io("read", path));
        Ok(Self {
            generation_model: found.cell.generation_model.clone(),
            task: found.cell.task.clone(),
            model: found.cell.model.clone(),
            parts_done: found.parts.len(),
            parts: parts.len(),
            samples: by_status(&found.samples)?,
            dtype: engine.dtype.clone(),
            device: engine.device.clone(),
            top_k: engine.top_k,
            limit: dataset.limit,
            bytes: files.map(size).sum::<Result<_, _>>()?,
            seconds: (!own.is_empty()).then(|| own.iter().map(|entry| entry.seconds).sum()),
            tokens_per_second: journal::rate(own.iter().copied()),
            failed: own.last().and_then(|entry| entry.failed.clone()).filter(|_| !found.missing.is_empty()),
        })
    }
}

/// Samples by status. A part has 256 rows at most, so whole columns are read.
fn by_status(tables: &[std::path::PathBuf]) -> Result<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for path in tables {
        let parquet = path.extension().is_some_and(|extension| extension == "parquet");
        let statuses = if parquet { of_parquet(path) } else { of_json_lines(path) };
        for status in statuses.with_context(|| format!("cannot read `{}`", path.display()))? {
            *counts.entry(status).or_default() += 1;
        }
    }
    Ok(counts)
}

fn of_parquet(path: &Path) -> Result<Vec<String>> {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?;
    let status = ProjectionMask::columns(reader.parquet_schema(), [STATUS]);
    let mut statuses = Vec::new();
    for batch in reader.with_projection(status).build()? {
        let batch = batch?;
        let column = batch.column_by_name(STATUS).and_then(|column| column.as_string_opt::<i32>());
        let column = column.with_context(|| format!("it has no texts in a column `{STATUS}`"))?;
        statuses.extend(column.iter().map(|status| status.unwrap_or_default().to_owned()));
    }
    Ok(statuses)
}

fn of_json_lines(path: &Path) -> Result<Vec<String>> {
    #[derive(serde::Deserialize)]
    struct Line {
        status: String,
    }
    let lines = BufReader::new(File::open(path)?).lines();
    lines.map(|line| Ok(serde_json::from_str::<Line>(&line?)?.status)).collect()
}

fn table(cells: &[CellStatus]) -> String {
    let head = ["text", "model", "parts", "samples", "dtype", "top-k", "limit", "size", "seconds", "tok/s"];
    let rows = cells.iter().map(|cell| {
        let samples = cell.samples.iter().map(|(status, n)| format!("{n} {status}")).collect::<Vec<_>>().join(", ");
        let or_dash = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
        vec![
            format!("{} by {}", cell.task, cell.generation_model),
            cell.model.clone(),
            format!("{}/{}", cell.parts_done, cell.parts),
            samples,
            cell.dtype.clone(),
            cell.top_k.to_string(),
            or_dash(cell.limit.map(|limit| limit.to_string())),
            progress::size(cell.bytes),
            or_dash(cell.seconds.map(|seconds| format!("{seconds:.1}"))),
            or_dash(cell.tokens_per_second.map(|rate| format!("{rate:.0}"))),
        ]
    });
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect();
    let failed = cells.iter().filter_map(|cell| {
        let why = cell.failed.as_ref()?;
        Some(visible(&format!("failed: {} on {} by {}: {why}", cell.model, cell.task, cell.generation_model)))
    });
    aligned(&rows, 2).into_iter().chain(failed).map(|line| line + "\n").collect()
}
