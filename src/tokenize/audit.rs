//! Counts what tokenisation did to the rows that a user may not expect.
//!
//! Owns the counts and their wording. They are not errors: a merged boundary or a BOS may well be intended.

use std::collections::BTreeMap;

use super::TextTokenizer;
use crate::sample::{Sample, Status};

/// Number of different reasons; if every row fails for a reason of its own, the rest are counted together.
const REASONS: usize = 10;
const OTHER_REASONS: &str = "other reasons";

/// Counts of samples, of one dataset by one model.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// The first token of the response began in the prompt.
    pub merged: u64,
    /// The decoded tokens differ from the text: a normaliser changed it, or the row's ids belong to another text.
    pub changed: u64,
    /// The first token of the response begins with a space that the text does not have, as SentencePiece begins texts.
    pub spaced: u64,
    /// No token stands before the response, so that its first one has no log-probability.
    pub unscored: u64,
    /// The ids begin with the special tokens that the tokenizer puts before every text.
    pub bos: u64,
    /// ... and the last of them a second time, because the text begins with it.
    pub bos_doubled: u64,
    /// They do not: the row's own ids lack them.
    pub bos_lacking: u64,
    /// Some id is none of the tokenizer's.
    pub unknown_ids: u64,
    /// Some id has another text in a model's own tokenizer.
    pub renamed: u64,
    /// Turns of a chat whose reasoning the template leaves out, and those whose content it would change.
    pub partial: u64,
    /// Turns whose content was taken as it stands, because the template would leave out some of it.
    pub raw: u64,
    /// Turns of a chat of which some message has a field that is null.
    pub nulls: u64,
    /// Texts that seem to have been decoded without their special tokens.
    pub stripped: u64,
    /// What was not scored, or not in full, by reason.
    pub skipped: BTreeMap<String, u64>,
}

impl Audit {
    /// Adds a sample as the tokenizer made it.
    pub fn add(&mut self, tokenizer: &TextTokenizer, sample: &Sample) {
        if sample.status != Status::Ok {
            return;
        }
        let (prefix, ids) = (tokenizer.prefix(), &sample.ids);
        let has_prefix = ids.starts_with(prefix);
        let is_doubled = has_prefix && prefix.last().is_some_and(|bos| ids.get(prefix.len()) == Some(bos));
        self.merged += u64::from(sample.tokens.first().is_some_and(|token| token.straddles));
        self.changed += u64::from(!decodes_to_text(tokenizer, sample));
        self.spaced += u64::from(is_spaced(tokenizer, sample));
        self.unscored += u64::from(sample.tokens.first().is_some_and(|token| token.index == 0));
        self.bos += u64::from(has_prefix && !prefix.is_empty());
        self.bos_doubled += u64::from(is_doubled);
        self.bos_lacking += u64::from(!has_prefix);
        self.unknown_ids += u64::from(ids.iter().any(|&id| !tokenizer.bytes.knows(id)));
        self.renamed += u64::from(ids.iter().any(|id| tokenizer.renamed.binary_search(id).is_ok()));
    }

    /// Adds what became of a sample in the end.
    pub fn skip(&mut self, sample: &Sample) {
        if sample.status == Status::Ok {
            return;
        }
        self.count(format!("{}{}", sample.status.as_str(), reason(sample)), 1);
    }

    fn count(&mut self, reason: String, samples: u64) {
        let is_known = self.skipped.contains_key(&reason) || self.skipped.len() < REASONS;
        let reason = if is_known { reason } else { OTHER_REASONS.to_owned() };
        *self.skipped.entry(reason).or_default() += samples;
    }

    /// Adds the counts of other samples.
    pub fn merge(&mut self, other: Self) {
        self.merged += other.merged;
        self.changed += other.changed;
        self.spaced += other.spaced;
        self.unscored += other.unscored;
        self.bos += other.bos;
        self.bos_doubled += other.bos_doubled;
        self.bos_lacking += other.bos_lacking;
        self.unknown_ids += other.unknown_ids;
        self.renamed += other.renamed;
        self.partial += other.partial;
        self.raw += other.raw;
        self.nulls += other.nulls;
        self.stripped += other.stripped;
        for (reason, count) in other.skipped {
            self.count(reason, count);
        }
    }

    /// A line for each count that is not zero.
    pub fn lines(&self) -> Vec<String> {
        let counts = [
            (self.merged, "a token spans the end of the prompt and the beginning of the response"),
            (self.changed, "the decoded tokens differ from the text"),
            (self.spaced, "the response's first token begins with a space that the text does not have"),
            (self.unscored, "no token precedes the response, so its first token has no log-probability"),
            (self.bos, "the ids begin with the tokenizer's BOS"),
            (self.bos_doubled, "the ids begin with BOS twice, because the text begins with it"),
            (self.bos_lacking, "the row's ids lack the BOS that the tokenizer would put first"),
            (self.unknown_ids, "ids that the tokenizer does not have"),
            (self.renamed, "some id has another text in a model's own tokenizer"),
            (self.partial, "the chat template leaves out the reasoning of the turn"),
            (
                self.nulls,
                "messages have fields that are null: the template does not see them, as in transformers 5 (4 shows None)",
            ),
            (
                self.stripped,
                "the text seems to have been decoded without its special tokens (skip_special_tokens, as verl and TRL do), so \
                 its ids are not those that the model read: score the token ids, or messages",
            ),
            (self.raw, "the turn's content is scored as it is, because the chat template would leave out some of it"),
        ];
        let skipped = self.skipped.iter().map(|(reason, &count)| (count, reason.as_str()));
        let counts = counts.into_iter().chain(skipped).filter(|(count, _)| *count > 0);
        let plural = |count| if count == 1 { "sample" } else { "samples" };
        counts.map(|(count, what)| format!("{count} {}: {what}", plural(count))).collect()
    }
}

/// Why a sample failed, without its place, which is of that sample alone; other statuses say it themselves.
fn reason(sample: &Sample) -> String {
    let Some(reason) = sample.reason.as_deref().filter(|_| sample.status == Status::Failed) else {
        return String::new();
    };
    let starts_with_place =
        |(place, _): &(&str, &str)| ["line ", "element ", "row "].iter().any(|word| place.starts_with(word));
    let what = reason.split_once(": ").filter(starts_with_place).map_or(reason, |(_, what)| what);
    format!(": {}", what.split_once(" at column ").map_or(what, |(what, _)| what))
}

/// Whether the response's first token begins with a space that the response does not.
fn is_spaced(tokenizer: &TextTokenizer, sample: &Sample) -> bool {
    let Some(first) = sample.tokens.first().filter(|token| !token.straddles && !token.is_end) else { return false };
    let id = sample.ids[first.index as usize];
    tokenizer.bytes.begins_with_space(id) && !sample.response.starts_with(|c: char| c.is_whitespace() || c == '▁')
}

/// Whether the ids, but for special tokens around them, are the text's own bytes.
fn decodes_to_text(tokenizer: &TextTokenizer, sample: &Sample) -> bool {
    let Sample { ids, tokens, prompt, response, .. } = sample;
    // Of several stretches only the ids are known, and the text is what they decode to.
    if tokens.windows(2).any(|pair| pair[0].index + 1 < pair[1].index) {
        return true;
    }
    let start = if ids.starts_with(tokenizer.prefix()) { tokenizer.prefix().len() } else { 0 };
    let end = ids.len() - usize::from(tokens.last().is_some_and(|token| token.is_end));
    let boundary = tokens.first().map_or(end, |token| token.index as usize).clamp(start, end);
    // The text of a row of ids is what they decode to, if the row has none; a character may be split. A row's own text may
    // leave out all special tokens, or those that end it.
    let bytes = &tokenizer.bytes;
    let reads = |ids: &[u32], text: &str| {
        bytes.lay(ids, text).is_some() || bytes.decode(ids).1 == *text || bytes.lossy(ids) == *text
    };
    let lies = |ids: &[u32], text: &str| {
        bytes.lay_without_specials(ids, text).is_some()
            || reads(ids, text)
            || reads(bytes.without_last_specials(ids), text)
    };
    // A tokenizer that puts a space first does so once a text, or twice where prompt and response are two.
    lies(&ids[start..end], &[prompt.as_str(), response].concat())
        || lies(&ids[start..boundary], prompt) && lies(&ids[boundary..end], response)
}
