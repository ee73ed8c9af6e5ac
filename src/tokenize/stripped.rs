//! Texts that a program decoded without their special tokens, as verl's and TRL's dumps of rollouts are.
//!
//! Owns how such a text is recognised. What was left out cannot be put back: such rows are scored as they stand and
//! counted. Not here: which files are dumps (`dataset`).

use serde_json::json;

use super::TextTokenizer;
use super::around::Around;
use crate::sample::Sample;

/// A message that no template touches and no prompt contains.
const PROBE: &str = "tokshiftPROBEq7x";

impl TextTokenizer {
    /// Whether the text of a sample, which is no chat, seems to have been decoded without its special tokens: it has
    /// none, although the chat template writes some, and the template's words for roles stand in it as plain text, or
    /// the row has the fields of a dump that is decoded so.
    pub(super) fn seems_stripped(&self, sample: &Sample, is_dump: bool) -> bool {
        let has_prefix = sample.ids.starts_with(&self.prefix);
        let end = sample.ids.len() - usize::from(sample.tokens.last().is_some_and(|token| token.is_end));
        let own = &sample.ids[if has_prefix { self.prefix.len() } else { 0 }..end];
        if own.iter().any(|&id| self.bytes.is_special(id)) {
            return false;
        }
        let around = self.around.get_or_init(|| self.template_around());
        let has_words = |around: &Around| {
            let Around { before, after } = around;
            let is_known = !before.is_empty() && !after.is_empty();
            is_known && sample.prompt.trim_end().ends_with(after.as_str()) && sample.prompt.contains(before.as_str())
        };
        around.as_ref().is_some_and(|around| is_dump || has_words(around))
    }

    /// What the template writes around a message; `None` if there is no template, or if it writes no special token but
    /// those that the tokenizer itself puts before every text.
    fn template_around(&self) -> Option<Around> {
        let messages = json!([{"role": "user", "content": PROBE}]);
        let text = self.template.as_ref()?.render(&messages, None, true).ok()?;
        let (ids, _) = self.encode(&text).ok()?;
        let own = ids.strip_prefix(self.prefix.as_slice()).unwrap_or(&ids);
        let plain: Vec<u32> = own.iter().copied().filter(|&id| !self.bytes.is_special(id)).collect();
        if plain.len() == own.len() {
            return None;
        }
        let text = self.bytes.decode(&plain).1;
        let (before, after) = text.split_once(PROBE)?;
        let is_word = |line: &&str| line.chars().any(char::is_alphabetic);
        let before = before.lines().rev().find(is_word).unwrap_or_default().trim();
        let after = Some(after.trim()).filter(is_word).unwrap_or_default();
        Some(Around { before: before.to_owned(), after: after.to_owned() })
    }
}
