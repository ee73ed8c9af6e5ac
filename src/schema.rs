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
    /// Tokens tables: one row per response token.
    pub const TOKENS: &str = "tokens";
    /// Samples tables: one row per sample.
    pub const SAMPLES: &str = "samples";
    /// Final hidden states, if they were kept.
    pub const HIDDEN: &str = "hidden";
    /// Pairs tables: exact measures of two models.
    pub const PAIRS: &str = "pairs";
    /// Manifests.
    pub const RUNS: &str = "runs";
    /// The study's token-loss files, written on request from the tables.
    pub const TOKEN_LOSSES: &str = "token_losses";
    /// Texts of token ids, a table for each tokenizer, made of it alone.
    pub const VOCABULARIES: &str = "vocabularies";
    /// Nothing in here is a result.
    pub const TEMPORARY: &str = ".tmp";
}

/// Hive keys of the partition folders, outermost first.
pub mod key {
    /// The model that wrote the responses.
    pub const GENERATION_MODEL: &str = "generation_model";
    /// The task.
    pub const TASK: &str = "task";
    /// The model that scored the responses.
    pub const MODEL: &str = "model";
    /// The first model of a pair.
    pub const P: &str = "p";
    /// The second model of a pair.
    pub const Q: &str = "q";
}

/// Columns of the tokens table: one row a response token, in (`sample_id`, `position`) order.
pub mod token {
    /// Number of the sample in its dataset, from 0.
    pub const SAMPLE_ID: &str = "sample_id";
    /// Number of the token in its response, from 0.
    pub const POSITION: &str = "position";
    /// Token id; null in imports that do not know it.
    pub const TOKEN_ID: &str = "token_id";
    /// The token's part of the response text; a character that it cuts is U+FFFD.
    pub const TOKEN: &str = "token";
    /// First byte of the token in the response text.
    pub const START: &str = "start";
    /// End of the token in the response text, in bytes, exclusive.
    pub const END: &str = "end";
    /// Whether the token spans the prompt–response boundary.
    pub const STRADDLES: &str = "straddles";
    /// Whether this is the end token.
    pub const IS_END: &str = "is_end";
    /// Logit of the token, after soft cap and scale.
    pub const LOGIT: &str = "logit";
    /// ln p of the token, nats.
    pub const LOGPROB: &str = "logprob";
    /// Rank of the token; 1 is the most likely.
    pub const RANK: &str = "rank";
    /// Number of other ids with the same logit.
    pub const TIES: &str = "ties";
    /// Entropy of the distribution, nats.
    pub const ENTROPY: &str = "entropy";
    /// The k most likely ids, most likely first.
    pub const TOP_IDS: &str = "top_ids";
    /// Their log-probabilities, nats.
    pub const TOP_LOGPROBS: &str = "top_logprobs";
    /// ln of the probability outside the list and the token.
    pub const REST_LOGPROB: &str = "rest_logprob";
    /// Lowest log-probability of the vocabulary, nats.
    pub const MIN_LOGPROB: &str = "min_logprob";
}

/// Columns of the samples table: one row a sample, in `sample_id` order, unscored ones included.
pub mod sample {
    /// Number of the sample in its dataset, from 0.
    pub const SAMPLE_ID: &str = "sample_id";
    /// The row's own `id` field, if it has one.
    pub const ROW_ID: &str = "row_id";
    /// Number of the dataset's row, from 0.
    pub const ROW: &str = "row";
    /// Number of the sample within its row, from 0.
    pub const TURN: &str = "turn";
    /// Generation ended by a limit of tokens; null where the row does not say.
    pub const IS_CUT: &str = "is_cut";
    /// Samples with the same value are not independent; standard errors are clustered by it.
    pub const CLUSTER_ID: &str = "cluster_id";
    /// Hash of the ids before the first response token.
    pub const CONTEXT_HASH: &str = "context_hash";
    /// Text of the prompt.
    pub const PROMPT: &str = "prompt";
    /// Text of the response.
    pub const RESPONSE: &str = "response";
    /// Ids before the first response token, special tokens included.
    pub const CONTEXT_TOKENS: &str = "context_tokens";
    /// Response tokens, the end token included.
    pub const RESPONSE_TOKENS: &str = "response_tokens";
    /// Number of tokens of the prompt's text without special tokens.
    pub const PROMPT_TOKENS_ALONE: &str = "prompt_tokens_alone";
    /// Mean ln p over the scored tokens, nats.
    pub const MEAN_LOGPROB: &str = "mean_logprob";
    /// e to the negative of that mean.
    pub const PERPLEXITY: &str = "perplexity";
    /// Name of a [`Status`](crate::sample::Status).
    pub const STATUS: &str = "status";
    /// Why the status is not `ok`.
    pub const REASON: &str = "reason";
}

/// Columns of a pairs table: one row a scored token, in (`sample_id`, `position`) order, and one after each response, whose
/// position is the number of its tokens and whose token is not known.
pub mod pair {
    /// Number of the sample in its dataset, from 0.
    pub const SAMPLE_ID: &str = "sample_id";
    /// Number of the token in its response, from 0.
    pub const POSITION: &str = "position";
    /// Token id; null after the last token.
    pub const TOKEN_ID: &str = "token_id";
    /// The first of the [`Divergence`](super::Divergence)s, which all have a column.
    pub const KL: &str = "kl";
    /// ln p of the token, nats; null after the last.
    pub const LOGPROB_P: &str = "logprob_p";
    /// ln q − ln p of the token, nats; null after the last.
    pub const DELTA_LOGPROB: &str = "delta_logprob";
    /// q − p of the token; null after the last.
    pub const DELTA_P: &str = "delta_p";
    /// H(P), nats.
    pub const ENTROPY_P: &str = "entropy_p";
    /// H(Q) − H(P), nats.
    pub const DELTA_ENTROPY: &str = "delta_entropy";
    /// P's most likely id.
    pub const TOP_P: &str = "top_p";
    /// Q's most likely id.
    pub const TOP_Q: &str = "top_q";
    /// Q's rank of P's most likely id.
    pub const RANK_OF_TOP_P: &str = "rank_of_top_p";
    /// Share of ids that both lists of most likely tokens have; null without lists.
    pub const OVERLAP: &str = "overlap";
    /// ln of P's probability to end here, nats; null if no end token is known.
    pub const STOP_P: &str = "stop_p";
    /// The same of Q.
    pub const STOP_Q: &str = "stop_q";
    /// P's probability of ids that Q does not have, removed before the comparison.
    pub const REMOVED_P: &str = "removed_p";
    /// The same of Q.
    pub const REMOVED_Q: &str = "removed_q";
}

/// Columns of a vocabulary: one row an id of a tokenizer, in their order.
pub mod vocabulary {
    /// Token id.
    pub const TOKEN_ID: &str = "token_id";
    /// Its text; bytes that are no UTF-8 are U+FFFD.
    pub const TOKEN: &str = "token";
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

    /// What it is with P and Q in each other's place.
    #[must_use]
    pub const fn turned(self) -> Self {
        match self {
            Self::Kl => Self::KlReverse,
            Self::KlReverse => Self::Kl,
            Self::Js | Self::Tv => self,
        }
    }

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
    // Against a logits file of llama.cpp some of them are not known.
    let divergences = Divergence::ALL.map(|divergence| f64s(divergence.column(), true));
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

/// Arrow schema of a vocabulary.
pub fn vocabulary() -> SchemaRef {
    let id = Field::new(vocabulary::TOKEN_ID, DataType::UInt32, false);
    Arc::new(Schema::new(vec![id, Field::new(vocabulary::TOKEN, DataType::Utf8, false)]))
}

/// The type that a whole dataset has for a kept field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KeptType {
    /// true or false.
    Bool,
    /// An f64.
    Number,
    /// A string; other JSON values as JSON text.
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
    /// Name of the field and of its column.
    pub name: String,
    /// Type of the column.
    pub kind: KeptType,
    /// Whether the rows have a list with a value for each of their responses; the column then has the values.
    #[serde(default)]
    pub per_response: bool,
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
