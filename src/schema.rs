//! The tables: column names, types, folders and the format version.
//!
//! Owns every name that a reader of the output has to know. `table` fills the columns, `store` makes the paths,
//! `shift` reads both. Not here: data.

use std::sync::Arc;

use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

/// Raised when a reader of older files would misread newer ones. Part of the manifest.
///
/// 2: clusters are of the prompt's own ids, samples have `is_cut`, and files of a part name each other by their hashes.
pub const FORMAT_VERSION: u32 = 2;

/// Folders under the output directory.
pub mod folder {
    pub const TOKENS: &str = "tokens";
    pub const SAMPLES: &str = "samples";
    /// Hidden states, where they were kept.
    pub const HIDDEN: &str = "hidden";
    /// Exact measures of two models.
    pub const PAIRS: &str = "pairs";
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
    /// The two models of a pair.
    pub const P: &str = "p";
    pub const Q: &str = "q";
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
    /// Generation ended by a limit of tokens; null where the row does not say.
    pub const IS_CUT: &str = "is_cut";
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

/// Columns of a pairs table: one row a scored token, in (`sample_id`, `position`) order, and one after each response, whose
/// position is the number of its tokens and whose token is not known.
pub mod pair {
    pub const SAMPLE_ID: &str = "sample_id";
    pub const POSITION: &str = "position";
    pub const TOKEN_ID: &str = "token_id";
    /// The first of the [`Divergence`](super::Divergence)s, which all have a column.
    pub const KL: &str = "kl";
    /// Of the token: ln p, ln q − ln p, q − p; null after the last.
    pub const LOGPROB_P: &str = "logprob_p";
    pub const DELTA_LOGPROB: &str = "delta_logprob";
    pub const DELTA_P: &str = "delta_p";
    /// H(P), H(Q) − H(P).
    pub const ENTROPY_P: &str = "entropy_p";
    pub const DELTA_ENTROPY: &str = "delta_entropy";
    /// The most likely token of each, and Q's rank of P's.
    pub const TOP_P: &str = "top_p";
    pub const TOP_Q: &str = "top_q";
    pub const RANK_OF_TOP_P: &str = "rank_of_top_p";
    /// Share of ids that both lists of most likely tokens have; null without lists.
    pub const OVERLAP: &str = "overlap";
    /// Logarithm of the probability to end here; null if no end token is known.
    pub const STOP_P: &str = "stop_p";
    pub const STOP_Q: &str = "stop_q";
    /// Probability of ids that the other model does not have, taken away before the comparison.
    pub const REMOVED_P: &str = "removed_p";
    pub const REMOVED_Q: &str = "removed_q";
}

/// How far two whole distributions are apart, as a pairs table has it. None is ever negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divergence {
    /// KL(P‖Q), nats.
    Kl,
    /// KL(Q‖P), nats.
    KlReverse,
    /// The Jensen-Shannon divergence, nats.
    Js,
    /// Total variation.
    Tv,
}

impl Divergence {
    /// All of them, in the order of the table's columns and of their own numbers.
    pub const ALL: [Self; 4] = [Self::Kl, Self::KlReverse, Self::Js, Self::Tv];

    /// Its column, and the name of its measure.
    pub const fn column(self) -> &'static str {
        match self {
            Self::Kl => pair::KL,
            Self::KlReverse => "kl_reverse",
            Self::Js => "js",
            Self::Tv => "tv",
        }
    }
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

/// Arrow schema of a pairs table.
pub fn pairs() -> SchemaRef {
    let u32s = |name, nullable| Field::new(name, DataType::UInt32, nullable);
    let f64s = |name, nullable| Field::new(name, DataType::Float64, nullable);
    let keys = [u32s(pair::SAMPLE_ID, false), u32s(pair::POSITION, false), u32s(pair::TOKEN_ID, true)];
    let divergences = Divergence::ALL.map(|divergence| f64s(divergence.column(), false));
    let others = [
        f64s(pair::LOGPROB_P, true),
        f64s(pair::DELTA_LOGPROB, true),
        f64s(pair::DELTA_P, true),
        f64s(pair::ENTROPY_P, false),
        f64s(pair::DELTA_ENTROPY, false),
        u32s(pair::TOP_P, false),
        u32s(pair::TOP_Q, false),
        u32s(pair::RANK_OF_TOP_P, false),
        f64s(pair::OVERLAP, true),
        f64s(pair::STOP_P, true),
        f64s(pair::STOP_Q, true),
        f64s(pair::REMOVED_P, false),
        f64s(pair::REMOVED_Q, false),
    ];
    Arc::new(Schema::new(keys.into_iter().chain(divergences).chain(others).collect::<Vec<_>>()))
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
        Field::new(sample::IS_CUT, DataType::Boolean, true),
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
