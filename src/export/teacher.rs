//! Lists of most likely tokens as rows that a student is trained on.
//!
//! Owns the rows of axolotl (integrations/kd/chat_template.py and collator.py) and of DistillKit (compression/compressor.py,
//! raw top-k), and the ids of the whole sequence, of which tables have the response's alone. Not here: choosing cells.

use std::io::{BufWriter, Write};

use serde::Serialize;

use crate::digest;
use crate::error::{Error, Result};
use crate::schema::{sample, token};
use crate::store::{FoundCell, ResultFile};
use crate::table::{SampleColumns, TableReader, TokenColumns};
use crate::tokenize::TextTokenizer;

/// What trains the student.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trainer {
    /// axolotl's knowledge distillation.
    Axolotl,
    /// DistillKit.
    DistillKit,
}

/// What stands for −∞ where nothing is known, as in axolotl's collator.
const PADDING: f64 = -1e9;
/// The label of tokens that are not trained on.
const IGNORED: i64 = -100;

/// What became of a cell's samples.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows that were written.
    pub rows: u64,
    /// Samples that have none, and why the first of them.
    pub left_out: u64,
    /// The first reason.
    pub reason: Option<String>,
}

/// A row of axolotl: entry i of each list is of token i, and lists have the most likely tokens in its place.
#[derive(Serialize)]
struct AxolotlRow<'a> {
    input_ids: &'a [u32],
    attention_mask: Vec<u8>,
    labels: &'a [i64],
    target_token_ids: Vec<Vec<u32>>,
    /// Logarithms of probabilities that add up to 1 over the list, as axolotl's own loader divides them.
    target_logprobs: Vec<Vec<f64>>,
    target_mask: Vec<Vec<u8>>,
}

/// A row of DistillKit: entry i of `token_ids` and `top_values` is of what follows token i, so they are one shorter.
#[derive(Serialize)]
struct DistillKitRow<'a> {
    input_ids: &'a [u32],
    labels: &'a [i64],
    token_ids: Vec<Vec<u32>>,
    top_values: Vec<Vec<f64>>,
}

/// Writes a row for each scored sample of a cell, as JSON lines. `tokenizer` makes the ids before a response again, which
/// must have the hash that the samples table has.
///
/// # Errors
/// A table that cannot be read, or what `out` gives. A sample without lists, or whose ids are not found again, is left out.
pub fn teacher_rows(
    found: &FoundCell,
    tokenizer: &TextTokenizer,
    trainer: Trainer,
    out: &mut dyn Write,
) -> Result<Written> {
    let (mut out, mut written) = (BufWriter::new(out), Written::default());
    for (samples, tokens) in found.samples.iter().zip(&found.tokens) {
        let mut lists = Lists::read(tokens)?.into_iter().peekable();
        let columns =
            [sample::SAMPLE_ID, sample::CONTEXT_HASH, sample::PROMPT, sample::RESPONSE, sample::CONTEXT_TOKENS];
        for batch in TableReader::<SampleColumns>::open(samples.open()?)?.columns(&columns)? {
            let batch = batch?;
            for row in 0..batch.rows {
                let id = batch.sample_id.get(row).ok_or_else(|| Error::file(samples, "rows without a `sample_id`"))?;
                let Some(lists) = lists.next_if(|lists| lists.sample == id) else { continue };
                let text = |of: Option<&str>| of.unwrap_or_default().to_owned();
                let context = Context {
                    prompt: text(batch.prompt.get(row)),
                    response: text(batch.response.get(row)),
                    tokens: batch.context_tokens.get(row).unwrap_or_default() as usize,
                    hash: batch.context_hash.get(row),
                };
                match context.ids(tokenizer).and_then(|context| lists.line(&context, trainer)) {
                    Ok(line) => {
                        written.rows += 1;
                        out.write_all(line.as_bytes()).map_err(Error::io("write", "the rows"))?;
                    }
                    Err(reason) => {
                        written.left_out += 1;
                        written.reason.get_or_insert(format!("sample {id}: {reason}"));
                    }
                }
            }
        }
    }
    out.flush().map_err(Error::io("write", "the rows"))?;
    Ok(written)
}

/// What stands before a response.
struct Context<'a> {
    prompt: String,
    response: String,
    tokens: usize,
    hash: Option<&'a str>,
}

impl Context<'_> {
    /// Its ids, which the tokenizer makes of the texts in one of the ways in which `score` does.
    fn ids(&self, tokenizer: &TextTokenizer) -> Result<Vec<u32>, String> {
        let prefix = tokenizer.prefix().len();
        let both = format!("{}{}", self.prompt, self.response);
        for text in [&self.prompt, &both] {
            let whole = tokenizer.whole(text)?;
            for ids in [&whole[..], &whole[prefix..]] {
                let ids = &ids[..self.tokens.min(ids.len())];
                if self.hash == Some(&*digest::ids(ids)) {
                    return Ok(ids.to_vec());
                }
            }
        }
        Err("the ids before its response are not found again: is --tokenizer the one that made them?".to_owned())
    }
}

/// The lists of a sample's tokens.
struct Lists {
    sample: u32,
    ids: Vec<u32>,
    tops: Vec<(Vec<u32>, Vec<f32>)>,
}

impl Lists {
    /// Those of a table, in its order.
    fn read(tokens: &ResultFile) -> Result<Vec<Self>> {
        let mut all: Vec<Self> = Vec::new();
        let columns = [token::SAMPLE_ID, token::TOKEN_ID, token::TOP_IDS, token::TOP_LOGPROBS];
        for batch in TableReader::<TokenColumns>::open(tokens.open()?)?.columns(&columns)? {
            let batch = batch?;
            for row in 0..batch.rows {
                let sample =
                    batch.sample_id.get(row).ok_or_else(|| Error::file(tokens, "rows without a `sample_id`"))?;
                if all.last().is_none_or(|last| last.sample != sample) {
                    all.push(Self { sample, ids: Vec::new(), tops: Vec::new() });
                }
                let Some(of) = all.last_mut() else { continue };
                // A token without an id makes the ids fewer than the lists, and the sample is left out.
                of.ids.extend(batch.token_id.get(row));
                of.tops.push((batch.top_ids.get(row).to_vec(), batch.top_logprobs.get(row).to_vec()));
            }
        }
        Ok(all)
    }

    /// The row after the ids of `context`, or why there is none.
    fn line(&self, context: &[u32], trainer: Trainer) -> Result<String, String> {
        let k = self.tops.iter().map(|(ids, _)| ids.len()).min().unwrap_or_default();
        if self.ids.len() != self.tops.len() {
            return Err("some of its tokens have no id".to_owned());
        }
        if k == 0 {
            return Err("some of its tokens have no list of most likely ones: score with --top-k".to_owned());
        }
        if context.is_empty() {
            return Err("nothing stands before its first token".to_owned());
        }
        let input_ids = [context, &self.ids].concat();
        let ignored = context.iter().map(|_| IGNORED);
        let labels: Vec<i64> = ignored.chain(self.ids.iter().map(|&id| i64::from(id))).collect();
        let tops = || self.tops.iter().map(|(ids, logprobs)| (&ids[..k], &logprobs[..k]));
        let any: Vec<u32> = (0..k as u32).collect();
        let token_ids = |before: usize| -> Vec<Vec<u32>> {
            std::iter::repeat_n(any.clone(), before).chain(tops().map(|(ids, _)| ids.to_vec())).collect()
        };
        let json = match trainer {
            Trainer::Axolotl => {
                let before = context.len();
                let mask = (0..input_ids.len()).map(|place| vec![u8::from(place >= before); k]).collect();
                let known = tops().map(|(_, logprobs)| normalised(logprobs));
                serde_json::to_string(&AxolotlRow {
                    input_ids: &input_ids,
                    attention_mask: vec![1; input_ids.len()],
                    labels: &labels,
                    target_token_ids: token_ids(before),
                    target_logprobs: std::iter::repeat_n(vec![PADDING; k], before).chain(known).collect(),
                    target_mask: mask,
                })
            }
            Trainer::DistillKit => {
                let before = context.len() - 1;
                let uniform = vec![-(k as f64).ln(); k];
                let known = tops().map(|(_, logprobs)| logprobs.iter().map(|&x| finite(x)).collect());
                serde_json::to_string(&DistillKitRow {
                    input_ids: &input_ids,
                    labels: &labels,
                    token_ids: token_ids(before),
                    top_values: std::iter::repeat_n(uniform, before).chain(known).collect(),
                })
            }
        };
        json.map(|json| json + "\n").map_err(|e| e.to_string())
    }
}

/// JSON has no −∞.
fn finite(logprob: f32) -> f64 {
    f64::from(logprob).max(PADDING)
}

/// Logarithms of probabilities divided by their sum.
fn normalised(logprobs: &[f32]) -> Vec<f64> {
    let sum: f64 = logprobs.iter().map(|&x| f64::from(x).exp()).sum();
    logprobs.iter().map(|&x| (f64::from(x) - sum.ln()).max(PADDING)).collect()
}
