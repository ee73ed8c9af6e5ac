//! Checks the samples table of a part, which its tokens have to fit.
//!
//! Owns the numbering of samples and rows. Memory: one part's samples with their responses.

use std::ops::Range;
use std::path::Path;

use super::report::{Findings, Kind, Place};
use super::rows::SampleRow;
use super::source::{Broken, Source};
use crate::dataset::Part;
use crate::sample::Status;
use crate::table::SampleColumns;

/// What the samples table says of a sample.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub id: u32,
    pub status: Status,
    pub context_hash: Option<String>,
    pub context_tokens: Option<u32>,
    pub response: Option<String>,
    pub response_tokens: u32,
    pub mean_logprob: Option<f64>,
}

/// Reads the samples of `part`, in order. Those of other parts are reported and left out.
///
/// # Errors
/// A file that cannot be decoded.
pub(super) fn read(
    path: &Path,
    source: Source<SampleColumns>,
    part: &Part,
    findings: &mut Findings,
) -> Result<Vec<Sample>, Broken> {
    let ids = range(part.first_sample, part.samples);
    let (mut samples, mut number) = (Vec::new(), 0);
    for batch in source.batches {
        let columns = batch?;
        for index in 0..columns.rows {
            let row = SampleRow::of(&columns, index);
            let place = Place { row: Some(number), sample_id: row.sample_id };
            let expected = ids.start + number;
            number += 1;
            if row.sample_id.map(u64::from) != Some(expected) || expected >= ids.end {
                findings.add(Kind::Rows, path, place, format!("expected a sample of {ids:?} in order"));
                continue;
            }
            if let Err(what) = perplexity(&row) {
                findings.add(Kind::Mean, path, place, what);
            }
            match sample(&row, part) {
                Ok(sample) => samples.push(sample),
                Err(what) => findings.add(Kind::Rows, path, place, what),
            }
        }
    }
    if number != u64::from(part.samples) {
        findings.of_file(Kind::Rows, path, format!("{number} samples, the manifest has {}", part.samples));
    }
    Ok(samples)
}

/// `first..first + count`, which may lie beyond 32 bits if a manifest lies.
fn range(first: u32, count: u32) -> Range<u64> {
    u64::from(first)..u64::from(first) + u64::from(count)
}

fn sample(row: &SampleRow, part: &Part) -> Result<Sample, String> {
    let rows = range(part.first_row, part.rows);
    if !row.row.is_some_and(|row| rows.contains(&row.into())) {
        return Err(format!("row {:?} of the dataset, the part has {rows:?}", row.row));
    }
    let name = row.status.unwrap_or_default();
    let status = Status::of_name(name).ok_or_else(|| format!("unknown status `{name}`"))?;
    if (status == Status::Ok) == row.reason.is_some() {
        return Err(format!("status {name} with reason {:?}", row.reason));
    }
    let response_tokens = row.response_tokens.ok_or_else(|| "response_tokens is null".to_owned())?;
    Ok(Sample {
        id: row.sample_id.unwrap_or_default(),
        status,
        context_hash: row.context_hash.map(str::to_owned),
        context_tokens: row.context_tokens,
        response: row.response.map(str::to_owned),
        response_tokens,
        mean_logprob: row.mean_logprob,
    })
}

/// The perplexity is that of the mean.
fn perplexity(row: &SampleRow) -> Result<(), String> {
    let Some(mean) = row.mean_logprob else { return Ok(()) };
    match row.perplexity {
        Some(x) if is_close(x, (-mean).exp()) => Ok(()),
        other => Err(format!("perplexity is {other:?} where mean_logprob is {mean}")),
    }
}

/// Equal but for rounding; NaN is NaN.
pub(super) fn is_close(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-6 * b.abs().max(1.0)
}
