//! The samples of a row: which ids are the response, and what becomes of a sample that does not fit.
//!
//! Owns the boundary between prompt and response, byte ranges and lengths. A problem with a row does not end the run:
//! it becomes its sample's status.

use std::borrow::Cow;

use serde::Deserialize;
use tokenizers::Tokenizer;

use super::bytes::Span;
use super::tokenizer::has_end;
use super::{Audit, TextTokenizer};
use crate::dataset::{Content, ReadRow};
use crate::digest;
use crate::sample::{ResponseToken, Sample, Status};

/// How the boundary between prompt and response is tokenised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Boundary {
    /// One text, as the study did and as a server that is given the whole text does: tokens may span the boundary.
    Joint,
    /// Prompt and response apart, as a model generates: no token spans it.
    Separate,
}

impl Boundary {
    /// The word for it in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Joint => "joint",
            Self::Separate => "separate",
        }
    }
}

/// What becomes of a sample that is longer than the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TooLong {
    /// It is not scored; its status is `too_long`.
    Skip,
    /// The tokens that fit are scored; its status is `truncated`.
    Truncate,
    /// As `Skip`; the caller ends the run.
    Fail,
}

impl TooLong {
    /// The word for it in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Truncate => "truncate",
            Self::Fail => "fail",
        }
    }
}

/// What decides ids, other than the tokenizer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SampleOptions {
    /// How the boundary between prompt and response is tokenised.
    pub boundary: Boundary,
    /// Id of the token that ends a turn, appended to text rows unless their response was cut by length.
    pub end: Option<u32>,
    /// Longest sample in tokens, special tokens included.
    pub max_tokens: usize,
    /// What is done with samples that are longer than the context.
    pub too_long: TooLong,
}

impl TextTokenizer {
    /// The samples of a row, in order. Never fails: an unreadable row is one sample with [`Status::Failed`] and the
    /// reason.
    pub fn samples(&self, read: ReadRow, options: &SampleOptions) -> Vec<Sample> {
        self.audited(read, options, &mut Audit::default())
    }

    /// The samples of a row, and in `audit` what a user may not expect of them.
    pub fn audited(&self, read: ReadRow, options: &SampleOptions, audit: &mut Audit) -> Vec<Sample> {
        let mut samples: Vec<Sample> = (0..read.samples()).map(|turn| blank(&read, turn)).collect();
        let row = match read.content {
            Ok(row) => row,
            Err(reason) => {
                for sample in &mut samples {
                    sample.fail(Status::Failed, reason.as_str());
                }
                return samples;
            }
        };
        let (mut rest, mut prompt) = (samples.as_mut_slice(), None);
        let are_texts = row.has_texts();
        for content in row.contents {
            let (filled, others) = std::mem::take(&mut rest).split_at_mut(content.samples() as usize);
            prompt = prompt.or(self.fill(filled, content, options, audit));
            rest = others;
        }
        // Neither the rollouts of a prompt nor the turns of a chat are independent; nor are rows of one prompt, whose
        // contexts may differ where a token spans the boundary.
        if let Some(cluster) = row.cluster.or_else(|| prompt.map(|ids| digest::ids(&ids))) {
            for sample in &mut samples {
                sample.cluster_id.clone_from(&cluster);
            }
        }
        samples.iter_mut().filter(|sample| sample.status == Status::Ok).for_each(|sample| fit(sample, options));
        for sample in &samples {
            audit.add(self, sample);
            let is_text = are_texts && sample.status == Status::Ok;
            audit.stripped += u64::from(is_text && self.seems_stripped(sample, row.is_dump));
        }
        samples
    }

    /// Fills the samples of one content; the ids of its first prompt alone, as far as it has any.
    fn fill(
        &self,
        samples: &mut [Sample],
        content: Content,
        options: &SampleOptions,
        audit: &mut Audit,
    ) -> Option<Vec<u32>> {
        match (content, samples) {
            (Content::Text { input, output, cut }, [sample]) => {
                sample.is_cut = cut;
                let end = options.end.filter(|_| cut != Some(true));
                let before = (&self.tokenizer, self.prefix.as_slice());
                let filled = self.fill_text(sample, before, input, output, options.boundary, end);
                filled
                    .map_err(|e| sample.fail(Status::Failed, format!("the tokenizer cannot encode the text: {e}")))
                    .ok()
            }
            (Content::Ids { prompt, response, input, output, cut }, [sample]) => {
                sample.is_cut = cut;
                let alone = prompt.clone();
                self.fill_ids(sample, prompt, &response, input, output, options.end);
                Some(alone)
            }
            (Content::Masked { ids, sampled, cut }, [sample]) => {
                sample.is_cut = cut;
                self.fill_masked(sample, ids, &sampled, options.end);
                // Without a prompt, rows have nothing in common.
                Some(sample.context().to_vec()).filter(|prompt| !prompt.is_empty())
            }
            (chat, samples) => self.fill_chat(samples, &chat, options.boundary, audit),
        }
    }

    /// `of_prompts` reads the prompt, of [`Boundary::Separate`]; `prefix`: ids that stand before the text. Gives these
    /// and those of the prompt alone.
    pub(super) fn fill_text(
        &self,
        sample: &mut Sample,
        (of_prompts, prefix): (&Tokenizer, &[u32]),
        input: String,
        output: String,
        boundary: Boundary,
        end: Option<u32>,
    ) -> tokenizers::Result<Vec<u32>> {
        has_end(&[input.as_str(), &output].concat())?;
        let alone = of_prompts.encode_fast(input.as_str(), false)?;
        sample.prompt_tokens_alone = alone.len() as u32;
        sample.ids = prefix.to_vec();
        match boundary {
            Boundary::Joint => {
                let text = [input.as_str(), output.as_str()].concat();
                let (ids, spans) = self.encode(&text)?;
                sample.tokens = response_tokens(&spans, sample.ids.len(), input.len(), output.len());
                sample.ids.extend(ids);
            }
            Boundary::Separate => {
                sample.ids.extend(alone.get_ids());
                // What follows nothing begins the text.
                let (ids, spans) = if input.is_empty() { self.encode(&output)? } else { self.encode_on(&output)? };
                sample.tokens = response_tokens(&spans, sample.ids.len(), 0, output.len());
                sample.ids.extend(ids);
            }
        }
        if let Some(id) = end.filter(|_| !output.is_empty()) {
            sample.tokens.push(end_token(sample.ids.len(), output.len()));
            sample.ids.push(id);
        }
        sample.prompt = input;
        sample.response = output;
        Ok([prefix, alone.get_ids()].concat())
    }

    /// Ids are taken as they are. The response's text is the row's own if the tokens decode to it (special ones may be
    /// left out of it), else what they decode to.
    fn fill_ids(
        &self,
        sample: &mut Sample,
        prompt: Vec<u32>,
        response: &[u32],
        input: Option<String>,
        output: Option<String>,
        end: Option<u32>,
    ) {
        let decoded = || self.bytes.decode(response);
        let own = output.and_then(|text| Some((self.bytes.lay_without_specials(response, &text)?, text)));
        let (spans, text) = own.unwrap_or_else(decoded);
        // Of text it is counted without special tokens too.
        let special = if prompt.starts_with(&self.prefix) { self.prefix.len() } else { 0 };
        sample.prompt_tokens_alone = (prompt.len() - special) as u32;
        sample.prompt = input.unwrap_or_else(|| self.bytes.decode(&prompt).1);
        sample.tokens = response_tokens(&spans, prompt.len(), 0, usize::MAX);
        if let Some(last) = sample.tokens.last_mut() {
            last.is_end = end.is_some() && end == response.last().copied();
        }
        sample.ids = prompt;
        sample.ids.extend(response);
        sample.response = text;
    }
}

/// The sample of a row's turn, without its text.
fn blank(read: &ReadRow, turn: u32) -> Sample {
    let row = read.content.as_ref().ok();
    Sample {
        sample_id: read.first_sample + turn,
        row: read.row,
        row_id: row.and_then(|row| row.id.clone()),
        turn,
        is_cut: None,
        cluster_id: format!("row {}", read.row),
        prompt: String::new(),
        response: String::new(),
        ids: Vec::new(),
        tokens: Vec::new(),
        prompt_tokens_alone: 0,
        recorded: None,
        kept: row.map_or_else(Vec::new, |row| row.kept.iter().map(|value| value.of(turn as usize).clone()).collect()),
        status: Status::Ok,
        reason: None,
    }
}

/// The tokens whose last byte lies in the response, which begins at byte `boundary` of the text and is `length` bytes
/// long. `first` is the index of the first span's token. A token without bytes belongs where the one before it does.
pub(super) fn response_tokens(spans: &[Span], first: usize, boundary: usize, length: usize) -> Vec<ResponseToken> {
    if length == 0 {
        return Vec::new();
    }
    let from = spans.iter().position(|span| span.end > boundary || boundary == 0).unwrap_or(spans.len());
    let token = |(index, span): (usize, &Span)| ResponseToken {
        index: (first + index) as u32,
        start: span.start.saturating_sub(boundary) as u32,
        end: span.end.saturating_sub(boundary) as u32,
        straddles: span.start < boundary,
        is_end: false,
    };
    spans.iter().enumerate().skip(from).map(token).collect()
}

fn end_token(index: usize, length: usize) -> ResponseToken {
    ResponseToken { index: index as u32, start: length as u32, end: length as u32, straddles: false, is_end: true }
}

/// Sets the status of a tokenised sample: empty, too long, truncated or as it is.
fn fit(sample: &mut Sample, options: &SampleOptions) {
    let (length, limit) = (sample.ids.len(), options.max_tokens);
    if sample.tokens.is_empty() {
        return sample.fail(Status::Empty, "the response has no token");
    }
    if length <= limit {
        return;
    }
    let fitting = sample.tokens.iter().take_while(|token| (token.index as usize) < limit).count();
    if options.too_long == TooLong::Truncate && fitting > 0 {
        sample.tokens.truncate(fitting);
        sample.ids.truncate(limit);
        sample.fail(Status::Truncated, format!("{length} tokens, the context holds {limit}"));
    } else {
        sample.tokens.clear();
        sample.ids.clear();
        sample.fail(Status::TooLong, format!("{length} tokens, the context holds {limit}"));
    }
}

/// The text of bytes `start..end` of `response`, cut characters as U+FFFD.
pub fn token_text(response: &str, start: u32, end: u32) -> Cow<'_, str> {
    String::from_utf8_lossy(response.as_bytes().get(start as usize..end as usize).unwrap_or_default())
}
