//! One row of a dataset: the fields we know, and what is wrong with a bad one.
//!
//! Owns which fields make a row good. Refuses to end a run: a bad row keeps its place and its reason.

use crate::dataset::json::{self, Fields};
use crate::sample::Kept;
use crate::schema::{KeptField, KeptType};

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
    /// `{prompt_token_ids, response_token_ids}`: never retokenised. Texts only if the row has them.
    Ids { prompt: Vec<u32>, response: Vec<u32>, input: Option<String>, output: Option<String> },
}

/// A good row.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The `id` field; anything but a string as compact JSON.
    pub id: Option<String>,
    /// The cluster field's value, as `id`.
    pub cluster: Option<String>,
    pub content: Content,
    /// `finish_reason` says that the response was cut by length: no end token follows it.
    pub cut: bool,
    /// One value a kept field, in `RowOptions::keep`'s order.
    pub kept: Vec<Kept>,
}

impl Row {
    /// Parses a line. `kept` holds the kept fields' types as far as they are known: a value of any type in a field of
    /// text becomes text.
    ///
    /// # Errors
    /// What is wrong with it, for the `reason` of its sample.
    pub fn parse(line: &[u8], options: &RowOptions, kept: &[KeptField]) -> Result<Self, String> {
        let text = std::str::from_utf8(line).map_err(|e| format!("invalid UTF-8 at byte {}", e.valid_up_to()))?;
        let text = json::standard(text);
        let mut wanted = vec!["id", "input", "output", "prompt_token_ids", "response_token_ids", "finish_reason"];
        wanted.extend(options.cluster.iter().chain(&options.keep).map(String::as_str));
        let fields = Fields::parse(&text, &wanted)?;
        let is_text = |index: usize| kept.get(index).is_some_and(|field| field.kind == KeptType::Text);
        let values = options.keep.iter().enumerate().map(|(index, name)| fields.kept(name, is_text(index)));
        Ok(Self {
            content: content(&fields)?,
            id: fields.label("id")?,
            cluster: options.cluster.as_ref().map_or(Ok(None), |name| fields.label(name))?,
            cut: fields.get("finish_reason") == Some("\"length\""),
            kept: values.collect::<Result<_, _>>()?,
        })
    }

    /// Bytes of input and output text (for ids, four a token): what parts are cut by.
    pub fn text_bytes(&self) -> u64 {
        let bytes = match &self.content {
            Content::Text { input, output } => input.len() + output.len(),
            Content::Ids { prompt, response, .. } => 4 * (prompt.len() + response.len()),
        };
        bytes as u64
    }
}

fn content(fields: &Fields) -> Result<Content, String> {
    if fields.get("prompt_token_ids").is_some() || fields.get("response_token_ids").is_some() {
        return Ok(Content::Ids {
            prompt: fields.ids("prompt_token_ids")?,
            response: fields.ids("response_token_ids")?,
            input: fields.optional_text("input")?,
            output: fields.optional_text("output")?,
        });
    }
    Ok(Content::Text { input: fields.text("input")?, output: fields.text("output")? })
}

/// A row as read: its place, and the row or what is wrong with it.
#[derive(Clone, Debug, PartialEq)]
pub struct ReadRow {
    /// Number in the dataset from 0, blank lines not counted.
    pub row: u32,
    /// Line in the file from 1.
    pub line: u64,
    /// Number of its first sample in the dataset.
    pub first_sample: u32,
    /// The reason of a bad row names its line.
    pub content: Result<Row, String>,
}
