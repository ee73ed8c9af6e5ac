//! A comparison as a JSON document for scripts.
//!
//! Owns what it contains besides the comparison: the version of its keys, the program, the options. docs/json.md and
//! docs/kl.schema.json describe it. Not here: time, paths and hosts, so that the same comparison gives the same bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::shift::options::{BetweenModels, Options};
use crate::shift::result::comparison::Comparison;

/// Raised when a key is renamed or removed, or means something else. New keys do not raise it.
pub const FORMAT_VERSION: u32 = 1;

/// Everything that `kl --json` prints.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// The program.
    pub tool: Tool,
    /// What was requested.
    pub options: Requested,
    /// What was found.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// The program that compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// `tokshift`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// The options that decide what is compared, and which statistics there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requested {
    /// P; null: of each response set the model that wrote it.
    pub reference: Option<String>,
    /// The model that sampled responses whose author is unknown.
    pub own_text: Option<String>,
    /// All if empty.
    pub tasks: Vec<String>,
    /// All if empty.
    pub generation_models: Vec<String>,
    /// P and Q; all if empty.
    pub pairs: Vec<[String; 2]>,
    /// Two models and what both are compared with.
    pub between: Option<RequestedBetween>,
    /// Every two models.
    pub all_pairs: bool,
    /// Samples in different contexts too.
    pub allow_different_context: bool,
    /// Names of f32 versions, by model.
    pub noise_floor: BTreeMap<String, String>,
    /// Quantiles over tokens.
    pub quantiles: bool,
    /// Means over slices.
    pub slices: bool,
}

/// The shift of `model` from `to` less that of `minus`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestedBetween {
    /// The model whose shift is taken.
    pub model: String,
    /// The one whose shift is subtracted.
    pub minus: String,
    /// What both are compared with.
    pub to: String,
}

impl Document {
    /// A comparison that these options requested.
    pub fn new(comparison: Comparison, options: &Options) -> Self {
        let noise_floor = options.noise_floor.iter().map(|of| (of.model.clone(), of.in_f32.clone()));
        Self {
            format_version: FORMAT_VERSION,
            tool: Tool { name: env!("CARGO_PKG_NAME").to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            options: Requested {
                reference: options.reference.clone(),
                own_text: options.own_text.clone(),
                tasks: options.tasks.clone(),
                generation_models: options.generation_models.clone(),
                pairs: options.pairs.clone(),
                between: options.between.clone().map(|BetweenModels { model, minus, to }| RequestedBetween {
                    model,
                    minus,
                    to,
                }),
                all_pairs: options.all_pairs,
                allow_different_context: options.allow_different_context,
                noise_floor: noise_floor.collect(),
                quantiles: options.quantiles.is_some(),
                slices: options.slices,
            },
            comparison,
        }
    }

    /// The bytes of the document.
    ///
    /// # Errors
    /// [`Error::Usage`] if it cannot be written as JSON, which would be a bug.
    pub fn to_json(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self).map_err(|e| Error::Usage(format!("cannot write JSON: {e}")))?;
        Ok(text + "\n")
    }
}
