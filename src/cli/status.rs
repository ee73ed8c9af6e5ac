//! `tokshift status`: progress, size and speed of an output directory.
//!
//! Owns the values of a cell that need no comparison, also of damaged cells: it reports what it cannot read and
//! continues. Tokens tables are not opened.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use super::args::StatusArgs;
use super::exit::Exit;
use super::{kl, progress};
use crate::escape::visible;
use crate::run_log::{self, Entry, MadeFrom};
use crate::shift::aligned;
use crate::store::{self, ListedCell, ListedPair, ListedResponseSet, Manifest, PairCell, PartFiles, ResponseSetKey};
use crate::table::statuses;

/// Raised when a key of the JSON is renamed or removed, or means something else. New keys do not raise it.
const FORMAT_VERSION: u32 = 1;

/// Everything that `status --json` prints; docs/status.schema.json describes it.
#[derive(Debug, Serialize)]
struct Document {
    format_version: u32,
    cells: Vec<CellStatus>,
    pairs: Vec<PairStatus>,
}

/// What is known of the exact measures of a pair.
#[derive(Debug, Serialize)]
struct PairStatus {
    generation_model: String,
    task: String,
    p: String,
    q: String,
    parts_done: usize,
    /// Of the published parts' files.
    bytes: u64,
}

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
    #[serde(flatten)]
    made_with: MadeWith,
    /// Of the done parts' files.
    bytes: u64,
    /// From the log; absent if it has no entry.
    seconds: Option<f64>,
    /// Computed tokens: those that samples share count once.
    tokens_per_second: Option<f64>,
    /// Where the files were that made it, when it was scored last; absent if no log says so.
    made_from: Option<MadeFrom>,
    /// Why the last run that touched the cell ended early, if it did and parts are missing since.
    failed: Option<String>,
    /// What cannot be read; the other values leave it out.
    damaged: Vec<String>,
}

/// What the manifest says of the options; nothing if it cannot be read.
#[derive(Debug, Default, Serialize)]
struct MadeWith {
    dtype: Option<String>,
    device: Option<String>,
    top_k: Option<usize>,
    limit: Option<u32>,
}

/// Prints a line a cell.
pub fn run(args: &StatusArgs) -> Result<Exit> {
    let entries = run_log::entries(&args.output_dir);
    let made_from = run_log::made_from(&args.output_dir);
    let inventory = store::inventory(&args.output_dir)?;
    let cells: Vec<CellStatus> =
        inventory.cells.iter().map(|found| CellStatus::of(found, &entries, &made_from)).collect();
    let pairs: Vec<PairStatus> = inventory.pairs.iter().map(PairStatus::of).collect();
    let exit = if cells.iter().all(|cell| cell.damaged.is_empty()) { Exit::Done } else { Exit::Damaged };
    if args.json {
        let document = Document { format_version: FORMAT_VERSION, cells, pairs };
        kl::print(&(serde_json::to_string_pretty(&document)? + "\n"))?;
    } else {
        let unscored = inventory.response_sets.iter().filter(|text| text.is_unscored(&inventory.cells));
        let unscored = unscored.map(|ListedResponseSet { set: ResponseSetKey { generation_model, task }, .. }| {
            visible(&format!("{task} by {generation_model}: no part is scored yet")) + "\n"
        });
        kl::print(&(table(&cells) + &unscored.collect::<String>() + &exact_measures(&pairs)))?;
    }
    Ok(exit)
}

impl PairStatus {
    fn of(found: &ListedPair) -> Self {
        let PairCell { set: ResponseSetKey { generation_model, task }, p, q } = found.cell.clone();
        let bytes = found.parts.iter().filter_map(|part| Some(part.open().ok()?.length())).sum();
        Self { generation_model, task, p, q, parts_done: found.parts.len(), bytes }
    }
}

impl CellStatus {
    fn of(found: &ListedCell, entries: &[Entry], made_from: &[MadeFrom]) -> Self {
        let own: Vec<&Entry> = entries.iter().filter(|entry| entry.cell == found.cell).collect();
        let done: Vec<&PartFiles> = found.parts.iter().filter(|part| part.is_done()).collect();
        let mut damaged: Vec<String> = found.manifest.as_ref().err().map(ToString::to_string).into_iter().collect();
        let (mut samples, mut bytes) = (BTreeMap::new(), 0);
        for part in &done {
            for file in part.all() {
                match file.open() {
                    Ok(file) => bytes += file.length(),
                    Err(error) => damaged.push(error.to_string()),
                }
            }
            if found.manifest.is_err() {
                continue;
            }
            // That it cannot be opened was recorded already.
            let Ok(file) = part.samples.open() else { continue };
            match statuses(file) {
                Ok(statuses) => statuses.into_iter().for_each(|status| *samples.entry(status).or_default() += 1),
                Err(error) => damaged.push(error.to_string()),
            }
        }
        let made_with = found.manifest.as_ref().map_or_else(|_| MadeWith::default(), MadeWith::of);
        Self {
            generation_model: found.cell.set.generation_model.clone(),
            task: found.cell.set.task.clone(),
            model: found.cell.model.clone(),
            parts_done: done.len(),
            parts: found.parts.len(),
            samples,
            made_with,
            bytes,
            seconds: (!own.is_empty()).then(|| own.iter().map(|entry| entry.seconds).sum()),
            tokens_per_second: run_log::computed_rate(own.iter().copied()),
            made_from: made_from.iter().rev().find(|made| made.cell == found.cell).cloned(),
            failed: own.last().and_then(|entry| entry.failed.clone()).filter(|_| done.len() < found.parts.len()),
            damaged,
        }
    }
}

impl MadeWith {
    fn of(Manifest { engine, dataset, .. }: &Manifest) -> Self {
        let (dtype, device) = (engine.dtype.clone(), engine.device.clone());
        Self { dtype: Some(dtype), device: Some(device), top_k: Some(engine.top_k), limit: dataset.limit }
    }
}

/// A line about the exact measures of pairs, if there are any.
fn exact_measures(pairs: &[PairStatus]) -> String {
    let bytes: u64 = pairs.iter().map(|pair| pair.bytes).sum();
    match pairs.iter().filter(|pair| pair.parts_done > 0).count() {
        0 => String::new(),
        1 => format!("exact measures of 1 pair: {}\n", progress::size(bytes)),
        n => format!("exact measures of {n} pairs: {}\n", progress::size(bytes)),
    }
}

fn table(cells: &[CellStatus]) -> String {
    let head = ["responses", "model", "parts", "samples", "dtype", "top-k", "limit", "size", "seconds", "tok/s"];
    let rows = cells.iter().map(|cell| {
        let samples = cell.samples.iter().map(|(status, n)| format!("{n} {status}")).collect::<Vec<_>>().join(", ");
        let or_dash = |figure: Option<String>| figure.unwrap_or_else(|| "-".to_owned());
        let of_manifest = |value: fn(&MadeWith) -> Option<String>| or_dash(value(&cell.made_with));
        vec![
            format!("{} by {}", cell.task, cell.generation_model),
            cell.model.clone(),
            format!("{}/{}", cell.parts_done, cell.parts),
            samples,
            of_manifest(|made| made.dtype.clone()),
            of_manifest(|made| made.top_k.map(|top_k| top_k.to_string())),
            of_manifest(|made| made.limit.map(|limit| limit.to_string())),
            progress::size(cell.bytes),
            or_dash(cell.seconds.map(|seconds| format!("{seconds:.1}"))),
            or_dash(cell.tokens_per_second.map(|rate| format!("{rate:.0}"))),
        ]
    });
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned).to_vec()).chain(rows).collect();
    let damage = cells.iter().flat_map(|cell| {
        let failed = cell.failed.iter().map(|why| ("failed", why));
        failed.chain(cell.damaged.iter().map(|what| ("damaged", what))).map(|(kind, what)| {
            visible(&format!("{kind}: {} on {} by {}: {what}", cell.model, cell.task, cell.generation_model))
        })
    });
    aligned(&rows, 2).into_iter().chain(damage).map(|line| line + "\n").collect()
}
