//! One line of a dataset: the fields we know, and what is wrong with a bad one.

use crate::sample::Kept;

/// Which fields of a row matter beside its text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowOptions {
    /// `--cluster`: the field whose value says which rows belong together.
    pub cluster: Option<String>,
    /// `--keep-fields`, in the order given.
    pub keep: Vec<String>,
}

/// What a row says was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// `{input, output}`: a prompt and its response as text.
    Text { input: String, output: String },
    /// `{prompt_token_ids, response_token_ids}`: never retokenised; `input`/`output` are kept if the row has them.
    Ids { prompt: Vec<u32>, response: Vec<u32>, input: Option<String>, output: Option<String> },
}

/// A good row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub id: Option<String>,
    pub cluster: Option<String>,
    pub content: Content,
    /// The row says that its response was cut by length (`finish_reason` = "length"): no end token follows.
    pub cut: bool,
    /// One value a kept field, in `RowOptions::keep`'s order.
    pub kept: Vec<Kept>,
}

/// A row as read: its place, and the row or what is wrong with it.
#[derive(Clone, Debug)]
pub struct ReadRow {
    /// Number in the dataset from 0, blank lines not counted.
    pub row: u32,
    /// Line in the file from 1.
    pub line: u64,
    /// Number of its first sample in the dataset.
    pub first_sample: u32,
    pub content: Result<Row, String>,
}
