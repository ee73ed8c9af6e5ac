//! One sample by itself: every number of its tokens, as `show` prints it.
//!
//! Owns finding a sample, and what is known of a token by all models. Not here: colours and terminals (`cli`).

use std::path::Path;

use serde::Serialize;

use super::contents::{OTHER_TOKENIZER, Options, guarded};
use super::part::{Class, Part, Sample};
use super::sets::{self, ResponseSet};
use super::tables::{self, UNKNOWN};
use super::vocabulary::{Seen, Vocabulary};
use crate::error::{Error, Result};
use crate::shift;

/// A response and what each model thinks of its tokens.
#[derive(Debug, Serialize)]
pub struct OneSample {
    /// Name of the model that wrote the responses.
    pub generation_model: String,
    /// Name of the task.
    pub task: String,
    /// Number of the sample in its dataset, from 0.
    pub sample_id: u32,
    /// Of the dataset, from 0.
    pub row: u32,
    /// The row's own `id`, if it has one.
    pub row_id: Option<String>,
    /// Number of the sample within its row, from 0.
    pub turn: u32,
    /// A limit of tokens ended it, as far as the row says.
    pub is_cut: bool,
    /// Text of the prompt.
    pub prompt: Option<String>,
    /// Text of the response.
    pub response: Option<String>,
    /// Kept fields of the row by name.
    pub fields: serde_json::Map<String, serde_json::Value>,
    /// P, then each Q.
    pub models: Vec<String>,
    /// Number of response tokens.
    pub tokens: Vec<OneToken>,
}

/// One token of the response.
#[derive(Debug, Serialize)]
pub struct OneToken {
    /// Number of the token in its response, from 0.
    pub position: u32,
    /// Token id.
    pub token_id: Option<u32>,
    /// Its part of the response, if known.
    pub token: Option<String>,
    /// What it is called on a screen: that part; an end token's own text, or that it is one; its id.
    #[serde(skip)]
    pub name: String,
    /// Byte range in the response.
    pub span: Option<[u32; 2]>,
    /// Whether this is the end token.
    pub is_end: bool,
    /// As the models of the sample.
    pub models: Vec<OfModel>,
    /// P with each Q.
    pub pairs: Vec<OfPair>,
}

/// What one model gives a token; nothing if it did not score it.
#[derive(Debug, Serialize)]
pub struct OfModel {
    /// Nats.
    pub logprob: Option<f64>,
    /// Rank of the token; 1 is the most likely.
    pub rank: Option<u32>,
    /// Of the distribution at the token's place, nats.
    pub entropy: Option<f64>,
    /// The most likely tokens, as the table lists them.
    pub top: Vec<Candidate>,
}

/// An entry of a list of most likely tokens.
#[derive(Debug, Serialize)]
pub struct Candidate {
    /// Token id.
    pub token_id: u32,
    /// Its text, if it is known.
    pub token: Option<String>,
    /// Its log-probability, nats.
    pub logprob: f64,
}

/// How P and one Q differ at a token.
#[derive(Debug, Serialize)]
pub struct OfPair {
    /// Name of Q.
    pub q: String,
    /// ln q − ln p, nats.
    pub delta_logprob: Option<f64>,
    /// KL(P‖Q) of the two whole distributions, nats; only with a pairs table.
    pub kl: Option<f64>,
    /// rank by Q − rank by P.
    pub rank_shift: Option<i64>,
    /// H(Q) − H(P), nats.
    pub delta_entropy: Option<f64>,
    /// `unshifted`, `marginal` or `shifted`; nothing without lists.
    pub class: Option<&'static str>,
}

/// The sample with an id under `root`, of the one response set that `options` leave.
///
/// # Errors
/// Those of [`shift::pairs`]; several response sets, or none with such a sample.
pub fn one(root: &Path, options: &Options, sample_id: u32) -> Result<OneSample> {
    guarded(|| {
        let pairs = shift::pairs(root, &options.shift)?;
        let sets = sets::of_pairs(root, &pairs.iter().collect::<Vec<_>>(), &options.models)?;
        let [set] = sets.as_slice() else {
            let names = sets.iter().map(ResponseSet::title).collect::<Vec<_>>().join(", ");
            return Err(Error::Usage(format!("choose one response set with --task and --generation-model: {names}")));
        };
        let part = Part::read(set, part_of(set, sample_id)?)?;
        if options.tokenizer.as_ref().is_some_and(|tokenizer| tokenizer.identity() != set.tokenizer) {
            return Err(Error::usage(OTHER_TOKENIZER));
        }
        let vocabulary = Vocabulary::new(Seen::of(&part), options.tokenizer_of(&set.tokenizer));
        let Some(sample) = part.samples.iter().find(|sample| sample.row.id == sample_id) else {
            return Err(Error::Usage(format!(
                "sample {sample_id} of {} was not scored: its samples table has the reason",
                set.title()
            )));
        };
        Ok(of_sample(set, &part, sample, &vocabulary))
    })
}

/// The part that has a sample.
fn part_of(set: &ResponseSet, sample_id: u32) -> Result<u32> {
    for (part, path) in &set.models[0].samples {
        if tables::sample_ids(path)?.contains(&sample_id) {
            return Ok(*part);
        }
    }
    Err(Error::Usage(format!("{} has no sample {sample_id} in the parts that P and Q both scored", set.title())))
}

fn of_sample(set: &ResponseSet, part: &Part, sample: &Sample, vocabulary: &Vocabulary) -> OneSample {
    let row = sample.row.clone();
    let fields = set.kept.iter().cloned().zip(row.kept.into_iter().map(serde_json::Value::from)).collect();
    OneSample {
        generation_model: set.key.generation_model.clone(),
        task: set.key.task.clone(),
        sample_id: row.id,
        row: row.row,
        row_id: row.row_id,
        turn: row.turn,
        is_cut: row.is_cut,
        prompt: row.prompt,
        response: row.response,
        fields,
        models: set.models.iter().map(|model| model.name.clone()).collect(),
        tokens: sample.tokens.clone().map(|row| of_token(set, part, row, vocabulary)).collect(),
    }
}

fn of_token(set: &ResponseSet, part: &Part, row: usize, vocabulary: &Vocabulary) -> OneToken {
    let rows = &part.rows;
    let (id, (start, end)) = (rows.ids[row], rows.spans[row]);
    OneToken {
        position: rows.keys[row].1,
        token_id: (id != UNKNOWN).then_some(id),
        token: rows.texts[row].as_deref().map(str::to_owned),
        name: name(rows.texts[row].as_deref(), id, rows.is_end[row], vocabulary),
        span: (start != UNKNOWN && end != UNKNOWN).then_some([start, end]),
        is_end: rows.is_end[row],
        models: (0..set.models.len()).map(|model| of_model(part, model, row, vocabulary)).collect(),
        pairs: (0..part.others.len()).map(|q| of_pair(set, part, q, row)).collect(),
    }
}

/// An end token is no part of the response: its table has no text of it.
pub const END_TOKEN: &str = "⟨end⟩";

fn name(text: Option<&str>, id: u32, is_end: bool, vocabulary: &Vocabulary) -> String {
    let known = |text: &&str| !text.is_empty();
    let text = text.filter(known).or_else(|| Some(vocabulary.text(id)).filter(known));
    let id = || if id == UNKNOWN { "?".to_owned() } else { format!("#{id}") };
    text.map_or_else(|| if is_end { END_TOKEN.to_owned() } else { id() }, str::to_owned)
}

fn of_model(part: &Part, model: usize, row: usize, vocabulary: &Vocabulary) -> OfModel {
    let scores = part.scores(model);
    let (ids, logprobs) = scores.list(row);
    let candidate = |(&token_id, &logprob): (&u32, &f32)| {
        let token = Some(vocabulary.text(token_id)).filter(|text| !text.is_empty()).map(str::to_owned);
        Candidate { token_id, token, logprob: f64::from(logprob) }
    };
    OfModel {
        logprob: known(f64::from(scores.logprob[row])),
        rank: Some(scores.rank[row]).filter(|rank| *rank > 0),
        entropy: known(f64::from(scores.entropy[row])),
        top: ids.iter().zip(logprobs).map(candidate).collect(),
    }
}

fn of_pair(set: &ResponseSet, part: &Part, q: usize, row: usize) -> OfPair {
    let (p, of_q) = (&part.rows.scores, &part.others[q]);
    let ranks = (p.rank[row], of_q.rank[row]);
    let class: Class = part.class(q, row);
    OfPair {
        q: set.models[q + 1].name.clone(),
        delta_logprob: known(part.delta(q, row)),
        kl: known(part.exact(q, row)),
        rank_shift: (ranks.0 > 0 && ranks.1 > 0).then(|| i64::from(ranks.1) - i64::from(ranks.0)),
        delta_entropy: known(f64::from(of_q.entropy[row]) - f64::from(p.entropy[row])),
        class: class.name(),
    }
}

fn known(number: f64) -> Option<f64> {
    Some(number).filter(|number| !number.is_nan())
}
