//! Progress of a run: counters that its stages raise and a display reads.
//!
//! Owns the numbers. Not here: drawing them (`cli`).

use std::sync::atomic::{AtomicU64, Ordering};

use crate::sample::Status;

/// Counters of one run; a reader sees each at least as old as the last part written.
#[derive(Debug, Default)]
pub struct Progress {
    /// Samples of the parts that will be scored, and those that the engine has answered or that cannot be scored.
    samples_total: AtomicU64,
    samples_done: AtomicU64,
    /// Bytes of the dataset that will be scored, and those of rows that were tokenised.
    bytes_total: AtomicU64,
    bytes_read: AtomicU64,
    /// Tokens of the samples of those rows that are to be scored.
    tokens_read: AtomicU64,
    /// Tokens of the samples scored so far, prompts included: raised sample by sample.
    tokens: AtomicU64,
    /// Response tokens scored so far.
    response_tokens: AtomicU64,
    /// Tokens that engines computed: fewer than `tokens` where prefixes are shared.
    computed: AtomicU64,
    /// Bytes of hidden states of the parts that were scored so far.
    hidden_bytes: AtomicU64,
    parts: AtomicU64,
    /// Tokens of the samples of written parts.
    tokens_written: AtomicU64,
    samples: [AtomicU64; Status::ALL.len()],
}

/// A copy of the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Samples of the run.
    pub samples_total: u64,
    /// Samples that were written.
    pub samples_done: u64,
    /// Bytes of the dataset that will be scored, and those of rows that were tokenised.
    pub bytes_total: u64,
    /// Bytes of the rows that were tokenised.
    pub bytes_read: u64,
    /// Tokens of the samples of those rows that are to be scored.
    pub tokens_read: u64,
    /// Tokens of these samples, prompts included.
    pub tokens: u64,
    /// Response tokens of these samples.
    pub response_tokens: u64,
    /// Tokens that the engine computed; a shared prefix counts once.
    pub computed: u64,
    /// Bytes of hidden states, kept or temporary.
    pub hidden_bytes: u64,
    /// Parts that were written.
    pub parts: u64,
    /// Tokens of the samples in these parts.
    pub tokens_written: u64,
    /// Samples written, indexed by `Status as usize`.
    pub samples: [u64; Status::ALL.len()],
}

impl Progress {
    /// The counts at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let get = |n: &AtomicU64| n.load(Ordering::Relaxed);
        Snapshot {
            samples_total: get(&self.samples_total),
            samples_done: get(&self.samples_done),
            bytes_total: get(&self.bytes_total),
            bytes_read: get(&self.bytes_read),
            tokens_read: get(&self.tokens_read),
            tokens: get(&self.tokens),
            response_tokens: get(&self.response_tokens),
            computed: get(&self.computed),
            hidden_bytes: get(&self.hidden_bytes),
            parts: get(&self.parts),
            tokens_written: get(&self.tokens_written),
            samples: std::array::from_fn(|i| get(&self.samples[i])),
        }
    }

    pub(super) fn expect(&self, samples: u32, bytes: u64) {
        self.samples_total.fetch_add(u64::from(samples), Ordering::Relaxed);
        self.bytes_total.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Another process scores what was [expected](Self::expect).
    pub(super) fn leave(&self, samples: u32, bytes: u64) {
        self.samples_total.fetch_sub(u64::from(samples), Ordering::Relaxed);
        self.bytes_total.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Rows of so many bytes were tokenised; their samples that are to be scored have so many tokens.
    pub(super) fn read(&self, bytes: u64, tokens: u64) {
        // In this order, so that a reader never takes few tokens for many bytes.
        self.tokens_read.fetch_add(tokens, Ordering::Relaxed);
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn stored_hidden(&self, bytes: usize) {
        self.hidden_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn passed_over(&self, samples: usize) {
        self.samples_done.fetch_add(samples as u64, Ordering::Relaxed);
    }

    pub(super) fn scored(&self, tokens: usize, response_tokens: usize) {
        self.samples_done.fetch_add(1, Ordering::Relaxed);
        self.tokens.fetch_add(tokens as u64, Ordering::Relaxed);
        self.response_tokens.fetch_add(response_tokens as u64, Ordering::Relaxed);
    }

    pub(super) fn computed(&self, tokens: usize) {
        self.computed.fetch_add(tokens as u64, Ordering::Relaxed);
    }

    pub(super) fn written(&self, tokens: u64, statuses: impl Iterator<Item = Status>) {
        self.tokens_written.fetch_add(tokens, Ordering::Relaxed);
        self.parts.fetch_add(1, Ordering::Relaxed);
        for status in statuses {
            self.samples[status as usize].fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Snapshot {
    /// Tokens of all samples that the run scores: counted once every row is tokenised, else estimated from the bytes of the
    /// rows that are not. `None` before the first.
    pub fn tokens_total(&self) -> Option<u64> {
        if self.bytes_read == 0 || self.tokens_read == 0 {
            return None;
        }
        let left = self.bytes_total.saturating_sub(self.bytes_read) as f64;
        Some(self.tokens_read + (left * self.tokens_read as f64 / self.bytes_read as f64).round() as u64)
    }

    /// Whether [`Snapshot::tokens_total`] is an estimate.
    pub fn is_estimated(&self) -> bool {
        self.bytes_read < self.bytes_total
    }

    /// Bytes of the dataset that the scored tokens stand for: what several runs are added up by.
    pub fn bytes_done(&self) -> u64 {
        let share = self.tokens_total().map_or(0.0, |total| self.tokens as f64 / total.max(1) as f64);
        (self.bytes_total as f64 * share.min(1.0)).round() as u64
    }

    /// Samples written with `status`.
    pub fn samples_with(&self, status: Status) -> u64 {
        self.samples[status as usize]
    }

    /// Samples written without numbers.
    pub fn unscored(&self) -> u64 {
        Status::ALL.iter().filter(|s| !s.is_scored()).map(|&s| self.samples_with(s)).sum()
    }
}
