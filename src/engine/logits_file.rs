//! A logits file of llama.cpp as a model: it has the numbers of its own windows and of no other text.
//!
//! Owns which row of the file has the distribution at a token, and what the tables say of it. A file's log-probability
//! stands in the table as it is. Ids that lie below the range that a row keeps count as less likely than all others; what
//! the others leave of 1 is theirs together, and the smallest probability is not known. Not here: the file's bytes
//! (`llama_logits`).

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use rayon::prelude::*;

use super::source::{EngineSource, Facts};
use super::{Caps, Engine, Job, Scored};
use crate::digest::{self, Fingerprint};
use crate::error::{Error, Result};
use crate::hidden::{Float, Shape};
use crate::llama_logits::{File, Row};
use crate::sample::Sample;
use crate::scores::TokenScores;

/// A row of "hidden states": the number of the file's row. An f32 holds whole numbers up to 2²⁴, some terabytes.
const HIDDEN: Shape = Shape { dtype: Float::F32, width: 1 };

/// A file whose header was read.
pub struct LogitsSource {
    file: File,
    was: Fingerprint,
    top_k: usize,
}

impl LogitsSource {
    /// Reads the header and the ids of the file at `path`; lists will have `top_k` entries.
    ///
    /// # Errors
    /// As [`File::open`].
    pub fn open(path: &Path, top_k: usize) -> Result<Self> {
        let (was, file) = (Fingerprint::of(path)?, File::open(path)?);
        let top_k = top_k.min(file.vocab());
        Ok(Self { file, was, top_k })
    }

    fn check_unchanged(&self) -> Result<()> {
        let path = self.file.path();
        if Fingerprint::of(path)? == self.was {
            return Ok(());
        }
        Err(Error::usage(format!("`{}` changed while the run was going on: run again", path.display())))
    }
}

impl EngineSource for LogitsSource {
    fn max_tokens(&self) -> usize {
        self.file.window()
    }

    fn vocab(&self) -> Option<usize> {
        Some(self.file.vocab())
    }

    fn hidden_shape(&self) -> Result<Shape, String> {
        Ok(HIDDEN)
    }

    fn adapts_head(&self) -> Result<bool> {
        Ok(false)
    }

    fn facts(&self) -> Result<Facts> {
        let path = self.file.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let files = BTreeMap::from([(name, digest::file(path)?)]);
        self.check_unchanged()?;
        let (dtype, device, arithmetic, top_k) = ("u16", "cpu", None, self.top_k);
        Ok(Facts { engine: "llama-logits", files, dtype, device, arithmetic, top_k })
    }

    fn load(&self, keep_hidden: bool) -> Result<Box<dyn Engine>> {
        self.check_unchanged()?;
        Ok(Box::new(LogitsFile::new(self.file.clone(), self.top_k, keep_hidden)))
    }
}

/// A file whose windows are known.
struct LogitsFile {
    file: File,
    caps: Caps,
    top_k: usize,
    /// By the hash of a window's ids, and of all but the first, in whose place a BOS may stand: the first of equal ones.
    windows: HashMap<String, usize>,
    without_first: HashMap<String, usize>,
}

impl LogitsFile {
    fn new(file: File, top_k: usize, keep_hidden: bool) -> Self {
        let caps = Caps {
            max_tokens: file.window(),
            vocab: file.vocab(),
            hidden: keep_hidden.then_some(HIDDEN),
            jobs_in_flight: 1,
        };
        let (mut windows, mut without_first) = (HashMap::new(), HashMap::new());
        for (window, ids) in file.ids().chunks_exact(file.window()).enumerate() {
            windows.entry(digest::ids(ids)).or_insert(window);
            without_first.entry(digest::ids(&ids[1..])).or_insert(window);
        }
        Self { file, caps, top_k, windows, without_first }
    }

    /// The rows that have the distributions at a sample's scored tokens, or why there are none.
    fn rows(&self, sample: &Sample) -> Result<Vec<usize>, String> {
        let path = self.file.path().display();
        let after_bos = || self.without_first.get(&digest::ids(sample.ids.get(1..)?));
        let known = self.windows.get(&digest::ids(&sample.ids)).or_else(after_bos);
        let window = known.ok_or_else(|| {
            format!("its {} ids are no window of `{path}`: score that file's own with --text", sample.ids.len())
        })?;
        let first = self.file.window() / 2 + 1;
        let row = |index: u32| {
            let row = (index as usize).checked_sub(first).map(|row| window * self.file.rows_of_window() + row);
            row.ok_or_else(|| {
                format!("`{path}` has no distribution at token {index} of a window, only from {first} on")
            })
        };
        sample.scored_tokens().map(|token| row(token.index)).collect()
    }

    fn score_sample(&self, sample: &Sample) -> Result<Result<TokenScores, String>> {
        let rows = match self.rows(sample) {
            Ok(rows) => rows,
            Err(why) => return Ok(Err(why)),
        };
        let mut scores = TokenScores { k: self.top_k, ..TokenScores::default() };
        for (token, &row) in sample.scored_tokens().zip(&rows) {
            let id = sample.ids[token.index as usize];
            add(&mut scores, &self.file.row(row)?, id, self.top_k);
        }
        if self.caps.hidden.is_some() {
            // There is no row after the last token.
            let numbers = rows.iter().map(|&row| row as f32).chain([-1.0]);
            scores.hidden = numbers.flat_map(f32::to_ne_bytes).collect();
        }
        Ok(Ok(scores))
    }
}

/// Adds the token `id` at `row`.
fn add(scores: &mut TokenScores, row: &Row, id: u32, top_k: usize) {
    let (rank, ties) = row.rank(id);
    let top = row.top(top_k);
    let logprob = |id: u32| row.logprob(id).min(0.0) as f32;
    let lowest = top.last().map_or(u16::MAX, |&last| row.steps()[last as usize]);
    let is_listed = |other: u32| other == id || row.steps()[other as usize] >= lowest && top.contains(&other);
    let (mut listed, mut rest) = (0.0, 0.0);
    for (other, logprob) in row.known() {
        *(if is_listed(other) { &mut listed } else { &mut rest }) += logprob.exp();
    }
    // What is left out belongs to the rest.
    let rest = if row.is_cut() { rest.max(1.0 - listed) } else { rest };
    scores.logprob.push(logprob(id));
    scores.rank.push(rank);
    scores.ties.push(ties);
    scores.entropy.push(row.entropy() as f32);
    scores.rest_logprob.push(rest.ln().min(0.0) as f32);
    scores.top_logprobs.extend(top.iter().map(|&id| logprob(id)));
    scores.top_ids.extend(top);
}

impl Engine for LogitsFile {
    fn caps(&self) -> &Caps {
        &self.caps
    }

    fn score(&self, job: &Job, sink: &mut dyn FnMut(Scored) -> Result<()>) -> Result<usize> {
        let threads = rayon::current_num_threads();
        for (block, samples) in job.samples.chunks(threads).enumerate() {
            job.stop.check()?;
            let scored: Vec<_> = samples.par_iter().map(|of| self.score_sample(&of.sample)).collect::<Result<_>>()?;
            for (place, scores) in scored.into_iter().enumerate() {
                sink(Scored { index: block * threads + place, scores })?;
            }
        }
        Ok(job.samples.iter().map(|of| of.sample.ids.len()).sum())
    }
}
