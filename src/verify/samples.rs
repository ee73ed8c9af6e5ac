//! The samples table of a part: what its tokens have to fit.
//!
//! Owns the numbering of samples and rows. Memory: one part's samples with their responses.

use std::ops::Range;
use std::path::Path;

use super::columns::{SampleColumns, SampleRow};
use super::report::{Findings, Kind, Place};
use super::source::{Broken, Source};
use crate::dataset::Part;
use crate::sample::Status;

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

/// Reads the samples of `part`, in order. Those that are not of the part are told and left out.
///
/// # Errors
/// A file that cannot be decoded.
pub(super) fn read(
    path: &Path,
    source: Source,
    part: &Part,
    keep_nulls: bool,
    findings: &mut Findings,
) -> Result<Vec<Sample>, Broken> {
    let ids = range(part.first_sample, part.samples);
    let (mut samples, mut number) = (Vec::new(), 0);
    for batch in source.batches {
        let batch = batch.map_err(|e| (Kind::Unreadable, e))?;
        let columns = SampleColumns::of(&batch)?;
        for index in 0..batch.num_rows() {
            let row = columns.row(index);
            let place = Place { row: Some(number), sample_id: row.sample_id };
            let expected = ids.start + number;
            number += 1;
            if row.sample_id.map(u64::from) != Some(expected) || expected >= ids.end {
                findings.add(Kind::Rows, path, place, format!("expected a sample of {ids:?} in order"));
                continue;
            }
            match sample(&row, part, keep_nulls) {
                Ok(sample) => samples.push(sample),
                Err((kind, what)) => findings.add(kind, path, place, what),
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

fn sample(row: &SampleRow, part: &Part, keep_nulls: bool) -> Result<Sample, Broken> {
    let wrong = |what: String| (Kind::Rows, what);
    let rows = range(part.first_row, part.rows);
    if !row.row.is_some_and(|row| rows.contains(&row.into())) {
        return Err(wrong(format!("row {:?} of the dataset, the part has {rows:?}", row.row)));
    }
    let name = row.status.unwrap_or_default();
    let status = Status::ALL.into_iter().find(|status| status.as_str() == name);
    let status = status.ok_or_else(|| wrong(format!("unknown status `{name}`")))?;
    if (status == Status::Ok) == row.reason.is_some() {
        return Err(wrong(format!("status {name} with reason {:?}", row.reason)));
    }
    let response_tokens = row.response_tokens.ok_or_else(|| wrong("response_tokens is null".to_owned()))?;
    // JSON has no number for the perplexity of an impossible token.
    let is_known = row.perplexity.is_some() || keep_nulls && row.mean_logprob.is_none();
    if let Some(mean) = row.mean_logprob.filter(|_| is_known)
        && !row.perplexity.is_some_and(|x| is_close(x, (-mean).exp()))
    {
        return Err((Kind::Mean, format!("perplexity is {:?} where mean_logprob is {mean}", row.perplexity)));
    }
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

/// Equal but for rounding; NaN is NaN.
pub(super) fn is_close(a: f64, b: f64) -> bool {
    a == b || a.is_nan() && b.is_nan() || (a - b).abs() <= 1e-6 * b.abs().max(1.0)
}
