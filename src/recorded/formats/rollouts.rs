//! Rollouts with the numbers of two programs: what sampled the tokens, and what trains on them.
//!
//! Owns prime-rl's token exports (`prime_rl/trainer/rl/token_export.py`, schema version 1) and NeMo-RL's
//! `train_data_step*.jsonl` (`nemo_rl/algorithms/grpo.py`, `nemo_rl/utils/logger.py`). Both have a number at the place of
//! its token in the whole sequence.

use std::path::Path;

use super::fields::{Columns, Row, sequence};
use crate::recorded::numbers;
use crate::recorded::row::RecordedRow;
use crate::sample::Kept;

/// Fields of prime-rl; the first four are what a row of it has.
pub const PRIME_RL: [&str; 9] = [
    "token_ids",
    "inference_logprobs",
    "trainer_logprobs",
    "loss_mask",
    "entropy",
    "advantages",
    "rewards",
    "step",
    "env_name",
];
/// What is kept of prime-rl's rows.
pub const PRIME_RL_KEPT: [&str; 4] = ["step", "env_name", "reward", "advantage"];

/// Fields of NeMo-RL; the first four are what a row of it has.
pub const NEMO_RL: [&str; 9] = [
    "token_ids",
    "generation_logprobs",
    "prev_logprobs",
    "token_loss_mask",
    "input_lengths",
    "rewards",
    "advantages",
    "sample_loss_mask",
    "idx",
];
/// What is kept of NeMo-RL's rows; the step is that of the file's name.
pub const NEMO_RL_KEPT: [&str; 4] = ["step", "reward", "advantage", "sample_loss_mask"];

/// What a number of a sampled token is missing for.
const NOT_FINITE: &str = "null stands for a number that was not finite";

/// Reads a row of prime-rl.
///
/// # Errors
/// What is wrong with its ids or its mask.
pub fn prime_rl(row: &Row) -> Result<RecordedRow, String> {
    let (ids, mask) = (row.ids("token_ids")?, row.flags(&["loss_mask"])?);
    row.need("loss_mask")?;
    let columns = |name: &str| {
        let logprob = row.numbers(name)?;
        let missing = mask.iter().flatten().zip(&logprob).position(|(sampled, logprob)| *sampled && logprob.is_none());
        match missing {
            Some(token) => Err(format!("`{name}` of token {token} is null, and the token was sampled: {NOT_FINITE}")),
            None => Ok(Columns { logprob, name: name.to_owned(), ..Columns::default() }),
        }
    };
    // The entropy is that of the trainer's distribution.
    let trainer = columns("trainer_logprobs").and_then(|trainer| {
        let entropy = row.optional_numbers("entropy")?;
        Ok(Columns { entropy, ..trainer })
    });
    let kept = vec![
        number(row, "step")?,
        row.label("env_name")?.map_or(Kept::Null, Kept::Text),
        of_tokens(row, "rewards", mask.as_deref())?,
        of_tokens(row, "advantages", mask.as_deref())?,
    ];
    let sample = sequence(ids, mask.clone(), vec![columns("inference_logprobs"), trainer], false)?;
    Ok(RecordedRow { samples: vec![sample], kept, ..RecordedRow::default() })
}

/// Reads a row of NeMo-RL, whose values are lists of one row, padded to the batch's longest.
///
/// # Errors
/// What is wrong with its ids, its mask or its length.
pub fn nemo_rl(row: &Row, file: &Path) -> Result<RecordedRow, String> {
    let (mut ids, mut mask) = (row.ids("token_ids")?, row.flags(&["token_loss_mask"])?);
    row.need("token_loss_mask")?;
    let padded = ids.len();
    if let Some(mask) = mask.as_ref().filter(|mask| mask.len() != padded) {
        return Err(format!("the mask has {} entries for {padded} token ids", mask.len()));
    }
    let length = match one(row, "input_lengths")? {
        Kept::Number(length) if length.fract() == 0.0 && (0.0..=padded as f64).contains(&length) => length as usize,
        Kept::Null => padded,
        _ => return Err(format!("`input_lengths` is no length of up to {padded}")),
    };
    ids.truncate(length);
    if let Some(mask) = &mut mask {
        mask.truncate(length);
    }
    let columns = |name: &str| {
        let mut logprob = row.numbers(name)?;
        if logprob.len() != padded {
            return Err(format!("`{name}` has {} entries for {padded} token ids", logprob.len()));
        }
        logprob.truncate(length);
        Ok(Columns { logprob, name: name.to_owned(), ..Columns::default() })
    };
    let kept = vec![
        step_of(file).map_or(Kept::Null, Kept::Number),
        one(row, "rewards")?,
        of_tokens(row, "advantages", mask.as_deref())?,
        one(row, "sample_loss_mask")?,
    ];
    let models = vec![columns("generation_logprobs"), columns("prev_logprobs")];
    let sample = sequence(ids, mask, models, false)?;
    Ok(RecordedRow { id: row.label("idx")?, samples: vec![sample], kept, ..RecordedRow::default() })
}

/// N of `train_data_stepN.jsonl`.
fn step_of(file: &Path) -> Option<f64> {
    let name = file.file_name()?.to_str()?;
    let digits: String =
        name.split_once("step")?.1.trim_start_matches('_').chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

/// A number, or null.
fn number(row: &Row, name: &str) -> Result<Kept, String> {
    let Some(raw) = row.get(name) else { return Ok(Kept::Null) };
    let number = numbers::number(raw).ok_or_else(|| format!("`{}` is no number", row.called(name)))?;
    Ok(Kept::Number(number))
}

/// A number, which a list may contain as its only item.
fn one(row: &Row, name: &str) -> Result<Kept, String> {
    match row.get(name) {
        Some(raw) if raw.starts_with('[') => match row.numbers(name)?[..] {
            [number] => Ok(number.map_or(Kept::Null, Kept::Number)),
            _ => Err(format!("`{}` is no list of one number", row.called(name))),
        },
        _ => number(row, name),
    }
}

/// The number that all sampled tokens share; null if they differ. One number alone is that of the whole row.
fn of_tokens(row: &Row, name: &str, mask: Option<&[bool]>) -> Result<Kept, String> {
    let Some(raw) = row.get(name) else { return Ok(Kept::Null) };
    if !raw.starts_with('[') {
        return number(row, name);
    }
    let (all, mask) = (row.numbers(name)?, mask.unwrap_or_default());
    let of_sampled: Vec<Option<f64>> = match all[..] {
        [one] => vec![one],
        _ => all.iter().zip(mask).filter(|(_, sampled)| **sampled).map(|(number, _)| *number).collect(),
    };
    Ok(match of_sampled[..] {
        [Some(first), ref rest @ ..] if rest.iter().all(|other| *other == Some(first)) => Kept::Number(first),
        _ => Kept::Null,
    })
}
