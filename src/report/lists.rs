//! What a page keeps of a list of most likely tokens.
//!
//! Owns the cut and the precision. Not here: the bytes of a block (`tokens`).

/// The longest list that is kept, and the least log-probability of an entry after the first: ln 0.005.
pub const MOST_ENTRIES: usize = 10;
const LEAST: f32 = -5.298_317_4;

/// Steps per nat of a list's log-probabilities.
pub const STEPS: f32 = 2048.0;

/// How many entries of a list are kept.
pub fn kept(logprobs: &[f32]) -> usize {
    logprobs.iter().take(MOST_ENTRIES).enumerate().take_while(|(i, logprob)| *i == 0 || **logprob >= LEAST).count()
}
