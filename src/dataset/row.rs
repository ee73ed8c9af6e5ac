//! One row of a dataset: the known fields, and what is wrong with an unreadable row.
//!
//! Owns what a readable row is. An unreadable row does not end the run: it keeps its place and its reason.

use crate::dataset::content::{Content, may_repeat};
use crate::dataset::json::{self, Fields};
use crate::dataset::names::FieldNames;
use crate::dataset::shapes;
use crate::sample::Kept;
use crate::schema::{KeptField, KeptType};

/// Which fields of a row matter, and as what.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowOptions {
    /// `--fields`: the names of the fields that a row's content is read from.
    pub fields: FieldNames,
    /// `--cluster`: the field whose value says which rows belong together.
    pub cluster: Option<String>,
    /// `--keep-fields`, in the order given.
    pub keep: Vec<String>,
}

impl RowOptions {
    /// Every field that a row is read from.
    pub(super) fn wanted(&self) -> Vec<&str> {
        self.fields.all().chain(self.cluster.iter().chain(&self.keep).map(String::as_str)).collect()
    }
}

/// A good row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The `id` field; anything but a string as compact JSON.
    pub id: Option<String>,
    /// The cluster field's value, as `id`.
    pub cluster: Option<String>,
    /// At least one. Several are of one prompt, or of one document: not independent.
    pub contents: Vec<Content>,
    /// One value a kept field, in `RowOptions::keep`'s order.
    pub kept: Vec<Kept>,
}

impl Row {
    /// Parses a row's JSON. `kept` holds the kept fields' types as far as they are known: a value of any type in a
    /// field of text becomes text.
    ///
    /// # Errors
    /// What is wrong with it, for the `reason` of its sample.
    pub fn parse(line: &[u8], options: &RowOptions, kept: &[KeptField]) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|e| format!("invalid UTF-8 at byte {}", e.valid_up_to()))?;
        let text = json::standard(text);
        let fields = Fields::parse(&text, &options.wanted())?;
        let is_text = |index: usize| kept.get(index).is_some_and(|field| field.kind == KeptType::Text);
        let values = options.keep.iter().enumerate().map(|(index, name)| fields.kept(name, is_text(index)));
        let id = options.fields.of("id");
        let row = Self {
            contents: shapes::contents(&fields, &options.fields)?,
            // A name is all that it is for: bytes that are no text, as of a UUID, make no unreadable row.
            id: fields.value(id).map_or(Ok(None), |_| fields.label(id))?,
            cluster: options.cluster.as_ref().map_or(Ok(None), |name| fields.label(name))?,
            kept: values.collect::<Result<_, _>>()?,
        };
        // Each of its samples has the row's id, cluster and kept fields.
        let texts = [&row.id, &row.cluster].into_iter().flatten();
        let kept = row.kept.iter().map(|value| if let Kept::Text(text) = value { text.len() } else { 0 });
        may_repeat(texts.map(String::len).chain(kept).sum(), row.samples() as usize)?;
        Ok(row)
    }

    pub fn samples(&self) -> u32 {
        self.contents.iter().map(Content::samples).fold(0, u32::saturating_add)
    }

    pub fn has_chats(&self) -> bool {
        self.contents.iter().any(|content| matches!(content, Content::Chat { .. }))
    }

    /// Bytes of text, summed over its samples: what parts are cut by.
    pub fn text_bytes(&self) -> u64 {
        self.contents.iter().map(|content| content.text_bytes() as u64).sum()
    }
}

/// A row as read: its place, and the row or what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadRow {
    /// Number in the dataset from 0, blank lines not counted.
    pub row: u32,
    /// Line in the file from 1; of a JSON array the element, of Parquet the row.
    pub line: u64,
    /// Number of its first sample in the dataset.
    pub first_sample: u32,
    /// The reason of an unreadable row, which is one failed sample, names its line.
    pub content: Result<Row, String>,
}

impl ReadRow {
    /// Samples that it takes the numbers of.
    pub fn samples(&self) -> u32 {
        self.content.as_ref().map_or(1, Row::samples)
    }
}
