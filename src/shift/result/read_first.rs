//! The responses and tokens with the largest differences.
//!
//! Owns what is recorded of each. Not here: which they are (`figures`).

use crate::shift::numbers::json::number;

/// The responses and tokens of which the two models think most differently, the most different first.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ReadFirst {
    /// By the size of Σ ln p − ln q.
    pub responses: Vec<FarResponse>,
    /// By the size of ln q − ln p; of each response no more than one.
    pub tokens: Vec<FarToken>,
}

/// A response that P and Q find differently likely.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FarResponse {
    /// Which response.
    #[serde(flatten)]
    pub place: Place,
    /// Its scored tokens.
    pub tokens: u64,
    /// Σ ln p − ln q: nats by which P finds it likelier than Q.
    #[serde(deserialize_with = "number")]
    pub nats: f64,
    /// Up to 60 characters of its beginning, if known.
    pub text: Option<String>,
}

/// A token that P and Q find differently likely.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FarToken {
    /// Which response.
    #[serde(flatten)]
    pub place: Place,
    /// Index in the response.
    pub position: u32,
    /// Its id, if known.
    pub token_id: Option<u32>,
    /// Its text, if known (tokens that end a turn have an empty one), and up to 60 characters of the response before it.
    pub token: Option<String>,
    /// Text before the token, if known.
    pub before: Option<String>,
    /// ln p, ln q.
    pub logprob_p: Option<f64>,
    /// ln q of the token, nats.
    pub logprob_q: Option<f64>,
}

/// Where a sample is found again.
#[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Place {
    /// Number of the sample in its dataset, from 0.
    pub sample_id: u32,
    /// Of the dataset, from 0.
    pub row: u32,
    /// Which of the row's responses (or turns) it is, from 0.
    pub turn: u32,
    /// The row's own `id`, if it has one.
    pub row_id: Option<String>,
}
