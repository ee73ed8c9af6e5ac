//! Rows of tables, as they are checked.
//!
//! Owns which columns the checks look at. Not here: decoding (`table`), and the checks themselves.

use crate::table::{SampleColumns, TokenColumns};

/// A row of the tokens table.
pub(super) struct TokenRow<'a> {
    pub sample_id: Option<u32>,
    pub position: Option<u32>,
    pub token_id: Option<u32>,
    pub token: Option<&'a str>,
    pub span: Option<(u32, u32)>,
    pub logit: Option<f32>,
    pub logprob: Option<f32>,
    pub rank: Option<u32>,
    pub ties: Option<u32>,
    pub entropy: Option<f32>,
    pub top_ids: &'a [u32],
    pub top_logprobs: &'a [f32],
    pub rest_logprob: Option<f32>,
    pub min_logprob: Option<f32>,
}

impl<'a> TokenRow<'a> {
    pub fn of(columns: &'a TokenColumns, row: usize) -> Self {
        Self {
            sample_id: columns.sample_id.get(row),
            position: columns.position.get(row),
            token_id: columns.token_id.get(row),
            token: columns.token.get(row),
            span: columns.start.get(row).zip(columns.end.get(row)),
            logit: columns.logit.get(row),
            logprob: columns.logprob.get(row),
            rank: columns.rank.get(row),
            ties: columns.ties.get(row),
            entropy: columns.entropy.get(row),
            top_ids: columns.top_ids.get(row),
            top_logprobs: columns.top_logprobs.get(row),
            rest_logprob: columns.rest_logprob.get(row),
            min_logprob: columns.min_logprob.get(row),
        }
    }
}

/// A row of the samples table.
pub(super) struct SampleRow<'a> {
    pub sample_id: Option<u32>,
    pub row: Option<u32>,
    pub context_hash: Option<&'a str>,
    pub response: Option<&'a str>,
    pub context_tokens: Option<u32>,
    pub response_tokens: Option<u32>,
    pub mean_logprob: Option<f64>,
    pub perplexity: Option<f64>,
    pub status: Option<&'a str>,
    pub reason: Option<&'a str>,
}

impl<'a> SampleRow<'a> {
    pub fn of(columns: &'a SampleColumns, row: usize) -> Self {
        Self {
            sample_id: columns.sample_id.get(row),
            row: columns.row.get(row),
            context_hash: columns.context_hash.get(row),
            response: columns.response.get(row),
            context_tokens: columns.context_tokens.get(row),
            response_tokens: columns.response_tokens.get(row),
            mean_logprob: columns.mean_logprob.get(row),
            perplexity: columns.perplexity.get(row),
            status: columns.status.get(row),
            reason: columns.reason.get(row),
        }
    }
}
