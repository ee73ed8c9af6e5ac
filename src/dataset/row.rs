//! One row of a dataset: the known fields, and what is wrong with an unreadable row.
//!
//! Owns what a readable row is. An unreadable row does not end the run: it keeps its place and its reason.

use crate::dataset::content::{Content, may_repeat};
use crate::dataset::dumps;
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
        self.fields
            .all()
            .chain(dumps::fields().map(|name| name as &str))
            .chain(self.cluster.iter().chain(&self.keep).map(String::as_str))
            .collect()
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
    /// One value per kept field, in `RowOptions::keep`'s order.
    pub kept: Vec<RowValue>,
    /// Its fields are those of a dump whose texts were decoded without special tokens.
    pub is_dump: bool,
}

/// The value of a kept field.
#[derive(Clone, Debug, PartialEq)]
pub struct RowValue {
    /// The whole value.
    pub whole: Kept,
    /// The items of a list that has one for each of the row's responses.
    pub each: Option<Vec<Kept>>,
}

impl From<Kept> for RowValue {
    fn from(whole: Kept) -> Self {
        Self { whole, each: None }
    }
}

impl RowValue {
    /// The value of one of the row's responses.
    pub fn of(&self, response: usize) -> &Kept {
        self.each.as_ref().and_then(|each| each.get(response)).unwrap_or(&self.whole)
    }

    fn text_bytes(&self) -> usize {
        let bytes = |value: &Kept| if let Kept::Text(text) = value { text.len() } else { 0 };
        self.each.as_ref().map_or_else(|| bytes(&self.whole), |each| each.iter().map(bytes).max().unwrap_or_default())
    }
}

impl Row {
    /// Parses a row's JSON. `kept` contains the kept fields' types as far as they are known: a value of any type in a
    /// field of text becomes text.
    ///
    /// # Errors
    /// What is wrong with it, for the `reason` of its sample.
    pub fn parse(line: &[u8], options: &RowOptions, kept: &[KeptField]) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|e| format!("invalid UTF-8 at byte {}", e.valid_up_to()))?;
        let text = json::standard(text);
        let fields = Fields::parse(&text, &options.wanted())?;
        let (contents, responses) = shapes::contents(&fields, &options.fields)?;
        let value = |(index, name): (usize, &String)| {
            let field = kept.get(index);
            let as_text = field.is_some_and(|field| field.kind == KeptType::Text);
            let responses = responses.filter(|_| field.is_none_or(|field| field.per_response));
            let each = responses.map_or(Ok(None), |responses| fields.kept_list(name, responses, as_text))?;
            Ok::<_, String>(RowValue { whole: fields.kept(name, as_text)?, each })
        };
        let values = options.keep.iter().enumerate().map(value);
        let id = options.fields.of("id");
        let row = Self {
            contents,
            // A name is all that it is for: bytes that are no text, as of a UUID, make no unreadable row.
            id: fields.value(id).map_or(Ok(None), |_| fields.label(id))?,
            cluster: options.cluster.as_ref().map_or(Ok(None), |name| fields.label(name))?,
            kept: values.collect::<Result<_, _>>()?,
            is_dump: dumps::is_dump(&fields),
        };
        // Each of its samples has the row's id, cluster and kept fields.
        let texts = [&row.id, &row.cluster].into_iter().flatten();
        let kept = row.kept.iter().map(RowValue::text_bytes);
        may_repeat(texts.map(String::len).chain(kept).sum(), row.samples() as usize)?;
        Ok(row)
    }

    /// Number of samples that the row gives.
    pub fn samples(&self) -> u32 {
        self.contents.iter().map(Content::samples).fold(0, u32::saturating_add)
    }

    /// Whether a sample of it is a chat.
    pub fn has_chats(&self) -> bool {
        self.contents.iter().any(|content| matches!(content, Content::Chat { .. }))
    }

    /// Whether it has a prompt and a response as text.
    pub fn has_texts(&self) -> bool {
        self.contents.iter().any(|content| matches!(content, Content::Text { .. }))
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
