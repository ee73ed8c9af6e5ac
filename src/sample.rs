//! A sample: one text as token ids, and which of them are the response.
//!
//! Owns the type that travels from `tokenize` to `table`. Not here: where it came from (`dataset`), and a model's
//! scores of it (`scores`).

use crate::digest;

/// Separates stretches of ids in a hash; no vocabulary has so many ids.
const BETWEEN: u32 = u32::MAX;

/// What became of a sample. A sample that cannot be scored keeps its row in the samples table, with the
/// reason; it never becomes a zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// Scored in full.
    Ok,
    /// The response has no text or no token.
    Empty,
    /// Longer than the model's context, and skipped.
    TooLong,
    /// Longer than the model's context; the tokens that fit were scored.
    Truncated,
    /// The row could not be read, or the model failed on it.
    Failed,
}

impl Status {
    /// Every status, in the order in which summaries list them.
    pub const ALL: [Self; 5] = [Self::Ok, Self::Truncated, Self::Empty, Self::TooLong, Self::Failed];

    /// The name in the samples table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Empty => "empty",
            Self::TooLong => "too_long",
            Self::Truncated => "truncated",
            Self::Failed => "failed",
        }
    }

    /// The status of that name.
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == name)
    }

    /// Whether an engine scores the sample and the tokens table contains its rows.
    pub fn is_scored(self) -> bool {
        matches!(self, Self::Ok | Self::Truncated)
    }
}

/// One token of a response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseToken {
    /// Index in [`Sample::ids`]. Scored if at least one token stands before it (`index > 0`).
    pub index: u32,
    /// Byte range in the response text that this token's bytes occupy.
    pub start: u32,
    /// End of that range, exclusive.
    pub end: u32,
    /// The token began before the response did (a merged boundary).
    pub straddles: bool,
    /// The end-of-turn token that `--end` appended: no text of its own.
    pub is_end: bool,
}

/// The value of a kept field (`--keep-fields`), of the one type that the whole dataset has for it.
#[derive(Clone, Debug, PartialEq)]
pub enum Kept {
    /// No value.
    Null,
    /// true or false.
    Bool(bool),
    /// An f64.
    Number(f64),
    /// A string.
    Text(String),
}

/// What is known of a sample whose numbers another program recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recorded {
    /// All ids before the tokens are in [`Sample::ids`]. If not, every token has numbers, whatever stands before it there.
    pub context: bool,
    /// [`Sample::response`] is the tokens' text.
    pub text: bool,
}

/// One text and its response, as every model sees it.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Number of the sample in the dataset, from 0, unscored ones counted.
    pub sample_id: u32,
    /// Number of the dataset's row it came from, from 0, bad ones counted.
    pub row: u32,
    /// The row's own `id` field, if it has one.
    pub row_id: Option<String>,
    /// Number of the sample within its row, from 0: the assistant's turn of a chat, the rollout of a prompt.
    pub turn: u32,
    /// Whether its generation ended by a limit of tokens, so that its last token says nothing about the end; `None` where the
    /// row does not say.
    pub is_cut: Option<bool>,
    /// Samples with equal ids here are not independent (errors are clustered by it).
    pub cluster_id: String,
    /// Text of the prompt.
    pub prompt: String,
    /// Text of the response.
    pub response: String,
    /// All ids, special tokens included, exactly as every model is given them; empty where they are not known.
    pub ids: Vec<u32>,
    /// The response's tokens in order; their positions in the tokens table are their places here. Recorded ones may have
    /// other tokens between them, such as a tool's answer.
    pub tokens: Vec<ResponseToken>,
    /// Tokens of the prompt's text alone, without special tokens (the study's rule needs it).
    pub prompt_tokens_alone: u32,
    /// What is known of a sample whose numbers another program recorded; `None` for one that tokshift tokenised.
    pub recorded: Option<Recorded>,
    /// Values of the kept fields, in the order of the samples table.
    pub kept: Vec<Kept>,
    /// Whether the sample is scored.
    pub status: Status,
    /// Why the status is not `Ok`.
    pub reason: Option<String>,
}

impl Sample {
    /// Ids before the first response token (all of them if there is none).
    pub fn context(&self) -> &[u32] {
        let end = self.tokens.first().map_or(self.ids.len(), |t| (t.index as usize).min(self.ids.len()));
        &self.ids[..end]
    }

    /// A short stable name of the ids that are given: those before the response, and those between its tokens, where there
    /// are any, which a mark separates.
    pub fn context_hash(&self) -> String {
        let mut given = self.context().to_vec();
        for pair in self.tokens.windows(2).filter(|pair| pair[0].index + 1 < pair[1].index) {
            given.push(BETWEEN);
            // Tokens of equal texts may be cut into stretches in several ways.
            given.push(pair[0].index);
            given.extend(&self.ids[pair[0].index as usize + 1..pair[1].index as usize]);
        }
        digest::ids(&given)
    }

    /// Whether the context is known.
    pub fn has_context(&self) -> bool {
        !self.ids.is_empty() && self.recorded.is_none_or(|recorded| recorded.context)
    }

    /// The response tokens that have numbers: those with at least one token before them.
    pub fn scored_tokens(&self) -> impl Iterator<Item = &ResponseToken> {
        let without_context = self.recorded.is_some_and(|recorded| !recorded.context);
        self.tokens.iter().filter(move |t| t.index > 0 || without_context)
    }

    /// Sets the status and the reason and changes nothing else. `Truncated`, which is scored, is set here too.
    pub fn fail(&mut self, status: Status, reason: impl Into<String>) {
        self.status = status;
        self.reason = Some(reason.into());
    }
}
