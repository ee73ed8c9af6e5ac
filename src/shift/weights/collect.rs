//! The tokens of a pair, added up sample by sample for its weights.
//!
//! Owns this pass, which reads two columns of each tokens table.

use super::sequence::Sequence;
use crate::error::Result;
use crate::schema::token;
use crate::shift::pass::merge::{self, Reads, Run};
use crate::shift::pass::sums::Sums;
use crate::shift::tables::files::PairTables;

/// The samples that `sums` are of, in their order. Memory: some 350 bytes a sample.
///
/// # Errors
/// Those of [`merge::fold`].
pub fn sequences(tables: &PairTables, sums: &Sums, cap: f64) -> Result<Vec<Sequence>> {
    let reads =
        Reads { columns: vec![token::LOGPROB, token::ENTROPY], lists: false, texts: false, exact: false, every: 1 };
    let footers = [&sums.footers[0], &sums.footers[1]];
    let step = |found: &mut Vec<Sequence>, run: &Run| {
        for row in 0..run.len() {
            add(found, run, row, sums, cap);
        }
        Ok(())
    };
    let mut found = merge::fold(tables, footers, &reads, Vec::new, step)?.concat();
    found.sort_by_key(|one| one.id);
    Ok(found)
}

fn add(found: &mut Vec<Sequence>, run: &Run, row: usize, sums: &Sums, cap: f64) {
    let id = run.sample_id(row);
    if found.last().is_none_or(|last| last.id != id) {
        let Ok(place) = sums.facts.binary_search_by_key(&id, |facts| facts.id) else { return };
        found.push(Sequence::new(id, sums.facts[place].cluster));
    }
    let token = run.token(row, 0);
    if let (Some(last), Some(a), Some(b)) = (found.last_mut(), token.a(), token.b()) {
        last.add(a, b, token.q.entropy, cap);
    }
}
