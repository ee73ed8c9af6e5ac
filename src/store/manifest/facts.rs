//! What decides a cell's numbers: its rows, how they became ids, and the engine.
//!
//! Owns the fields of manifests. Not here: files (`file`).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::file::{described, difference};
use crate::dataset::Plan;
use crate::hidden;

/// Which rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetFacts {
    /// BLAKE3 of the file.
    pub blake3: String,
    /// Number of rows.
    pub rows: u32,
    /// Number of samples.
    pub samples: u32,
    /// `--limit`.
    pub limit: Option<u32>,
    /// Tokens of a window, where the rows are windows of a text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window: Option<u32>,
    /// What the rows call the fields that are read, where that differs from their usual names.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<String>,
    /// `--cluster`.
    pub cluster: Option<String>,
    /// `--keep-fields`.
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

    /// Whether these are the rows of an earlier run, with more rows after them or more kept fields, or in another file: the
    /// file is the same and the limit is higher, or the rows are known to begin with the earlier ones (`begins_with`).
    pub fn extends(&self, earlier: &Self, begins_with: bool) -> bool {
        let Self { blake3, rows, samples, limit, keep_fields, .. } = earlier.clone();
        let begins_with = self.blake3 == blake3 || begins_with;
        let is_other = self.blake3 != blake3 || self.keep_fields.len() > keep_fields.len();
        let is_more = self.rows > rows || self.rows == rows && is_other;
        let has_fields = self.keep_fields.starts_with(&keep_fields);
        let as_before = Self { blake3, rows, samples, limit, keep_fields, ..self.clone() };
        begins_with && is_more && has_fields && as_before == *earlier
    }

    /// The first field in which an earlier run's rows differ from these, with both values.
    pub fn difference(&self, earlier: &Self) -> Option<String> {
        let (Ok(before), Ok(now)) = (serde_json::to_value(earlier), serde_json::to_value(self)) else { return None };
        let (field, values) = difference("dataset".to_owned(), &before, &now, &|_| true)?;
        Some(format!("{} = {values}", described(&field)))
    }
}

/// Which model is P of the response set: the requested one, else the one that wrote the responses if it was scored, else
/// the first. This decides which pairs are compared and no score, so no digest covers it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceFacts {
    /// `--reference` of the run that came first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested: Option<String>,
    /// The first of `--models` of that run; absent in directories of versions that did not record it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_model: Option<String>,
}

impl ReferenceFacts {
    /// Whether nothing was recorded.
    pub fn is_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// How rows became ids.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenFacts {
    /// BLAKE3 of the tokenizer file, and of the changes by the files next to it, if any.
    pub tokenizer: String,
    /// BLAKE3 of every id's text; absent where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vocabulary: Option<String>,
    /// `always` or `never`, where not the tokenizer decided whether a BOS stands before every text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bos: Option<String>,
    /// `--boundary`.
    pub boundary: String,
    /// The id of the appended end token.
    pub end: Option<u32>,
    /// Longest sample in tokens: the shortest context among the models of the run that came first. A model of a shorter one
    /// leaves out what it cannot take.
    pub max_tokens: usize,
    /// `--too-long`.
    pub too_long: String,
    /// Identity of the chat template, if rows are chats; `own` if each model read its own, which is in the model's
    /// manifest.
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

/// Stands for what the files of an import do not say.
pub const UNKNOWN: &str = "unknown";

/// The engine of numbers that another program recorded.
pub const IMPORT: &str = "import";

/// What scored them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EngineFacts {
    /// Name of the engine.
    pub name: String,
    /// What the numbers were read from, of an [`IMPORT`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// File name to BLAKE3 of config and weights.
    pub files: BTreeMap<String, String>,
    /// Type of weights and products: `f32` or `bf16`.
    pub dtype: String,
    /// `cpu` or `cuda`.
    pub device: String,
    /// The summation order of its products, where the processor decides it: in bf16 models two orders differ by some
    /// 0.02 nats per token.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arithmetic: Option<String>,
    /// `--top-k`.
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
    /// How ranks count ids of equal logits.
    pub rank_rule: String,
    /// The hidden states that its parts keep; absent if they keep none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep_hidden: Option<hidden::Shape>,
}
