//! Checks scored samples before they become columns.
//!
//! Owns the errors: a table that claims to be sorted and complete must be, whatever an engine returns. A column of the
//! wrong length would otherwise turn into nulls, and a NaN into a mean. Nothing is repaired.

use arrow::error::ArrowError;

use super::scored::ScoredSample;
use crate::error::{Error, Result};
use crate::sample::Sample;
use crate::scores::TokenScores;

/// # Errors
/// Samples out of order, scores that do not fit their sample, and NaN; the sample is named.
pub(super) fn check(samples: &[ScoredSample]) -> Result<()> {
    if let Some(pair) = samples.windows(2).find(|pair| pair[0].sample.sample_id >= pair[1].sample.sample_id) {
        return Err(reject(&pair[1].sample, &format!("comes after sample {}", pair[0].sample.sample_id)));
    }
    samples.iter().try_for_each(|scored| match &scored.scores {
        Some(scores) if scored.sample.status.is_scored() => fits(&scored.sample, scores),
        None if !scored.sample.status.is_scored() => Ok(()),
        Some(_) => Err(reject(&scored.sample, &format!("is {}, but has scores", scored.sample.status.as_str()))),
        None => Err(reject(&scored.sample, &format!("is {}, but has no scores", scored.sample.status.as_str()))),
    })
}

/// Every column has one entry per scored token, or none if the engine does not provide it; no number is NaN.
fn fits(sample: &Sample, scores: &TokenScores) -> Result<()> {
    let (tokens, k) = (sample.scored_tokens().count(), scores.k);
    let listed = scores.top_ends.last().map_or(tokens * k, |&end| end as usize);
    let lengths = [
        ("logprob", scores.logprob.len(), tokens, false),
        ("logit", scores.logit.len(), tokens, true),
        ("rank", scores.rank.len(), tokens, true),
        ("ties", scores.ties.len(), tokens, true),
        ("entropy", scores.entropy.len(), tokens, true),
        ("rest_logprob", scores.rest_logprob.len(), tokens, true),
        ("min_logprob", scores.min_logprob.len(), tokens, true),
        ("top_ends", scores.top_ends.len(), tokens, true),
        ("top_ids", scores.top_ids.len(), listed, true),
        ("top_logprobs", scores.top_logprobs.len(), scores.top_ids.len(), false),
    ];
    for (name, has, needs, may_lack) in lengths {
        if has != needs && !(has == 0 && may_lack) {
            return Err(reject(sample, &format!("{name} has {has} entries, not {needs}")));
        }
    }
    let numbers = [
        ("logprob", &scores.logprob, 1),
        ("logit", &scores.logit, 1),
        ("entropy", &scores.entropy, 1),
        ("rest_logprob", &scores.rest_logprob, 1),
        ("min_logprob", &scores.min_logprob, 1),
        ("top_logprobs", &scores.top_logprobs, k.max(1)),
    ];
    for (name, values, width) in numbers {
        if let Some(at) = values.iter().position(|x| x.is_nan()) {
            let position = sample.tokens.len() - tokens + at / width;
            return Err(reject(sample, &format!("{name} is NaN at position {position}")));
        }
    }
    Ok(())
}

fn reject(sample: &Sample, what: &str) -> Error {
    let id = sample.sample_id;
    Error::Arrow(ArrowError::InvalidArgumentError(format!("sample {id} {what} (this is a bug in tokshift)")))
}
