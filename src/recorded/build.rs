//! From recorded numbers to samples and scores, the form that every table is made of.
//!
//! Owns which column each number goes to, and what makes a sample's numbers unusable. Not here: formats, files.

use super::numbers::{self, Noted};
use super::row::{Numbers, RecordedRow, RecordedSample, Unscored};
use crate::digest;
use crate::sample::{Recorded, ResponseToken, Sample, Status};
use crate::scores::TokenScores;
use crate::table::ScoredSample;

/// Where a row stands.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Number in the import from 0.
    pub row: u32,
    /// Number of its first sample.
    pub first_sample: u32,
    /// How a message names it, such as `line 3`.
    pub name: &'a str,
    /// Ids that the model can score, if that is known.
    pub vocab: Option<u32>,
}

/// The samples of a row as `model` (its place in the import's order) scored them; what was noted of its numbers is added
/// to `noted`. An unreadable row is one failed sample.
pub fn samples(row: &Result<RecordedRow, String>, place: Place, model: usize, noted: &mut Noted) -> Vec<ScoredSample> {
    match row {
        Ok(row) => {
            let one = |(turn, sample): (u32, &RecordedSample)| of_model(row, sample, (place, turn), model, noted);
            (0..).zip(&row.samples).map(one).collect()
        }
        Err(reason) => {
            let mut sample = blank(place, 0);
            sample.fail(Status::Failed, format!("{}: {reason}", place.name));
            vec![ScoredSample { sample, scores: None }]
        }
    }
}

fn of_model(
    row: &RecordedRow,
    recorded: &RecordedSample,
    (place, turn): (Place, u32),
    model: usize,
    noted: &mut Noted,
) -> ScoredSample {
    let mut sample = blank(place, turn);
    fill(&mut sample, row, recorded);
    let scores = recorded.numbers[model].as_ref().map_err(Clone::clone).and_then(|found| {
        let mut of_sample = Noted::default();
        let scores = scores(found, recorded, place.vocab, &mut of_sample).map_err(Unscored::failed)?;
        noted.add(of_sample);
        Ok(scores)
    });
    let scores = match scores {
        Ok(scores) if scores.is_empty() => {
            sample.fail(Status::Empty, format!("{}: no sampled token has a token before it", place.name));
            None
        }
        Ok(scores) => Some(scores),
        Err(Unscored { status, reason }) => {
            sample.fail(status, format!("{}: {reason}", place.name));
            None
        }
    };
    ScoredSample { sample, scores }
}

fn blank(Place { row, first_sample, .. }: Place, turn: u32) -> Sample {
    Sample {
        sample_id: first_sample + turn,
        row,
        row_id: None,
        turn,
        is_cut: None,
        cluster_id: format!("row {row}"),
        prompt: String::new(),
        response: String::new(),
        ids: Vec::new(),
        tokens: Vec::new(),
        prompt_tokens_alone: 0,
        recorded: Some(Recorded { context: false, text: false }),
        kept: Vec::new(),
        status: Status::Ok,
        reason: None,
    }
}

/// Everything of a sample that all models share.
fn fill(sample: &mut Sample, row: &RecordedRow, recorded: &RecordedSample) {
    let has_text = !recorded.texts.is_empty();
    let mut end = 0;
    let token = |(place, &index): (usize, &u32)| {
        let start = end;
        end += recorded.texts.get(place).map_or(0, String::len) as u32;
        ResponseToken { index, start, end, straddles: false, is_end: false }
    };
    sample.tokens = recorded.places.iter().enumerate().map(token).collect();
    sample.response = recorded.texts.concat();
    sample.ids.clone_from(&recorded.ids);
    sample.recorded = Some(Recorded { context: recorded.has_context, text: has_text });
    sample.row_id.clone_from(&row.id);
    sample.is_cut = recorded.is_cut;
    sample.kept.clone_from(&row.kept);
    if let Some(cluster) = &row.cluster {
        sample.cluster_id.clone_from(cluster);
    } else if recorded.has_context && !sample.context().is_empty() {
        sample.cluster_id = digest::ids(sample.context());
    }
}

/// The columns of a sample.
///
/// # Errors
/// What makes its numbers unusable: one that is missing, out of range or of another length.
fn scores(
    found: &Numbers,
    recorded: &RecordedSample,
    vocab: Option<u32>,
    noted: &mut Noted,
) -> Result<TokenScores, String> {
    let (Numbers { logprob, rank, entropy, top, lost_lists }, scored) = (found, recorded.scored());
    noted.lost_lists += lost_lists;
    let lengths = [("log-probabilities", logprob.len()), ("ranks", rank.len()), ("entropies", entropy.len())];
    for (what, length) in lengths.into_iter().chain([("lists", top.len())]) {
        if length != scored && (length != 0 || what == "log-probabilities") {
            return Err(format!("{length} {what} for {scored} sampled tokens"));
        }
    }
    let first = recorded.places.len() - scored;
    let place = |token: usize| recorded.places[first + token];
    let mut scores = TokenScores { rank: rank.clone(), ..TokenScores::default() };
    for (token, value) in logprob.iter().enumerate() {
        let at = place(token);
        let value = value.ok_or_else(|| format!("token {at} was sampled and has no log-probability"))?;
        let value = numbers::logprob(value, noted);
        scores.logprob.push(value.map_err(|what| format!("the log-probability of token {at} {what}"))?);
    }
    if let Some(token) = rank.iter().position(|&rank| rank == 0) {
        return Err(format!("the rank of token {} is 0; the most likely token has rank 1", place(token)));
    }
    for (token, &value) in entropy.iter().enumerate() {
        // Rounding may put it below 0; nothing is above that of equal probabilities.
        let most = f64::from(vocab.unwrap_or(u32::MAX)).ln();
        if !(-1e-3..=most + 1e-5).contains(&value) {
            return Err(format!("the entropy of token {} is {value}, outside 0 to {most:.4}", place(token)));
        }
        scores.entropy.push((value as f32).max(0.0));
    }
    lists(&mut scores, top, recorded, noted)?;
    Ok(scores)
}

/// The lists of most likely tokens: sorted by probability, then by id, and of equal meaning as the tokens' own numbers.
fn lists(
    scores: &mut TokenScores,
    top: &[Vec<(u32, f64)>],
    recorded: &RecordedSample,
    noted: &mut Noted,
) -> Result<(), String> {
    let first = recorded.places.len() - recorded.scored();
    for (token, list) in top.iter().enumerate() {
        let at = recorded.places[first + token];
        let mut entries = Vec::with_capacity(list.len());
        for &(id, value) in list {
            let value = numbers::logprob(value, noted);
            entries
                .push((id, value.map_err(|what| format!("the log-probability of {id} in token {at}'s list {what}"))?));
        }
        entries.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let mut seen: Vec<u32> = entries.iter().map(|(id, _)| *id).collect();
        seen.sort_unstable();
        if let Some((twice, _)) = seen.iter().zip(seen.iter().skip(1)).find(|(a, b)| a == b) {
            return Err(format!("token {at}'s list has {twice} twice"));
        }
        if let (Some(&own), Some(&logprob)) = (recorded.ids.get(at as usize), scores.logprob.get(token)) {
            agrees(&entries, own, logprob).map_err(|what| format!("token {at}: {what}"))?;
        }
        scores.k = scores.k.max(entries.len());
        scores.top_ids.extend(entries.iter().map(|(id, _)| *id));
        scores.top_ends.push(scores.top_ids.len() as u32);
        scores.top_logprobs.extend(entries.iter().map(|(_, logprob)| *logprob));
    }
    Ok(())
}

/// A list must give the token itself its own log-probability, and have no room for it if it leaves it out.
fn agrees(entries: &[(u32, f32)], own: u32, logprob: f32) -> Result<(), String> {
    match entries.iter().find(|(id, _)| *id == own) {
        Some((_, listed)) if listed.to_bits() != logprob.to_bits() => {
            Err(format!("its log-probability is {logprob}, its list has {listed}"))
        }
        None if entries.last().is_some_and(|(_, last)| logprob > *last) => {
            Err(format!("its log-probability {logprob} is above the last of its list, which leaves it out"))
        }
        _ => Ok(()),
    }
}
