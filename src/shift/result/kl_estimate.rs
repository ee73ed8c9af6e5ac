//! Whether k1 and k3 estimate KL(P‖Q) on a text: they do only on samples of P itself at temperature 1.
//!
//! Owns the three answers, and which measures they are about. Not here: how a pair's answer is found (`figures`).

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::Result;

/// Whether k1 and k3 estimate KL(P‖Q).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KlEstimate {
    /// The value estimates KL(P‖Q).
    Yes,
    /// The value does not estimate KL(P‖Q).
    No {
        /// Why.
        reason: String,
    },
    /// Nothing shows whether the value estimates KL(P‖Q).
    Unknown {
        /// Why.
        reason: String,
    },
}

/// The reason for *yes*.
const SUPPORTED: &str = "P wrote the text, and neither its entropy, the bounds nor the mean ratio contradicts that";

impl KlEstimate {
    /// `yes`, `no` or `unknown`.
    pub fn answer(&self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No { .. } => "no",
            Self::Unknown { .. } => "unknown",
        }
    }

    /// Why; empty for `yes`.
    pub fn reason(&self) -> &str {
        match self {
            Self::Yes => SUPPORTED,
            Self::No { reason } | Self::Unknown { reason } => reason,
        }
    }

    /// Why it is not known to be one, as a sentence goes on after "the measure is"; `None` if it is one.
    pub fn caveat(&self) -> Option<String> {
        match self {
            Self::Yes => None,
            Self::No { reason } => Some(format!("not a KL estimate: {reason}")),
            Self::Unknown { reason } => Some(format!("not known to be a KL estimate: {reason}")),
        }
    }

    /// What a reader of k1 and k3 has to know.
    pub fn note(&self) -> Option<String> {
        Some(format!("kl_k1 and kl_k3 are {}", self.caveat()?))
    }

    /// The answer for a statistic over several pairs, each with its name: no if any is no, unknown if any is unknown.
    pub fn of_all(parts: &[(&str, &Self)]) -> Self {
        let described = |(name, part): &(&str, &Self)| format!("{name}: {}", part.reason());
        let is_no = |(_, part): &&(&str, &Self)| matches!(part, Self::No { .. });
        let is_unknown = |(_, part): &&(&str, &Self)| matches!(part, Self::Unknown { .. });
        if let Some(no) = parts.iter().find(is_no) {
            return Self::No { reason: described(no) };
        }
        parts.iter().find(is_unknown).map_or(Self::Yes, |unknown| Self::Unknown { reason: described(unknown) })
    }

    /// Of some of the tokens that this is of, which `what` chose.
    #[must_use]
    pub fn of_selected(&self, what: &str) -> Self {
        match self {
            Self::No { .. } => self.clone(),
            Self::Yes | Self::Unknown { .. } => Self::No { reason: format!("{what}: selected text is not P's") },
        }
    }

    /// The answer for some of these tokens if it is not known what chose them.
    #[must_use]
    pub fn of_chosen_somehow(&self, why: &str) -> Self {
        match self {
            Self::Yes => Self::Unknown { reason: why.to_owned() },
            Self::No { .. } | Self::Unknown { .. } => self.clone(),
        }
    }
}

impl Serialize for KlEstimate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Described<'a> {
            answer: &'a str,
            reason: &'a str,
        }
        Described { answer: self.answer(), reason: self.reason() }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for KlEstimate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Described {
            answer: String,
            reason: String,
        }
        let Described { answer, reason } = Described::deserialize(deserializer)?;
        match answer.as_str() {
            "yes" => Ok(Self::Yes),
            "no" => Ok(Self::No { reason }),
            "unknown" => Ok(Self::Unknown { reason }),
            other => Err(D::Error::unknown_variant(other, &["yes", "no", "unknown"])),
        }
    }
}

/// Of a measure; `None` of those that hold on any text.
pub fn of_measure<'a>(measure: &str, estimate: &'a KlEstimate) -> Option<&'a KlEstimate> {
    measure.starts_with(ESTIMATES).then_some(estimate)
}

/// What the names of all measures begin with that estimate KL(P‖Q) from single tokens, and only on such a text.
const ESTIMATES: &str = "kl_k";

/// The one of them that is not biased.
pub const K1: &str = "kl_k1";
