//! The content of a row, as text, ids or messages.
//!
//! Owns that content whatever its fields were, and how much one row may repeat. Not here: fields (`shapes`).

/// The content of a row: one sample, or several of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A prompt and its response as text. `cut`: whether generation was cut, by a limit of tokens, so that no end token
    /// follows it; `None` where the row does not say.
    Text {
        /// Text of the prompt.
        input: String,
        /// Text of the response.
        output: String,
        /// Whether a limit of tokens ended the generation; `None` where the row does not say.
        cut: Option<bool>,
    },
    /// Token ids of a prompt and its response: never retokenised. Texts only if the row has them.
    Ids {
        /// Ids of the prompt.
        prompt: Vec<u32>,
        /// Ids of the response.
        response: Vec<u32>,
        /// Text of the prompt, if the row has it.
        input: Option<String>,
        /// Text of the response, if the row has it.
        output: Option<String>,
        /// Whether a limit of tokens ended the generation; `None` where the row does not say.
        cut: Option<bool>,
    },
    /// A whole sequence of token ids, of which several stretches may have been sampled, as around the answers of tools:
    /// never retokenised. What follows the last sampled token is left out.
    Masked {
        /// Ids of the sequence up to the last sampled token.
        ids: Vec<u32>,
        /// Whether each of them was sampled.
        sampled: Vec<bool>,
        /// Whether a limit of tokens ended the generation; `None` where the row does not say.
        cut: Option<bool>,
    },
    /// A chat of `turns` assistant turns, at least one, each of which is a sample, after `before` turns of it that are
    /// only context. `messages`, `tools` and `kwargs` are JSON as the row has it; `cut` is about the last turn.
    Chat {
        /// The messages, as JSON.
        messages: String,
        /// The tools, as JSON.
        tools: Option<String>,
        /// Variables of the template, as JSON.
        kwargs: Option<String>,
        /// Assistant turns before the first one that is a sample.
        before: u32,
        /// Number of assistant turns that are samples.
        turns: u32,
        /// Whether a limit of tokens ended the generation; `None` where the row does not say.
        cut: Option<bool>,
    },
}

impl Content {
    /// Number of samples that it gives.
    pub fn samples(&self) -> u32 {
        match self {
            Self::Text { .. } | Self::Ids { .. } | Self::Masked { .. } => 1,
            Self::Chat { turns, .. } => *turns,
        }
    }

    /// Bytes of text (for ids, four per token), by which parts are split.
    pub fn text_bytes(&self) -> usize {
        match self {
            Self::Text { input, output, .. } => input.len() + output.len(),
            Self::Ids { prompt, response, .. } => 4 * (prompt.len() + response.len()),
            Self::Masked { ids, .. } => 4 * ids.len(),
            Self::Chat { messages, .. } => messages.len(),
        }
    }
}

/// Most bytes that a row's samples may repeat together: a short row can name a long prompt many times.
const REPEATED_BYTES: usize = 256 << 20;
/// The memory that a sample takes in addition to its texts.
const SAMPLE_BYTES: usize = 1 << 10;

/// An error if `bytes` repeated `times` times would fill the memory.
pub fn may_repeat(bytes: usize, times: usize) -> Result<(), String> {
    if (bytes + SAMPLE_BYTES).saturating_mul(times) <= REPEATED_BYTES {
        return Ok(());
    }
    Err(format!("{times} samples that repeat {bytes} bytes each are too much for one row"))
}
