//! Samples of rows of ids with a mask.
//!
//! Owns the text of their stretches. Not here: lengths (`samples`).

use super::TextTokenizer;
use super::samples::response_tokens;
use crate::sample::Sample;

impl TextTokenizer {
    /// Ids are taken as they are, and the response's tokens are the sampled ones. Its text is what each stretch of them
    /// decodes to, one after the other, so that a stretch has the same text as in a row of its own.
    pub(super) fn fill_masked(&self, sample: &mut Sample, ids: Vec<u32>, sampled: &[bool], end: Option<u32>) {
        let places: Vec<usize> = sampled.iter().enumerate().filter(|(_, is)| **is).map(|(place, _)| place).collect();
        for stretch in places.chunk_by(|a, b| a + 1 == *b) {
            let (first, last) = (stretch[0], stretch[stretch.len() - 1]);
            let (spans, text) = self.bytes.decode(&ids[first..=last]);
            let shift = sample.response.len();
            let shifted = spans.iter().map(|span| span.start + shift..span.end + shift);
            sample.tokens.extend(response_tokens(&shifted.collect::<Vec<_>>(), first, 0, usize::MAX));
            if let Some(token) = sample.tokens.last_mut() {
                token.is_end = end == Some(ids[last]);
            }
            sample.response.push_str(&text);
        }
        sample.ids = ids;
        let (prompt, prefix) = (sample.context().to_vec(), &self.prefix);
        let special = if prompt.starts_with(prefix) { prefix.len() } else { 0 };
        sample.prompt_tokens_alone = (prompt.len() - special) as u32;
        sample.prompt = self.bytes.decode(&prompt).1;
    }
}
