//! Walks through the tokens table of a part together with its samples.
//!
//! Owns order, counts, byte ranges and means. Memory: one batch of rows.

use std::path::Path;

use super::numbers::{self, Rules};
use super::report::{Findings, Kind, Place};
use super::rows::TokenRow;
use super::samples::{Sample, is_close};
use super::source::{Broken, Source};
use crate::sample::Status;
use crate::table::TokenColumns;
use crate::tokenize::token_text;

/// The ids that a model was given, short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub sample_id: u32,
    pub context_hash: Option<String>,
    /// Hash of the response's ids; `None` where they are not known.
    pub response: Option<blake3::Hash>,
}

/// Where a walk stands.
pub(super) struct Walk<'a> {
    path: &'a Path,
    samples: &'a [Sample],
    rules: Rules,
    findings: &'a mut Findings,
    /// Index of the sample whose tokens are being read.
    current: usize,
    at: InSample,
    /// Rows so far.
    pub rows: u64,
    filled: Filled,
    /// Of every scored sample so far.
    pub ids: Vec<Ids>,
}

/// What has been read of one sample.
#[derive(Default)]
struct InSample {
    tokens: u32,
    scored: u32,
    /// Byte of the response up to which ranges reach.
    covered: u32,
    sum: f64,
    hasher: blake3::Hasher,
    lacks_ids: bool,
}

/// In how many scored rows a column has a value: all or none.
#[derive(Default)]
struct Filled {
    scored: u64,
    columns: [u64; COLUMNS.len()],
    list: Option<usize>,
}

const COLUMNS: [&str; 6] = ["logit", "rank", "ties", "entropy", "rest_logprob", "min_logprob"];

impl<'a> Walk<'a> {
    pub fn new(path: &'a Path, samples: &'a [Sample], rules: Rules, findings: &'a mut Findings) -> Self {
        let (at, filled) = (InSample::default(), Filled::default());
        Self { path, samples, rules, findings, current: 0, at, rows: 0, filled, ids: Vec::new() }
    }

    /// Reads the whole file.
    ///
    /// # Errors
    /// A file that cannot be decoded.
    pub fn run(&mut self, source: Source<TokenColumns>) -> Result<(), Broken> {
        for batch in source.batches {
            let columns = batch?;
            for index in 0..columns.rows {
                self.row(&TokenRow::of(&columns, index));
                self.rows += 1;
            }
        }
        while self.current < self.samples.len() {
            self.finish_sample();
        }
        self.finish_columns();
        Ok(())
    }

    fn report(&mut self, kind: Kind, sample_id: Option<u32>, what: impl Into<String>) {
        self.findings.add(kind, self.path, Place { row: Some(self.rows), sample_id }, what);
    }

    fn row(&mut self, row: &TokenRow) {
        let known = |id: u32| self.samples.binary_search_by_key(&id, |sample| sample.id).ok();
        let Some(index) = row.sample_id.and_then(known).filter(|&index| index >= self.current) else {
            return self.report(Kind::Rows, row.sample_id, "a token of no sample of this part, or out of order");
        };
        while self.current < index {
            self.finish_sample();
        }
        let expected = self.at.tokens;
        if row.position != Some(expected) {
            self.report(Kind::Rows, row.sample_id, format!("position is {:?}, expected {expected}", row.position));
        }
        self.at.tokens += 1;
        self.text(row);
        self.numbers(row);
        self.at.lacks_ids |= row.token_id.is_none();
        self.at.hasher.update(&row.token_id.unwrap_or_default().to_le_bytes());
    }

    /// Ranges cover the response without overlap, and texts are those of the ranges.
    fn text(&mut self, row: &TokenRow) {
        let samples = self.samples;
        let (Some((start, end)), Some(response)) = (row.span, &samples[self.current].response) else { return };
        let length = response.len();
        if start != self.at.covered || end < start || end as usize > length {
            let from = self.at.covered;
            let what = format!("bytes {start} to {end} of a response of {length} bytes, expected from {from}");
            self.report(Kind::Text, row.sample_id, what);
        } else if row.token.is_some_and(|token| token != token_text(response, start, end)) {
            self.report(Kind::Text, row.sample_id, format!("token is not the text of bytes {start} to {end}"));
        }
        self.at.covered = end;
    }

    fn numbers(&mut self, row: &TokenRow) {
        let sample = &self.samples[self.current];
        // Nothing stands before it, so nothing predicts it; of a context that is not known, nothing may.
        let is_unknown = sample.context_tokens.is_none() && row.logprob.is_none();
        if row.position == Some(0) && (sample.context_tokens == Some(0) || is_unknown) {
            if row.logprob.is_some() || !row.top_ids.is_empty() {
                self.report(Kind::Value, row.sample_id, "scores for a token without any context");
            }
            return;
        }
        self.at.scored += 1;
        self.at.sum += f64::from(row.logprob.unwrap_or(f32::NEG_INFINITY));
        let mut described = Vec::new();
        numbers::check(row, self.rules, &mut |kind, what| described.push((kind, what)));
        if self.filled.add(row) && !self.rules.is_recorded {
            described
                .push((Kind::List, format!("a list of {} entries among longer or shorter ones", row.top_ids.len())));
        }
        for (kind, what) in described {
            self.report(kind, row.sample_id, what);
        }
    }

    /// Compares what was read of the current sample with what the samples table says of it.
    fn finish_sample(&mut self) {
        let samples = self.samples;
        let (sample, at) = (&samples[self.current], std::mem::take(&mut self.at));
        self.current += 1;
        let place = Place { row: None, sample_id: Some(sample.id) };
        let mut report = |kind, what: String| self.findings.add(kind, self.path, place, what);
        let expected = if sample.status.is_scored() { sample.response_tokens } else { 0 };
        if at.tokens != expected {
            let status = sample.status.as_str();
            return report(Kind::Rows, format!("{} tokens, its {status} sample has {expected}", at.tokens));
        }
        if !sample.status.is_scored() {
            return;
        }
        let length = sample.response.as_ref().map_or(0, String::len);
        if sample.status == Status::Ok && (at.covered as usize) < length {
            report(Kind::Text, format!("ranges end at byte {} of {length}", at.covered));
        }
        let response = (!at.lacks_ids).then(|| at.hasher.finalize());
        self.ids.push(Ids { sample_id: sample.id, context_hash: sample.context_hash.clone(), response });
        let mean = (at.scored > 0).then(|| at.sum / f64::from(at.scored));
        let is_same = match (sample.mean_logprob, mean) {
            (Some(described), Some(mean)) => is_close(described, mean),
            (described, mean) => described == mean,
        };
        if !is_same {
            report(Kind::Mean, format!("mean_logprob is {:?}, its tokens' is {mean:?}", sample.mean_logprob));
        }
    }

    /// A column that the engine fills is full.
    fn finish_columns(&mut self) {
        if self.rules.is_recorded {
            return;
        }
        let scored = self.filled.scored;
        for (name, filled) in COLUMNS.into_iter().zip(self.filled.columns) {
            if filled != 0 && filled != scored {
                let what = format!("{name} is null in {} of {scored} rows", scored - filled);
                self.findings.of_file(Kind::Value, self.path, what);
            }
        }
    }
}

impl Filled {
    /// Counts a scored row; whether its list is not as long as those before.
    fn add(&mut self, row: &TokenRow) -> bool {
        self.scored += 1;
        let filled = [
            row.logit.is_some(),
            row.rank.is_some(),
            row.ties.is_some(),
            row.entropy.is_some(),
            row.rest_logprob.is_some(),
            row.min_logprob.is_some(),
        ];
        for (count, is_filled) in self.columns.iter_mut().zip(filled) {
            *count += u64::from(is_filled);
        }
        *self.list.get_or_insert(row.top_ids.len()) != row.top_ids.len()
    }
}
