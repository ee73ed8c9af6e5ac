//! How a kept field goes with the shift of responses.
//!
//! Owns the shape. Not here: computing it (`figures`).

use super::kl_estimate::KlEstimate;
use crate::shift::numbers::relation::Relation;

/// A numeric kept field and measures of each response.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct FieldRelation {
    /// The field's name.
    pub field: String,
    /// Whether slopes and correlations of k1 are those of KL: not if what was sampled decides the field.
    pub kl_estimate: KlEstimate,
    /// Relations by measure.
    pub measures: Vec<MeasureRelation>,
}

/// Of one measure.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct MeasureRelation {
    /// Its name.
    pub name: String,
    /// Of the mean over a response's tokens; of its sum: nats/response.
    pub unit: String,
    /// The field and each response's mean over its tokens: slopes in `unit` per 1 of the field.
    pub per_token: Option<Relation>,
    /// The field and each response's sum.
    pub per_response: Option<Relation>,
}
