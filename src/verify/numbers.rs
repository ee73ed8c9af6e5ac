//! What must be true of one row's numbers, whatever the model.
//!
//! Owns the ranges, the list, and the sum of probabilities. Not here: the rows around it (`tokens`).
//!
//! Not checked: that equal entries of a list are ordered by id. They are ordered by logits, and two logits may round
//! to one log-probability.

use super::report::Kind;
use super::rows::TokenRow;

/// What [`crate::reduce`] and rounding to f32 may be off by.
const TOLERANCE: f64 = 1e-5;

/// What half a step of a logits file may be off by, and its probabilities' sum with it: 16/65,535/2 nats.
const HALF_A_STEP: f64 = 1.3e-4;

/// No vocabulary is larger: ids have 32 bits.
const MAX_VOCAB: usize = 1 << 32;

/// What the manifest says of a cell's numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// Another program recorded them: lists may differ in length, and some rows may lack what others have.
    pub is_recorded: bool,
    /// Every column is filled and every list has its length: the engine is ours.
    pub is_whole: bool,
    /// Length of the lists, longest where not all are whole.
    pub top_k: usize,
    /// Ids that the model can score, where that is known.
    pub vocab: Option<usize>,
    /// Ranks count the entries above.
    pub strict_ranks: bool,
    /// Log-probabilities are in the steps of a logits file of llama.cpp.
    pub is_in_steps: bool,
}

/// Tells everything that is wrong with the numbers of a scored token.
pub(super) fn check(row: &TokenRow, rules: Rules, report: &mut dyn FnMut(Kind, String)) {
    match row.logprob {
        Some(x) if x > 0.0 => report(Kind::Value, format!("logprob is {x}, above 0")),
        Some(x) if x.is_nan() => report(Kind::Value, "logprob is NaN".to_owned()),
        None => report(Kind::Value, "logprob is null".to_owned()),
        Some(_) => {}
    }
    let vocab = rules.vocab.unwrap_or(MAX_VOCAB);
    if let Some(x) = row.entropy
        && !(-TOLERANCE..=(vocab as f64).ln() + TOLERANCE).contains(&f64::from(x))
    {
        report(Kind::Value, format!("entropy is {x}, outside 0 to ln {vocab}"));
    }
    if let Some(id) = row.token_id.iter().chain(row.top_ids.iter()).find(|id| **id as usize >= vocab) {
        report(Kind::Value, format!("token {id} is outside the vocabulary of {vocab}"));
    }
    unfilled(row, rules, report);
    if row.rank == Some(0) {
        report(Kind::Value, "rank is 0".to_owned());
    }
    for (name, value) in [("rest_logprob", row.rest_logprob), ("min_logprob", row.min_logprob)] {
        if let Some(x) = value.filter(|x| x.is_nan() || *x > TOLERANCE as f32) {
            report(Kind::Value, format!("{name} is {x}"));
        }
    }
    if row.logit.is_some_and(f32::is_nan) {
        report(Kind::Value, "logit is NaN".to_owned());
    }
    if let Err(what) = list(row, rules) {
        return report(Kind::List, what);
    }
    lowest(row, report);
    mass(row, rules, report);
}

/// Columns that the engine fills and that are empty.
fn unfilled(row: &TokenRow, rules: Rules, report: &mut dyn FnMut(Kind, String)) {
    let holds = [
        ("logit", row.logit.is_some()),
        ("rank", row.rank.is_some()),
        ("ties", row.ties.is_some()),
        ("entropy", row.entropy.is_some()),
        ("rest_logprob", row.rest_logprob.is_some()),
        ("min_logprob", row.min_logprob.is_some()),
    ];
    for (name, _) in holds.into_iter().filter(|(_, holds)| rules.is_whole && !holds) {
        report(Kind::Value, format!("{name} is null, though the engine fills it"));
    }
}

/// The list must be one, and say the same of the token as the token's own columns.
fn list(row: &TokenRow, rules: Rules) -> Result<(), String> {
    let (ids, logprobs) = (row.top_ids, row.top_logprobs);
    if ids.len() != logprobs.len() || ids.len() > rules.top_k || rules.is_whole && ids.len() < rules.top_k {
        let (ids, logprobs, k) = (ids.len(), logprobs.len(), rules.top_k);
        return Err(format!("{ids} top_ids and {logprobs} top_logprobs where the manifest has k = {k}"));
    }
    if let Some(x) = logprobs.iter().find(|x| x.is_nan() || **x > 0.0) {
        return Err(format!("top_logprobs contain {x}"));
    }
    if let Some((a, b)) = logprobs.iter().zip(logprobs.iter().skip(1)).find(|(a, b)| a < b) {
        return Err(format!("top_logprobs ascend from {a} to {b}"));
    }
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    if let Some((id, _)) = sorted.iter().zip(sorted.iter().skip(1)).find(|(a, b)| a == b) {
        return Err(format!("top_ids contain {id} twice"));
    }
    match (row.token_id, row.logprob) {
        (Some(id), Some(logprob)) if !ids.is_empty() => of_token(row, rules, id, logprob),
        _ => Ok(()),
    }
}

/// The token's own log-probability and rank compared with the list.
fn of_token(row: &TokenRow, rules: Rules, id: u32, logprob: f32) -> Result<(), String> {
    let logprobs = row.top_logprobs;
    let place = row.top_ids.iter().position(|&other| other == id);
    match place {
        Some(place) if logprobs[place].to_bits() != logprob.to_bits() => {
            return Err(format!("logprob is {logprob}, the list has {} for token {id}", logprobs[place]));
        }
        None if logprobs.last().is_some_and(|&last| logprob > last) => {
            return Err(format!("token {id} has logprob {logprob}, above the list's last, but is not in it"));
        }
        _ => {}
    }
    let Some(rank) = row.rank.filter(|_| rules.strict_ranks) else { return Ok(()) };
    // Entries above it by log-probability are above it by logit; of equal ones, those before it may be.
    let above = logprobs.iter().take_while(|&&x| x > logprob).count() as u64;
    let most = place.map_or(u64::MAX, |place| place as u64 + 1);
    if !(above + 1..=most).contains(&u64::from(rank)) {
        return Err(format!("rank is {rank}, {above} entries of the list are above the token"));
    }
    // Outside the list: all its entries are above the token or tie with it.
    let (listed, ties) = (logprobs.len() as u64, row.ties.map(u64::from));
    if place.is_none() && ties.is_some_and(|ties| u64::from(rank) + ties <= listed) {
        return Err(format!("rank is {rank}, but token {id} is not among the {listed} of the list"));
    }
    Ok(())
}

/// Nothing is less likely than the least likely.
fn lowest(row: &TokenRow, report: &mut dyn FnMut(Kind, String)) {
    let Some(min) = row.min_logprob else { return };
    if let Some(x) = row.logprob.iter().chain(row.top_logprobs.last()).find(|x| **x < min) {
        report(Kind::Value, format!("min_logprob is {min}, above {x}"));
    }
}

/// The list, the rest and the token are everything.
fn mass(row: &TokenRow, rules: Rules, report: &mut dyn FnMut(Kind, String)) {
    let (Some(rest), Some(logprob), Some(id)) = (row.rest_logprob, row.logprob, row.token_id) else { return };
    let p = |x: f32| f64::from(x).exp();
    let own = if row.top_ids.contains(&id) { 0.0 } else { p(logprob) };
    let sum = row.top_logprobs.iter().map(|&x| p(x)).sum::<f64>() + p(rest) + own;
    let tolerance = if rules.is_in_steps { HALF_A_STEP } else { TOLERANCE };
    if sum.is_nan() || (sum - 1.0).abs() > tolerance {
        report(Kind::Mass, format!("list, rest and token add up to {sum}"));
    }
}
