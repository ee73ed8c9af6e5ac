//! One model's scores of a sample's tokens.
//!
//! Owns the columns that `reduce` fills, engines return and `table` writes, and how much two models' lists have in
//! common. Not here: computing probabilities (`reduce`).

use std::ops::Range;

/// One entry a scored token (see [`crate::sample::Sample::scored_tokens`]), all natural logarithms (nats).
/// Columns that an engine cannot fill are empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TokenScores {
    /// ln p(t), never above 0.
    pub logprob: Vec<f32>,
    /// The target's logit, after soft cap and scale.
    pub logit: Vec<f32>,
    /// 1 is the most likely token.
    pub rank: Vec<u32>,
    /// Other entries whose logit equals the target's.
    pub ties: Vec<u32>,
    /// −Σ p ln p.
    pub entropy: Vec<f32>,
    /// ln of the probability outside the top-k and the target; −∞ if nothing is left.
    pub rest_logprob: Vec<f32>,
    /// The lowest log-probability of the vocabulary.
    pub min_logprob: Vec<f32>,
    /// The top-k lists, `k` entries per token (or as `top_ends` says), most likely first, equal ones by lower id.
    pub top_ids: Vec<u32>,
    /// Their log-probabilities, in the same layout.
    pub top_logprobs: Vec<f32>,
    /// Number of entries in each token's list: the smaller of the requested k and the vocabulary. The longest, if they differ.
    pub k: usize,
    /// Where each token's list ends in `top_ids`, if lists may differ in length, as recorded ones do. Empty if all have `k`.
    pub top_ends: Vec<u32>,
    /// The final hidden states, if they are requested: the bytes of a row of [`crate::hidden::Shape`] before each
    /// token, and of the one after the last. They are written to a file as they come.
    pub hidden: Vec<u8>,
}

impl TokenScores {
    /// Number of scored tokens.
    pub fn len(&self) -> usize {
        self.logprob.len()
    }

    /// Where the list of token `index` stands in `top_ids` and `top_logprobs`; empty if there are no lists.
    pub fn list(&self, index: usize) -> Range<usize> {
        let end = |index: usize| self.top_ends.get(index).map_or(0, |&end| end as usize);
        let range = match index {
            _ if self.top_ends.is_empty() => index * self.k..(index + 1) * self.k,
            0 => 0..end(0),
            _ => end(index - 1)..end(index),
        };
        if range.end <= self.top_ids.len() { range } else { 0..0 }
    }

    /// Whether there are no tokens.
    pub fn is_empty(&self) -> bool {
        self.logprob.is_empty()
    }

    /// Appends tokens `range` of `other`, which must fill the same columns with lists of the same length.
    pub fn extend(&mut self, other: &Self, range: Range<usize>) {
        fn copy<T: Copy>(to: &mut Vec<T>, from: &[T], range: Range<usize>) {
            if !from.is_empty() {
                to.extend_from_slice(&from[range]);
            }
        }
        self.k = other.k;
        let lists = range.start * other.k..range.end * other.k;
        copy(&mut self.logprob, &other.logprob, range.clone());
        copy(&mut self.logit, &other.logit, range.clone());
        copy(&mut self.rank, &other.rank, range.clone());
        copy(&mut self.ties, &other.ties, range.clone());
        copy(&mut self.entropy, &other.entropy, range.clone());
        copy(&mut self.rest_logprob, &other.rest_logprob, range.clone());
        copy(&mut self.min_logprob, &other.min_logprob, range);
        copy(&mut self.top_ids, &other.top_ids, lists.clone());
        copy(&mut self.top_logprobs, &other.top_logprobs, lists);
    }
}

/// Share of ids that two lists of most likely ids, best first, have in common, both cut to the shorter; `None` where one
/// is empty.
pub fn overlap(p: &[u32], q: &[u32]) -> Option<f64> {
    let k = p.len().min(q.len());
    let common = p[..k].iter().filter(|id| q[..k].contains(id)).count();
    (k > 0).then(|| common as f64 / k as f64)
}
