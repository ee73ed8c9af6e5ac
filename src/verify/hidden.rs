//! Checks a part's hidden states: that they were written with its tokens table, and belong to its samples.

use std::collections::HashMap;

use super::report::Kind;
use super::samples::Sample;
use super::source::Broken;
use crate::hidden::Reader;
use crate::store::ResultFile;
use crate::table::Origin;

/// Every scored sample has a hidden state before each of its tokens that has one, and one after the last.
///
/// # Errors
/// A file that is missing, damaged, of another part or tokens table, or lacks rows.
pub(super) fn check(
    file: &ResultFile,
    samples: &[Sample],
    origin: &Origin,
    tokens: Option<&str>,
) -> Result<(), Broken> {
    if !file.exists() {
        return Err((Kind::Missing, "is missing, though its tokens are there: was it deleted?".to_owned()));
    }
    let reader = file.open().and_then(Reader::new).map_err(|e| (Kind::Checksum, e.to_string()))?;
    if let Some(what) = origin.denied_by(Origin::of_json(reader.origin()).as_ref()) {
        return Err((Kind::Moved, what));
    }
    if !reader.is_beside(tokens) {
        let what = "was made with another tokens table than the one that is here: files of two runs are mixed";
        return Err((Kind::Mixed, what.to_owned()));
    }
    let mut rows: HashMap<u32, u32> = HashMap::new();
    for id in &reader.index().sample_id {
        *rows.entry(*id).or_default() += 1;
    }
    for sample in samples.iter().filter(|sample| sample.status.is_scored()) {
        let bare = u32::from(sample.context_tokens == Some(0));
        let (found, expected) = (rows.get(&sample.id).copied().unwrap_or_default(), sample.response_tokens + 1 - bare);
        if found != expected {
            return Err((Kind::Rows, format!("{found} hidden states of sample {}, expected {expected}", sample.id)));
        }
    }
    Ok(())
}
