//! From which top token to which the distributions moved.
//!
//! Owns one pass over the pairs table, and the choice of the pairs of tokens with most KL. Not here: the tokens that were
//! written there (`exact`).

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use polars::prelude::{col, lit};

use super::read_first::{any, tokens_at};
use crate::error::Result;
use crate::schema::{pair, token};
use crate::shift::query::batches::{self, Order};
use crate::shift::query::look_up;
use crate::shift::result::exact::MovedTop;
use crate::shift::tables::files::PairTables;
use crate::shift::tables::pair_files::PairFiles;
use crate::table::vocabulary_texts;

/// What is added up of the positions with the same two top tokens.
#[derive(Clone, Copy, Default)]
struct Sum {
    places: u64,
    kl: f64,
    /// The largest KL, and the first position that has it.
    largest: f64,
    at: (u32, u32),
}

/// By P's and Q's top tokens, and the KL of all positions.
#[derive(Default)]
struct Sums {
    moved: BTreeMap<(u32, u32), Sum>,
    kl: f64,
}

/// The `most` pairs of different top tokens with the largest sums of KL, the largest first; equal ones in the order of
/// ids.
pub fn of_pair(tables: &PairTables, exact: &PairFiles, most: usize) -> Result<Vec<MovedTop>> {
    let sums = sums(exact)?;
    let mut found: Vec<_> = sums.moved.into_iter().filter(|(_, sum)| sum.kl > 0.0).collect();
    // Sums are positive, so their bits are in their order.
    found.sort_by_key(|(_, sum)| Reverse(sum.kl.to_bits()));
    found.truncate(most);
    let places: Vec<_> = found.iter().map(|(_, sum)| sum.at).collect();
    let mut examples = tokens_at(tables, &places)?;
    let texts = texts(tables, found.iter().flat_map(|((from, to), _)| [*from, *to]).collect())?;
    let moved = found.into_iter().map(|((from_id, to_id), sum)| MovedTop {
        from_id,
        from: texts.get(&from_id).cloned(),
        to_id,
        to: texts.get(&to_id).cloned(),
        places: sum.places,
        kl: sum.kl,
        share_of_kl: sum.kl / sums.kl,
        example: examples.remove(&sum.at),
    });
    Ok(moved.collect())
}

fn sums(exact: &PairFiles) -> Result<Sums> {
    batches::fold(look_up::tops(exact)?, Order::Rows, Sums::default(), |sums, batch| {
        let [ids, positions] = [batch.column(token::SAMPLE_ID)?.u32()?, batch.column(token::POSITION)?.u32()?];
        let [from, to] = [batch.column(pair::TOP_P)?.u32()?, batch.column(pair::TOP_Q)?.u32()?];
        let kls = batch.column(pair::KL)?.f64()?;
        for row in 0..batch.height() {
            let (Some(from), Some(to), Some(kl)) = (from.get(row), to.get(row), kls.get(row)) else { continue };
            sums.kl += kl;
            if from == to {
                continue;
            }
            let sum = sums.moved.entry((from, to)).or_default();
            sum.places += 1;
            sum.kl += kl;
            if kl > sum.largest {
                (sum.largest, sum.at) =
                    (kl, (ids.get(row).unwrap_or_default(), positions.get(row).unwrap_or_default()));
            }
        }
        Ok(())
    })
}

/// Texts of tokens where they were written, the first that is not empty; else as the vocabulary has them.
fn texts(tables: &PairTables, ids: BTreeSet<u32>) -> Result<BTreeMap<u32, String>> {
    let mut texts = of_vocabulary(tables, &ids)?;
    texts.extend(written(tables, ids)?);
    Ok(texts)
}

/// Texts of ids in the directory's vocabulary; none without one.
pub fn of_vocabulary(tables: &PairTables, ids: &BTreeSet<u32>) -> Result<BTreeMap<u32, String>> {
    match &tables.vocabulary {
        Some(file) if !ids.is_empty() => vocabulary_texts(file.open()?, ids),
        _ => Ok(BTreeMap::new()),
    }
}

fn written(tables: &PairTables, ids: BTreeSet<u32>) -> Result<BTreeMap<u32, String>> {
    let chosen = any(ids.into_iter().map(|id| col(token::TOKEN_ID).eq(lit(id))));
    batches::fold(look_up::texts(&tables.p, &chosen)?, Order::Rows, BTreeMap::new(), |texts, batch| {
        let (ids, found) = (batch.column(token::TOKEN_ID)?.u32()?, batch.column(token::TOKEN)?.str()?);
        for (id, text) in ids.iter().zip(found.iter()) {
            if let Some((id, text)) = id.zip(text.filter(|text| !text.is_empty())) {
                texts.entry(id).or_insert_with(|| text.to_owned());
            }
        }
        Ok(())
    })
}
