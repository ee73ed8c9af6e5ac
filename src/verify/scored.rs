//! Which tokens of a part have a log-probability by a model.
//!
//! Owns reading the few columns that say so. Not here: checking the table (`tokens`).

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::schema::token;
use crate::store::ResultFile;
use crate::table::{TableReader, TokenColumns};

const COLUMNS: [&str; 4] = [token::SAMPLE_ID, token::POSITION, token::TOKEN_ID, token::LOGPROB];

/// By sample and position, a token's id.
pub(super) type Ids = BTreeMap<(u32, u32), Option<u32>>;

/// `None` of a table that cannot be read.
pub(super) fn read(file: &ResultFile) -> Option<Ids> {
    // Decoders panic on some broken bytes.
    catch_unwind(AssertUnwindSafe(|| decode(file))).ok().flatten()
}

fn decode(file: &ResultFile) -> Option<Ids> {
    let mut found = BTreeMap::new();
    for batch in TableReader::open(file.open().ok()?).ok()?.columns(&COLUMNS).ok()? {
        let TokenColumns { rows, sample_id, position, token_id, logprob, .. } = batch.ok()?;
        for row in (0..rows).filter(|&row| logprob.get(row).is_some()) {
            found.insert((sample_id.get(row)?, position.get(row)?), token_id.get(row));
        }
    }
    Some(found)
}
