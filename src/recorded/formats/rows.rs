//! Rows of ids and log-probabilities: `{token_ids, logprobs, mask?, top_logprobs?, …}`.
//!
//! Owns this format, which is tokshift's own, for programs that have no other.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::fields::{Columns, ENDINGS, Row, sequence};
use super::lists::by_id;
use crate::recorded::numbers;
use crate::recorded::row::RecordedRow;

/// Its fields; the first two are what a row of it has.
pub const FIELDS: [&str; 16] = [
    "token_ids",
    "logprobs",
    "mask",
    "loss_mask",
    "top_logprobs",
    "ranks",
    "entropy",
    "id",
    "model",
    ENDINGS[0],
    ENDINGS[1],
    ENDINGS[2],
    ENDINGS[3],
    ENDINGS[4],
    ENDINGS[5],
    ENDINGS[6],
];

/// Reads a row.
///
/// # Errors
/// What is wrong with its ids or its mask.
pub fn read(row: &Row) -> Result<RecordedRow, String> {
    let (ids, mask) = (row.ids("token_ids")?, row.flags(&["mask", "loss_mask"])?);
    let mut sample = sequence(ids, mask, vec![columns(row)], true)?;
    sample.is_cut = row.is_cut()?;
    Ok(RecordedRow { id: row.label("id")?, samples: vec![sample], ..RecordedRow::default() })
}

fn columns(row: &Row) -> Result<Columns, String> {
    Ok(Columns {
        logprob: row.numbers("logprobs")?,
        name: row.called("logprobs").to_owned(),
        rank: row.optional_numbers("ranks")?,
        entropy: row.optional_numbers("entropy")?,
        top: row.get("top_logprobs").map(|raw| lists(row.called("top_logprobs"), raw)).transpose()?,
    })
}

/// A list for each token: null, `{"ID": logprob}`, `[[id, logprob]]` or `[{"token_id", "logprob"}]`.
fn lists(name: &str, raw: &str) -> Result<Vec<Vec<(u32, f64)>>, String> {
    let tokens: Vec<Option<&RawValue>> =
        serde_json::from_str(raw).map_err(|e| format!("`{name}` is no list of lists: {e}"))?;
    let one = |(token, list): (usize, Option<&RawValue>)| {
        let list = list.map_or(Ok(Vec::new()), |list| entries(list.get()));
        list.map_err(|what| format!("`{name}`, item {token}: {what}"))
    };
    tokens.into_iter().enumerate().map(one).collect()
}

/// The entries of a list, in any of its forms.
fn entries(raw: &str) -> Result<Vec<(u32, f64)>, String> {
    if raw.starts_with('{') {
        return Ok(by_id(raw)?.into_iter().map(|entry| (entry.id, entry.logprob)).collect());
    }
    let items: Vec<&RawValue> = serde_json::from_str(raw).map_err(|_| FORMS.to_owned())?;
    let entry = |item: &RawValue| {
        let (id, logprob) = match serde_json::from_str::<(u32, &RawValue)>(item.get()) {
            Ok(pair) => pair,
            Err(_) => serde_json::from_str::<Named>(item.get())
                .map(|named| (named.token_id, named.logprob))
                .map_err(|_| FORMS)?,
        };
        let logprob = numbers::number(logprob.get());
        Ok((id, logprob.ok_or_else(|| format!("the entry of id {id} has no number"))?))
    };
    items.into_iter().map(entry).collect()
}

const FORMS: &str = "expected {\"ID\": logprob}, [[id, logprob]] or [{\"token_id\", \"logprob\"}]";

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(alias = "id")]
    token_id: u32,
    #[serde(borrow)]
    logprob: &'a RawValue,
}
