//! The block with every number of some samples' tokens.
//!
//! Owns the order of its columns and what of a list is kept. Log-probability, entropy and KL are those of the tables to
//! the bit of an f32; entries of lists are within 1/4096 nat. Not here: bytes (`columns`).

use std::ops::Range;

use super::block::Kind;
use super::columns::{Columns, zigzag};
use super::lists::{STEPS, kept};
use super::part::Part;
use super::tables::{Scores, UNKNOWN};
use super::vocabulary::Vocabulary;

/// Tokens after which a block ends.
pub const BLOCK_TOKENS: usize = 8192;

/// Samples of so many tokens in runs of some [`BLOCK_TOKENS`] tokens, at least one sample each.
pub fn runs(lengths: &[usize]) -> Vec<Range<usize>> {
    let (mut found, mut start, mut tokens) = (Vec::new(), 0, 0);
    for (i, length) in lengths.iter().enumerate() {
        tokens += length;
        if tokens >= BLOCK_TOKENS || i + 1 == lengths.len() {
            found.push(start..i + 1);
            (start, tokens) = (i + 1, 0);
        }
    }
    found
}

/// The columns of some samples of a part: number of samples and of tokens, whether tokens have ranges; tokens per sample;
/// of every token its id's place, its position and its range (else its text) and its flags; of every model
/// log-probability, entropy, rank and list; of every Q the KL, if there is one, and the class.
pub fn columns(part: &Part, samples: &[usize], vocabulary: &Vocabulary) -> Vec<u8> {
    let rows: Vec<usize> = samples.iter().flat_map(|&sample| part.samples[sample].tokens.clone()).collect();
    let mut columns = Columns::new(Kind::Tokens as u8);
    columns.count(samples.len());
    columns.count(rows.len());
    let has_spans = rows.iter().all(|&row| part.rows.spans[row].0 != UNKNOWN && part.rows.spans[row].1 != UNKNOWN);
    columns.bytes([u8::from(has_spans)]);
    let lengths: Vec<u32> = samples.iter().map(|&sample| part.samples[sample].tokens.len() as u32).collect();
    columns.numbers::<4>(&lengths);
    let places: Vec<u32> = rows.iter().map(|&row| vocabulary.place(part.rows.ids[row])).collect();
    columns.numbers::<3>(&places);
    let positions = samples.iter().flat_map(|&sample| {
        let range = part.samples[sample].tokens.clone();
        range.clone().map(move |row| part.rows.keys[row].1.wrapping_sub((row - range.start) as u32))
    });
    columns.numbers::<4>(&positions.collect::<Vec<_>>());
    if has_spans {
        spans(&mut columns, part, samples);
    } else {
        columns.texts(rows.iter().map(|&row| part.rows.texts[row].as_deref().unwrap_or_default()));
    }
    columns.bytes(rows.iter().map(|&row| u8::from(part.rows.is_end[row]) | u8::from(part.rows.straddles[row]) << 1));
    for model in 0..=part.others.len() {
        scores(&mut columns, part.scores(model), &rows, vocabulary);
    }
    for (q, kl) in part.kl.iter().enumerate() {
        columns.bytes([u8::from(kl.is_some())]);
        if let Some(kl) = kl {
            columns.floats(rows.iter().map(|&row| kl[row] as f32));
        }
        columns.bytes(rows.iter().map(|&row| part.class(q, row) as u8));
    }
    columns.finish()
}

/// The bytes between a token and the one before it, which are hardly ever any, and its length.
fn spans(columns: &mut Columns, part: &Part, samples: &[usize]) {
    let (mut gaps, mut lengths) = (Vec::new(), Vec::new());
    for &sample in samples {
        let mut before = 0;
        for (start, end) in part.samples[sample].tokens.clone().map(|row| part.rows.spans[row]) {
            gaps.push(zigzag(i64::from(start) - i64::from(before)));
            lengths.push(end.saturating_sub(start));
            before = end.max(start);
        }
    }
    columns.numbers::<4>(&gaps);
    columns.numbers::<4>(&lengths);
}

fn scores(columns: &mut Columns, scores: &Scores, rows: &[usize], vocabulary: &Vocabulary) {
    columns.floats(rows.iter().map(|&row| scores.logprob[row]));
    columns.floats(rows.iter().map(|&row| scores.entropy[row]));
    columns.numbers::<4>(&rows.iter().map(|&row| scores.rank[row]).collect::<Vec<_>>());
    let lists = || {
        rows.iter().map(|&row| {
            let (ids, logprobs) = scores.list(row);
            let n = kept(logprobs);
            (&ids[..n], &logprobs[..n])
        })
    };
    columns.bytes(lists().map(|(ids, _)| ids.len() as u8));
    columns.numbers::<3>(&lists().flat_map(|(ids, _)| ids).map(|&id| vocabulary.place(id)).collect::<Vec<_>>());
    columns.numbers::<2>(&lists().flat_map(|(_, logprobs)| logprobs).map(|&x| steps(x)).collect::<Vec<_>>());
}

/// A log-probability in steps below 0, as 16 bits.
fn steps(logprob: f32) -> u32 {
    (-logprob * STEPS).round().clamp(0.0, f32::from(u16::MAX)) as u32
}
