//! One part of a response set, with all its models side by side.
//!
//! Owns which tokens are shown (P's), and what each other model says of them. Not here: files (`tables`), and the
//! bytes of a page (`tokens`, `index`).

use std::ops::Range;

use super::sets::ResponseSet;
use super::tables::{self, SampleRow, Scores, TokenRows, UNKNOWN};
use crate::error::{Error, Result};
use crate::shift::place_in_list;

/// The class of a token by the place that P's most likely token has in Q's list (Lin et al. 2023).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Neither list says.
    Unknown = 0,
    /// First.
    Unshifted = 1,
    /// Second or third.
    Marginal = 2,
    /// Below, or not in the list.
    Shifted = 3,
}

impl Class {
    /// Its name in measures and pages; `None` where it is unknown.
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::Unknown => None,
            Self::Unshifted => Some("unshifted"),
            Self::Marginal => Some("marginal"),
            Self::Shifted => Some("shifted"),
        }
    }
}

/// The samples of a part that P scored, and their tokens one after another.
pub struct Part {
    pub samples: Vec<Sample>,
    /// P's keys, ids, texts and ranges.
    pub rows: TokenRows,
    /// Each model's scores of these rows; P's are [`Part::rows`]'s own.
    pub others: Vec<Scores>,
    /// KL(P‖Q) at each row, exact, of each Q; `None` if there is no pairs table of the part.
    pub kl: Vec<Option<Vec<f64>>>,
}

/// A sample and the range of its tokens.
pub struct Sample {
    pub row: SampleRow,
    pub tokens: Range<usize>,
}

impl Part {
    /// Reads the tables of all models of one part.
    ///
    /// # Errors
    /// [`Error::File`] naming a file that cannot be read, or whose token ids are not P's.
    pub fn read(set: &ResponseSet, part: u32) -> Result<Self> {
        let [p, others @ ..] = set.models.as_slice() else {
            return Err(Error::usage("a response set without a model"));
        };
        let missing = || Error::usage(format!("part {part} of {} is gone: run the command again", set.title()));
        let rows = tables::tokens(p.tokens.get(&part).ok_or_else(missing)?)?;
        let samples = tables::samples(p.samples.get(&part).ok_or_else(missing)?, &set.kept)?;
        let others = others.iter().map(|model| match model.tokens.get(&part) {
            Some(path) => {
                let found = tables::tokens(path)?;
                scores_of(&rows, &found).map_err(|what| Error::file(path, what))
            }
            None => Ok(unknown(rows.keys.len())),
        });
        let others = others.collect::<Result<Vec<_>>>()?;
        let kl = set.exact.iter().map(|files| {
            let exact = files.get(&part).map(tables::exact).transpose()?;
            Ok(exact.map(|exact| of_rows(&rows.keys, &exact)))
        });
        let kl = kl.collect::<Result<Vec<_>>>()?;
        Ok(Self { samples: with_tokens(samples, &rows.keys), rows, others, kl })
    }

    /// The samples of one part without what any model says of their tokens.
    ///
    /// # Errors
    /// Those of [`Part::read`].
    pub fn read_texts(set: &ResponseSet, part: u32) -> Result<Self> {
        let missing = || Error::usage(format!("part {part} of {} is gone: run the command again", set.title()));
        let p = set.models.first().ok_or_else(missing)?;
        let keys = tables::keys(p.tokens.get(&part).ok_or_else(missing)?)?;
        let samples = tables::samples(p.samples.get(&part).ok_or_else(missing)?, &[])?;
        let samples = with_tokens(samples, &keys);
        Ok(Self { samples, rows: TokenRows { keys, ..TokenRows::default() }, others: Vec::new(), kl: Vec::new() })
    }

    /// A model's scores, by its place among the set's models.
    pub fn scores(&self, model: usize) -> &Scores {
        if model == 0 { &self.rows.scores } else { &self.others[model - 1] }
    }

    /// The class of a token for the Q at a place from 0.
    pub fn class(&self, q: usize, row: usize) -> Class {
        let place = place_in_list(self.rows.scores.list(row).0, self.others[q].list(row).0);
        match place {
            place if place.is_nan() => Class::Unknown,
            1.0 => Class::Unshifted,
            place if place <= 3.0 => Class::Marginal,
            _ => Class::Shifted,
        }
    }

    /// ln q − ln p of a token; NaN if either is unknown.
    pub fn delta(&self, q: usize, row: usize) -> f64 {
        f64::from(self.others[q].logprob[row]) - f64::from(self.rows.scores.logprob[row])
    }

    /// The exact KL(P‖Q) of a token; NaN if it is unknown.
    pub fn exact(&self, q: usize, row: usize) -> f64 {
        self.kl[q].as_ref().map_or(f64::NAN, |kl| kl[row])
    }
}

/// Samples that have tokens, in the order of their ids, each with its range.
fn with_tokens(mut samples: Vec<SampleRow>, keys: &[(u32, u32)]) -> Vec<Sample> {
    samples.sort_by_key(|sample| sample.id);
    let mut at = 0;
    let mut found = Vec::with_capacity(samples.len());
    for row in samples {
        let start = at + keys[at..].partition_point(|key| key.0 < row.id);
        at = start + keys[start..].partition_point(|key| key.0 == row.id);
        if at > start {
            found.push(Sample { row, tokens: start..at });
        }
    }
    found
}

/// A model's scores of P's rows.
fn scores_of(p: &TokenRows, found: &TokenRows) -> Result<Scores, String> {
    let mut scores = Scores::default();
    let mut at = 0;
    for (row, key) in p.keys.iter().enumerate() {
        at += found.keys[at..].partition_point(|other| other < key);
        if found.keys.get(at) != Some(key) {
            scores.push_unknown();
            continue;
        }
        let (id, expected) = (found.ids[at], p.ids[row]);
        if id != expected && id != UNKNOWN && expected != UNKNOWN {
            return Err(format!("sample_id {}, position {}: token {id} is {expected} in P's table", key.0, key.1));
        }
        scores.push(&found.scores, at);
    }
    Ok(scores)
}

fn unknown(rows: usize) -> Scores {
    let mut scores = Scores::default();
    (0..rows).for_each(|_| scores.push_unknown());
    scores
}

/// Exact values of P's rows.
fn of_rows(keys: &[(u32, u32)], exact: &[((u32, u32), f64)]) -> Vec<f64> {
    let mut at = 0;
    let value = |key: &(u32, u32)| {
        at += exact[at..].partition_point(|(other, _)| other < key);
        exact.get(at).filter(|(other, _)| other == key).map_or(f64::NAN, |(_, kl)| *kl)
    };
    keys.iter().map(value).collect()
}
