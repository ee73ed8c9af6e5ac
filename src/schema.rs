//! The tables: column names, types, folders and the format version.
//!
//! Owns every name that a reader of the output has to know; `table` fills the columns, `store` makes the
//! paths, `shift` reads both. Refuses data.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// Raised when a reader of older files would misread newer ones. Part of the manifest.
pub const FORMAT_VERSION: u32 = 1;

/// Folders under the output directory.
pub mod folder {
    pub const TOKENS: &str = "tokens";
    pub const SAMPLES: &str = "samples";
    pub const RUNS: &str = "runs";
    /// The study's files, written on demand from the tables.
    pub const TOKEN_LOSSES: &str = "token_losses";
    /// Nothing in here is a result.
    pub const TEMPORARY: &str = ".tmp";
}

/// Hive keys of the partition folders, outermost first.
pub mod key {
    pub const GENERATION_MODEL: &str = "generation_model";
    pub const TASK: &str = "task";
    pub const MODEL: &str = "model";
}

/// Columns of the tokens table: one row a response token, in (`sample_id`, `position`) order.
pub mod token {
    pub const SAMPLE_ID: &str = "sample_id";
    pub const POSITION: &str = "position";
    pub const TOKEN_ID: &str = "token_id";
    pub const TOKEN: &str = "token";
    pub const START: &str = "start";
    pub const END: &str = "end";
    pub const STRADDLES: &str = "straddles";
    pub const IS_END: &str = "is_end";
    pub const LOGIT: &str = "logit";
    pub const LOGPROB: &str = "logprob";
    pub const RANK: &str = "rank";
    pub const TIES: &str = "ties";
    pub const ENTROPY: &str = "entropy";
    pub const TOP_IDS: &str = "top_ids";
    pub const TOP_LOGPROBS: &str = "top_logprobs";
    pub const REST_LOGPROB: &str = "rest_logprob";
    pub const MIN_LOGPROB: &str = "min_logprob";
}

/// Columns of the samples table: one row a sample, in `sample_id` order, unscored ones included.
pub mod sample {
    pub const SAMPLE_ID: &str = "sample_id";
    pub const ROW_ID: &str = "row_id";
    pub const ROW: &str = "row";
    pub const TURN: &str = "turn";
    pub const CLUSTER_ID: &str = "cluster_id";
    pub const CONTEXT_HASH: &str = "context_hash";
    pub const PROMPT: &str = "prompt";
    pub const RESPONSE: &str = "response";
    /// Ids before the first response token, special tokens included.
    pub const CONTEXT_TOKENS: &str = "context_tokens";
    /// Response tokens, the end token included.
    pub const RESPONSE_TOKENS: &str = "response_tokens";
    pub const PROMPT_TOKENS_ALONE: &str = "prompt_tokens_alone";
    pub const MEAN_LOGPROB: &str = "mean_logprob";
    pub const PERPLEXITY: &str = "perplexity";
    pub const STATUS: &str = "status";
    pub const REASON: &str = "reason";
}

/// Name of the items of every list column: Parquet encodings are addressed by it.
pub const LIST_ITEM: &str = "item";

/// Arrow schema of the tokens table.
pub fn tokens() -> SchemaRef {
    let list = |name, item| Field::new_list(name, Field::new(LIST_ITEM, item, false), false);
    Arc::new(Schema::new(vec![
        Field::new(token::SAMPLE_ID, DataType::UInt32, false),
        Field::new(token::POSITION, DataType::UInt32, false),
        Field::new(token::TOKEN_ID, DataType::UInt32, true),
        Field::new(token::TOKEN, DataType::Utf8, true),
        Field::new(token::START, DataType::UInt32, true),
        Field::new(token::END, DataType::UInt32, true),
        Field::new(token::STRADDLES, DataType::Boolean, true),
        Field::new(token::IS_END, DataType::Boolean, true),
        Field::new(token::LOGIT, DataType::Float32, true),
        Field::new(token::LOGPROB, DataType::Float32, true),
        Field::new(token::RANK, DataType::UInt32, true),
        Field::new(token::TIES, DataType::UInt32, true),
        Field::new(token::ENTROPY, DataType::Float32, true),
        list(token::TOP_IDS, DataType::UInt32),
        list(token::TOP_LOGPROBS, DataType::Float32),
        Field::new(token::REST_LOGPROB, DataType::Float32, true),
        Field::new(token::MIN_LOGPROB, DataType::Float32, true),
    ]))
}

/// The type that a whole dataset has for a kept field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeptType {
    Bool,
    Number,
    Text,
}

impl KeptType {
    fn data_type(self) -> DataType {
        match self {
            Self::Bool => DataType::Boolean,
            Self::Number => DataType::Float64,
            Self::Text => DataType::Utf8,
        }
    }
}

/// A field of the dataset's rows that the samples table keeps under its own name.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct KeptField {
    pub name: String,
    pub kind: KeptType,
}

/// Arrow schema of the samples table, the kept fields last.
pub fn samples(kept: &[KeptField]) -> SchemaRef {
    let mut fields = vec![
        Field::new(sample::SAMPLE_ID, DataType::UInt32, false),
        Field::new(sample::ROW_ID, DataType::Utf8, true),
        Field::new(sample::ROW, DataType::UInt32, false),
        Field::new(sample::TURN, DataType::UInt32, false),
        Field::new(sample::CLUSTER_ID, DataType::Utf8, false),
        Field::new(sample::CONTEXT_HASH, DataType::Utf8, true),
        Field::new(sample::PROMPT, DataType::Utf8, true),
        Field::new(sample::RESPONSE, DataType::Utf8, true),
        Field::new(sample::CONTEXT_TOKENS, DataType::UInt32, true),
        Field::new(sample::RESPONSE_TOKENS, DataType::UInt32, false),
        Field::new(sample::PROMPT_TOKENS_ALONE, DataType::UInt32, true),
        Field::new(sample::MEAN_LOGPROB, DataType::Float64, true),
        Field::new(sample::PERPLEXITY, DataType::Float64, true),
        Field::new(sample::STATUS, DataType::Utf8, false),
        Field::new(sample::REASON, DataType::Utf8, true),
    ];
    fields.extend(kept.iter().map(|f| Field::new(&f.name, f.kind.data_type(), true)));
    Arc::new(Schema::new(fields))
}
