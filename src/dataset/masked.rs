//! Rows of token ids with a mask, as agents and RL trainers write them: several stretches of one sequence were sampled.
//!
//! Owns what a mask may be. The row is one sample whose response tokens are the sampled ones, as in an import of recorded
//! numbers, so that both have the same positions.

use serde::Deserialize;

use crate::dataset::content::Content;
use crate::dataset::endings::Endings;
use crate::dataset::named::Named;

/// An entry of a mask: a flag, or a number as tensors contain it.
#[derive(Deserialize)]
#[serde(untagged, expecting = "true, false, 1 or 0")]
enum Flag {
    Bool(bool),
    Number(f64),
}

/// The one sample of a row, by the names that its shape has for the ids and their mask.
///
/// # Errors
/// Values that are no ids or no flags, or a mask of another length.
pub fn contents(row: &Named, needs: &[&str]) -> Result<Vec<Content>, String> {
    let [ids_name, mask_name] = needs[..] else { return Err("the shape has no mask".to_owned()) };
    let mut ids: Vec<u32> = row.list(ids_name, "token ids")?;
    let flags: Vec<Flag> = row.list(mask_name, "flags (true and false, or 1 and 0)")?;
    if flags.len() != ids.len() {
        let (mask, ids_are) = (row.called(mask_name), row.called(ids_name));
        return Err(format!("`{mask}` has {} entries for {} token ids in `{ids_are}`", flags.len(), ids.len()));
    }
    let flag = |(place, flag): (usize, &Flag)| match *flag {
        Flag::Bool(is_sampled) => Ok(is_sampled),
        Flag::Number(0.0) => Ok(false),
        Flag::Number(1.0) => Ok(true),
        Flag::Number(other) => Err(format!("`{}` is no list of flags: item {place} is {other}", row.called(mask_name))),
    };
    let mut sampled = flags.iter().enumerate().map(flag).collect::<Result<Vec<bool>, String>>()?;
    // No prediction is read after the last sampled token, and padding may follow it.
    let length = sampled.iter().rposition(|is_sampled| *is_sampled).map_or(ids.len(), |last| last + 1);
    ids.truncate(length);
    sampled.truncate(length);
    Ok(vec![Content::Masked { ids, sampled, cut: Endings::of(row, 1)?.is_cut(0) }])
}
