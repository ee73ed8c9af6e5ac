//! Numbers as JSON has them.
//!
//! Owns how a number that is infinite or NaN is read again: it was written as `null`. Not here: writing, which
//! `serde_json` does by itself.

use serde::{Deserialize, Deserializer};

/// A number, or NaN for `null`.
pub fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NAN))
}
