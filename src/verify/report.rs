//! What was found, and what to delete so that it is recreated.
//!
//! Owns the grouping: however many rows are wrong, a kind of problem takes its first few findings and a count. Not
//! here: checks.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// Findings of a kind that are kept whole.
const SHOWN: usize = 3;

/// What is wrong, in the order in which people should look at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A manifest that cannot be read or contradicts itself, its folder or another model's.
    Manifest,
    /// A part whose tokens are there and whose samples are not.
    Missing,
    /// A file that cannot be opened or decoded.
    Unreadable,
    /// Bytes that are not those that were written.
    Checksum,
    /// A file of another part, model, task or run than its place says.
    Moved,
    /// Files of one part that were not written with each other.
    Mixed,
    /// Columns that are not those of the tables.
    Schema,
    /// Samples or tokens that are missing, too many, out of order or of another part.
    Rows,
    /// A number outside its range, or unknown where it must be known.
    Value,
    /// A list of most likely tokens that contradicts itself or its token.
    List,
    /// Probabilities that do not add up to 1.
    Mass,
    /// Byte ranges that are not the response's, or texts that are not those of the ranges.
    Text,
    /// A sample's mean or perplexity that is not that of its tokens.
    Mean,
    /// Models of one text that were given different ids or contexts.
    Ids,
    /// A file that no manifest explains.
    Stray,
    /// A file that a dead process left.
    Leftover,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The file.
    #[serde(serialize_with = "lossy")]
    pub file: PathBuf,
    /// Row of the file, from 0.
    pub row: Option<u64>,
    /// The sample, if it concerns one.
    pub sample_id: Option<u32>,
    /// What was found.
    pub found: String,
}

/// All findings of a kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Kind of problem.
    pub kind: Kind,
    /// Number of findings.
    pub count: u64,
    /// The first findings.
    pub first: Vec<Finding>,
}

/// Where in a file something was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    pub row: Option<u64>,
    pub sample_id: Option<u32>,
}

/// Findings on their way into a report.
#[derive(Clone, Debug, Default)]
pub(super) struct Findings {
    problems: BTreeMap<Kind, Problem>,
}

impl Findings {
    pub fn is_empty(&self) -> bool {
        self.problems.is_empty()
    }

    /// Notes a finding about the whole of `file`.
    pub fn of_file(&mut self, kind: Kind, file: &Path, found: impl Into<String>) {
        self.add(kind, file, Place::default(), found);
    }

    pub fn add(&mut self, kind: Kind, file: &Path, place: Place, found: impl Into<String>) {
        let problem = self.problems.entry(kind).or_insert_with(|| Problem { kind, count: 0, first: Vec::new() });
        problem.count += 1;
        if problem.first.len() < SHOWN {
            let Place { row, sample_id } = place;
            problem.first.push(Finding { file: file.to_owned(), row, sample_id, found: found.into() });
        }
    }

    pub fn extend(&mut self, later: Self) {
        for (kind, mut other) in later.problems {
            let problem = self.problems.entry(kind).or_insert_with(|| Problem { kind, count: 0, first: Vec::new() });
            problem.count += other.count;
            other.first.truncate(SHOWN - problem.first.len());
            problem.first.append(&mut other.first);
        }
    }

    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_values().collect()
    }
}

/// How much was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// Cells.
    pub cells: u64,
    /// Response sets that a run began and of which no model has a part: they decide nothing.
    pub unscored_texts: u64,
    /// Parts that are done, and those that are not: the same `score` goes on with them.
    pub parts: u64,
    /// Parts without a tokens file.
    pub unfinished_parts: u64,
    /// Samples.
    pub samples: u64,
    /// Response tokens.
    pub tokens: u64,
    /// Parts that kept hidden states which are no longer there.
    pub parts_without_hidden: u64,
}

impl Checked {
    pub(super) fn add(&mut self, other: Self) {
        self.cells += other.cells;
        self.unscored_texts += other.unscored_texts;
        self.parts += other.parts;
        self.unfinished_parts += other.unfinished_parts;
        self.samples += other.samples;
        self.tokens += other.tokens;
        self.parts_without_hidden += other.parts_without_hidden;
    }
}

/// What [`super::verify`] found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// What was checked.
    pub checked: Checked,
    /// Problems by kind.
    pub problems: Vec<Problem>,
    /// Files to delete, in this order: the same `score` or `import` then makes the parts among them again.
    #[serde(serialize_with = "all_lossy")]
    pub redo: Vec<PathBuf>,
}

/// A stray may be called anything, and JSON is text: what is no UTF-8 in a name is shown as U+FFFD.
fn lossy<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

fn all_lossy<S: Serializer>(paths: &[PathBuf], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

impl Report {
    /// Whether nothing is wrong.
    pub fn is_well(&self) -> bool {
        self.problems.is_empty()
    }
}
