//! One token that both models scored, as plain values, from which the fast implementation computes measures.
//!
//! Owns what is known of a token by both models, `None` where a table has null. Not here: formulas and columns.

use super::lists::PLACES;
use crate::schema::Divergence;

/// One model's columns of a token.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seen {
    pub token_id: Option<u32>,
    pub is_end: bool,
    /// ln of its probability, nats.
    pub logprob: Option<f64>,
    /// e^`logprob`.
    pub probability: Option<f64>,
    pub rank: Option<u32>,
    /// Of the distribution at the token's place, nats.
    pub entropy: Option<f64>,
    /// The most likely token.
    pub top_id: Option<u32>,
}

/// The pairs table's columns of a token; nothing if there is none.
#[derive(Clone, Copy, Debug, Default)]
pub struct Divergences([Option<f64>; Divergence::ALL.len()]);

impl Divergences {
    /// Nothing.
    pub const NONE: Self = Self([None; Divergence::ALL.len()]);

    /// What `value` gives of each.
    pub fn new(value: impl Fn(Divergence) -> Option<f64>) -> Self {
        Self(Divergence::ALL.map(value))
    }

    pub fn of(&self, divergence: Divergence) -> Option<f64> {
        self.0[divergence as usize]
    }
}

/// A token on both sides.
#[derive(Clone, Copy, Debug)]
pub struct Token<'a> {
    pub position: u32,
    pub p: Seen,
    pub q: Seen,
    /// The numbers of `lists`, in the order of their places; NaN where a side lacks what they need.
    pub lists: [f64; PLACES],
    pub divergences: &'a Divergences,
    /// First position of the sample that the study counts.
    pub study_from: u32,
}

impl Token<'_> {
    /// a = ln p(t).
    pub fn a(&self) -> Option<f64> {
        self.p.logprob
    }

    /// b = ln q(t).
    pub fn b(&self) -> Option<f64> {
        self.q.logprob
    }

    /// d = b − a.
    pub fn d(&self) -> Option<f64> {
        Some(self.b()? - self.a()?)
    }

    /// q(t) − p(t).
    pub fn delta_p(&self) -> Option<f64> {
        Some(self.q.probability? - self.p.probability?)
    }

    /// Of the two whole distributions at its place.
    pub fn divergence(&self, divergence: Divergence) -> Option<f64> {
        self.divergences.of(divergence)
    }

    /// A number of `lists`.
    pub fn list(&self, place: i64) -> Option<f64> {
        Some(self.lists[place as usize]).filter(|number| !number.is_nan())
    }

    /// Q's rank of the token, where it is P's first choice.
    pub fn followed(&self) -> Option<f64> {
        self.q.rank.filter(|_| self.p.rank == Some(1)).map(f64::from)
    }
}
