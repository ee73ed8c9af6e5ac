//! Statistics that only a pairs table contains: the tokens at which the distributions moved, and the probability to
//! end.
//!
//! Owns two passes over it. Not here: from which top token to which it moved (`moved`), and the means of its measures,
//! which are computed like all other means.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use polars::prelude::DataFrame;

use super::moved;
use crate::error::Result;
use crate::sample::Status;
use crate::schema::{pair, token};
use crate::shift::numbers::stats::{clustered_mean, shares};
use crate::shift::pass::sums::Sums;
use crate::shift::query::batches::{self, Order};
use crate::shift::query::look_up::{self, STOPS};
use crate::shift::result::exact::{ExactFigures, ShiftedToken, Stop};
use crate::shift::tables::files::PairTables;
use crate::shift::tables::pair_files::PairFiles;

/// Of each list.
const MOST: usize = 10;

/// Q's rank of P's top token above which a position is shifted (Lin et al. 2023, URIAL).
const SHIFTED: f64 = 3.0;

pub fn of_pair(tables: &PairTables, sums: &Sums) -> Result<Option<ExactFigures>> {
    let Some(exact) = &tables.exact else { return Ok(None) };
    let mut tokens = by_token(tables)?;
    // End tokens have no text where they were written.
    let lacks_text = |token: &ShiftedToken| token.token.as_ref().is_none_or(String::is_empty);
    let ids = tokens.iter().filter(|token| lacks_text(token)).map(|token| token.token_id).collect();
    let texts = moved::of_vocabulary(tables, &ids)?;
    for token in tokens.iter_mut().filter(|token| lacks_text(token)) {
        token.token = texts.get(&token.token_id).cloned().or(token.token.take());
    }
    let most = |size: fn(&ShiftedToken) -> f64| {
        let mut found: Vec<_> = tokens.iter().filter(|token| size(token) > 0.0).cloned().collect();
        // Sizes are positive, so their bits are in their order; equal ones stay in the order of ids.
        found.sort_by_key(|token| Reverse(size(token).to_bits()));
        found.truncate(MOST);
        found
    };
    Ok(Some(ExactFigures {
        temperature: exact.temperature,
        // Without the ranks it is not known of any token.
        most_shifted: if exact.is_turned { Vec::new() } else { most(|token| token.shifted as f64) },
        most_kl: most(|token| token.kl),
        most_moved: moved::of_pair(tables, exact, MOST)?,
        stop: stop(tables, exact, sums)?,
    }))
}

/// In the order of ids.
fn by_token(tables: &PairTables) -> Result<Vec<ShiftedToken>> {
    let found = BTreeMap::<u32, ShiftedToken>::new();
    let found = batches::fold(look_up::shifted(tables)?, Order::Rows, found, |found, batch| {
        let (ids, texts) = (batch.column(token::TOKEN_ID)?.u32()?, batch.column(token::TOKEN)?.str()?);
        let (kls, ranks) = (batch.column(pair::KL)?.f64()?, batch.column(pair::RANK_OF_TOP_P)?.f64()?);
        for row in 0..batch.height() {
            let (Some(id), Some(kl)) = (ids.get(row), kls.get(row)) else { continue };
            let token = found.entry(id).or_insert_with(|| ShiftedToken {
                token_id: id,
                token: texts.get(row).map(str::to_owned),
                ..ShiftedToken::default()
            });
            token.tokens += 1;
            token.shifted += u64::from(ranks.get(row).is_some_and(|rank| rank > SHIFTED));
            token.kl += kl;
        }
        Ok(())
    })?;
    Ok(found.into_values().collect())
}

/// By sample, the position before which it may have ended, and both probabilities of that.
type Ends = HashMap<u32, (u32, [f64; 2])>;

/// Over the samples that were not cut off, neither here nor when they were generated. Windows of a text end where they
/// are full.
fn stop(tables: &PairTables, exact: &PairFiles, sums: &Sums) -> Result<Option<Stop>> {
    if tables.of_windows {
        return Ok(None);
    }
    let ends = batches::fold(look_up::ends(&tables.p, exact)?, Order::Rows, Ends::new(), |ends, batch: &DataFrame| {
        let [ids, positions] = [batch.column(token::SAMPLE_ID)?.u32()?, batch.column(token::POSITION)?.u32()?];
        let tokens = batch.column(pair::TOKEN_ID)?.u32()?;
        let [p, q] = [batch.column(STOPS[0])?.f64()?, batch.column(STOPS[1])?.f64()?];
        for row in 0..batch.height() {
            let (Some(id), Some(position)) = (ids.get(row), positions.get(row)) else { continue };
            let (Some(p), Some(q)) = (p.get(row), q.get(row)) else { continue };
            // After the response, unless its last token is an end token: then before that.
            let has_ended = tokens.get(row).is_none() && ends.get(&id).is_some_and(|(last, _)| last + 1 == position);
            if !has_ended {
                ends.insert(id, (position, [p.exp(), q.exp()]));
            }
        }
        Ok(())
    })?;
    let whole =
        sums.facts.iter().filter(|facts| facts.p == Status::Ok && facts.q == Status::Ok && facts.is_cut != Some(true));
    let found: Vec<_> = whole.filter_map(|facts| Some((facts.cluster, ends.get(&facts.id)?.1))).collect();
    let mean = |value: fn([f64; 2]) -> f64| {
        clustered_mean(&shares(sums.clusters, found.iter().map(|(cluster, ends)| (*cluster, value(*ends), 1))))
    };
    let means = mean(|[p, _]| p).zip(mean(|[_, q]| q)).zip(mean(|[p, q]| q - p));
    Ok(means.map(|((p, q), difference)| Stop { p, q, difference }))
}
