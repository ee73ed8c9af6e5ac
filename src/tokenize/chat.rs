//! Chats to samples: one for each turn of the assistant.
//!
//! Owns what becomes of messages. Refuses to guess how a model was shown them: that takes its chat template.

use super::TextTokenizer;
use crate::dataset::Content;
use crate::sample::{Sample, Status};

impl TextTokenizer {
    /// Fills `samples`, one a turn, from a chat.
    #[expect(clippy::unused_self, reason = "a template is the tokenizer's")]
    pub(super) fn fill_chat(&self, samples: &mut [Sample], _chat: &Content) {
        for sample in samples {
            sample.fail(Status::Failed, "a row of messages needs a chat template");
        }
    }
}
