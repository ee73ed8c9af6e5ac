//! Whether every text begins with a BOS.
//!
//! Owns the choice between the tokenizer's own setting and the user's. A BOS that the tokenizer does not name is an
//! error.

use serde::Deserialize;

use super::TextTokenizer;

/// Whether a BOS stands before every text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bos {
    /// As the tokenizer's own post-processor says, and transformers 5 does.
    #[default]
    Auto,
    /// A BOS before every sample.
    Always,
    /// No BOS.
    Never,
}

impl Bos {
    /// Its name in a manifest, unless the tokenizer decides.
    pub fn decided(self) -> Option<&'static str> {
        match self {
            Self::Auto => None,
            Self::Always => Some("always"),
            Self::Never => Some("never"),
        }
    }
}

impl TextTokenizer {
    /// The same tokenizer, which puts a BOS before every text as `bos` says.
    ///
    /// # Errors
    /// It has none.
    pub fn with_bos(mut self, bos: Bos) -> Result<Self, String> {
        match bos {
            Bos::Auto => return Ok(self),
            Bos::Never => self.prefix.clear(),
            Bos::Always if self.prefix.is_empty() => {
                let named = self
                    .bos
                    .ok_or("the tokenizer names no BOS: no file next to it has a `bos_token` of its vocabulary")?;
                self.prefix.push(named);
            }
            Bos::Always => {}
        }
        self.note_on_bos = None;
        Ok(self)
    }
}
