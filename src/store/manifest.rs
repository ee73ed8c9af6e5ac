//! The manifest of a cell: everything that decides its numbers.
//!
//! Owns what a later run must agree with. It stands in two files: what all models of a text share is [`text`]'s, published
//! once and before anything is scored; a model's own file holds the rest, and the digest of the text's. Refuses what cannot
//! change a number: paths, threads, batch sizes, times.

mod file;
mod pair;
mod text;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use pair::PairManifest;
pub use text::TextManifest;

use super::TEXT;
use crate::dataset::{Part, Plan};
use crate::error::{Error, Result};
use crate::hidden;
use file::{ARITHMETIC, ELSEWHERE, compare, first_difference};

/// What made a cell's tables.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    pub format_version: u32,
    pub generation_model: String,
    pub task: String,
    pub model: String,
    /// `parquet` or `jsonl`.
    pub out: String,
    /// The same for every model of a text.
    pub dataset: DatasetFacts,
    /// The same for every model of a text.
    pub tokens: TokenFacts,
    pub engine: EngineFacts,
    /// The same for every model of a text.
    pub parts: Vec<Part>,
}

/// Which rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetFacts {
    /// BLAKE3 of the file.
    pub blake3: String,
    pub rows: u32,
    pub samples: u32,
    pub limit: Option<u32>,
    /// Tokens of a window, where the rows are windows of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// What the rows call the fields that are read, where that differs from their usual names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    pub cluster: Option<String>,
    pub keep_fields: Vec<String>,
}

impl DatasetFacts {
    /// Of a dataset that was scanned.
    pub fn of(plan: &Plan) -> Self {
        let Plan { hash, rows, samples, options, .. } = plan;
        Self {
            blake3: hash.clone(),
            rows: *rows,
            samples: *samples,
            limit: options.limit,
            window: plan.window(),
            fields: options.rows.fields.to_words(),
            cluster: options.rows.cluster.clone(),
            keep_fields: options.rows.keep.clone(),
        }
    }

    /// The first field in which an earlier run's rows differ from these, with both values.
    pub fn difference(&self, earlier: &Self) -> Option<String> {
        let (Ok(before), Ok(now)) = (serde_json::to_value(earlier), serde_json::to_value(self)) else { return None };
        let (field, values) = first_difference("dataset".to_owned(), &before, &now, &|_| true)?;
        Some(format!("{field} = {values}"))
    }
}

/// How rows became ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFacts {
    /// BLAKE3 of the tokenizer file, and of what files beside it lay over it, if anything.
    pub tokenizer: String,
    /// BLAKE3 of every id's text; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<String>,
    /// `always` or `never`, where not the tokenizer decided whether a BOS stands before every text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos: Option<String>,
    pub boundary: String,
    /// The id of the appended end token.
    pub end: Option<u32>,
    /// Longest sample in tokens: the shortest context among the models of the run that came first. A model of a shorter one
    /// leaves out what it cannot take.
    pub max_tokens: usize,
    pub too_long: String,
    /// Identity of the chat template, where rows are chats; `own` where each model read its own, of which its facts speak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
    /// `--chat-template-kwargs`, as compact JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template_kwargs: Option<String>,
}

/// Stands for the identity of a chat template where each model has its own.
pub const OWN: &str = "own";

impl TokenFacts {
    /// Whether contexts differ by intent: each model read its own chat template.
    pub fn has_own_templates(&self) -> bool {
        self.chat_template.as_deref() == Some(OWN)
    }
}

/// What scored them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineFacts {
    pub name: String,
    /// File name to BLAKE3 of config and weights.
    pub files: BTreeMap<String, String>,
    /// Type of weights and products: `f32` or `bf16`.
    pub dtype: String,
    /// `cpu` or `cuda`.
    pub device: String,
    /// How its products were summed, where the processor decides that: bf16 models differ by some 0.02 nats a token
    /// between any two ways.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
    pub top_k: usize,
    /// Ids that the model can score; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocab: Option<usize>,
    /// As `tokens.vocabulary`, of the model's own tokenizer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<String>,
    /// Ids whose text is another in that tokenizer than in the one that made the ids.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub other_texts: Vec<u32>,
    /// Identity of the chat template that it read, where models read their own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chat_template: Option<String>,
    /// As `tokens.tokenizer`, of the tokenizer that read what the model's own template wrote before responses.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokenizer: Option<String>,
    pub rank_rule: String,
    /// The hidden rows that its parts keep; absent if they keep none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_hidden: Option<hidden::Shape>,
}

/// A model's own file. Serialised with its fields in this order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct OfModel {
    format_version: u32,
    generation_model: String,
    task: String,
    model: String,
    out: String,
    /// Digest of the text's manifest.
    text: String,
    engine: EngineFacts,
}

impl Manifest {
    /// Reads the manifest at `path`, and that of its text, which lies in the folder above.
    ///
    /// # Errors
    /// A file that cannot be read, is not a manifest, or is of another format version; a text that is not there, or is not
    /// the one that the model scored.
    pub fn read(path: &Path) -> Result<Self> {
        let of_model: OfModel = file::read(path)?;
        let place = text_of(path);
        let text = TextManifest::read(&place).map_err(|error| match error {
            Error::Io { source, .. } if source.kind() == ErrorKind::NotFound => {
                let what = format!("`{}` is missing, so which rows were scored is unknown", place.display());
                Error::file(path, format!("{what}: delete this and its parts, and score again"))
            }
            other => other,
        })?;
        if text.digest()? != of_model.text {
            let what = format!("was written beside another `{}` than the one that is here", place.display());
            return Err(Error::file(path, format!("{what}: files of two runs are mixed, or one was edited")));
        }
        let OfModel { format_version, generation_model, task, model, out, engine, .. } = of_model;
        let TextManifest { dataset, tokens, parts, .. } = text;
        Ok(Self { format_version, generation_model, task, model, out, dataset, tokens, engine, parts })
    }

    /// What all models of the text share.
    pub fn text(&self) -> TextManifest {
        let Self { format_version, generation_model, task, dataset, tokens, parts, .. } = self.clone();
        TextManifest { format_version, generation_model, task, dataset, tokens, parts }
    }

    /// The same model over another text.
    #[must_use]
    pub fn over(self, text: TextManifest) -> Self {
        let TextManifest { dataset, tokens, parts, .. } = text;
        Self { dataset, tokens, parts, ..self }
    }

    fn of_model(&self) -> Result<OfModel> {
        let text = self.text().digest()?;
        let Self { format_version, generation_model, task, model, out, engine, .. } = self.clone();
        Ok(OfModel { format_version, generation_model, task, model, out, text, engine })
    }

    /// BLAKE3 of what it says, that of its text included, whichever version of tokshift wrote it.
    pub fn digest(&self) -> Result<String> {
        file::digest(&self.of_model()?)
    }

    /// The content of the model's own file: the same manifest gives the same bytes.
    pub fn to_json(&self) -> Result<String> {
        file::to_json(&self.of_model()?)
    }

    /// Compares with what an earlier run of the same cell left at `path`.
    ///
    /// # Errors
    /// [`Error::Mismatch`] that names the first field in which they differ.
    pub fn must_equal(&self, earlier: &Self, path: &Path) -> Result<()> {
        self.must_agree(earlier, path, &|_| true)
    }

    /// As [`Manifest::must_equal`], of a cell that is done: another processor has nothing to add to it.
    pub fn must_be_of(&self, earlier: &Self, path: &Path) -> Result<()> {
        self.must_agree(earlier, path, &|field| field != ARITHMETIC)
    }

    fn must_agree(&self, earlier: &Self, path: &Path, matters: &dyn Fn(&str) -> bool) -> Result<()> {
        self.text().must_equal(&earlier.text(), &text_of(path))?;
        compare(path, &earlier.of_model()?, &self.of_model()?, matters, ELSEWHERE)
    }
}

/// Where the manifest of the text is, of a model's at `path`.
fn text_of(path: &Path) -> PathBuf {
    path.ancestors().nth(2).unwrap_or(Path::new("")).join(TEXT)
}
