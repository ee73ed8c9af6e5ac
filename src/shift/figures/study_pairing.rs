//! The study's own pairing of two models' rows, where it differs from pairing by row.
//!
//! Owns that pairing: null rows are removed from each model's list, and the remaining rows are paired by their place;
//! within a row, so are tokens. It runs only if some row is null for one model alone; otherwise it is the pairing by
//! row.

use std::collections::HashMap;

use polars::prelude::{DataType, col};

use crate::error::Result;
use crate::sample::Status;
use crate::schema::token;
use crate::shift::query::batches::{self, Order};
use crate::shift::result::study::NullsRemoved;
use crate::shift::tables::files::{ModelTable, PairTables};
use crate::shift::tables::samples::{SampleFacts, Samples};
use crate::shift::tables::scan::scan;
use crate::shift::token::expressions::study_side;
use crate::table::Table;

/// |mean over samples of each sample's mean| from `(sum, tokens)` by sample; samples without a token drop out.
pub fn absolute_mean(samples: impl Iterator<Item = (f64, u64)>) -> Option<(f64, u64, u64)> {
    let (mut sum, mut points, mut tokens) = (0.0, 0, 0);
    for (total, n) in samples.filter(|(_, n)| *n > 0) {
        sum += total / n as f64;
        points += 1;
        tokens += n;
    }
    (points > 0).then(|| ((sum / points as f64).abs(), points, tokens))
}

const TERM: &str = "term";

/// A row's `sample_id`, and ln(e^logprob + 1e-10) of its tokens that the study counts.
type Row = (u32, Vec<f64>);

/// The value of that pairing; `None` if it pairs the same rows, or none that have a token. All counted tokens of both
/// models are in memory, 8 bytes each.
pub fn figure(tables: &PairTables, samples: &Samples) -> Result<Option<NullsRemoved>> {
    let differ = |s: &SampleFacts| may_be_null(&tables.p, s.p) != may_be_null(&tables.q, s.q);
    if !samples.rows.iter().any(differ) {
        return Ok(None);
    }
    let (p, q) = (rows(&tables.p, samples, |s| s.p)?, rows(&tables.q, samples, |s| s.q)?);
    if p.iter().zip(&q).all(|((a, _), (b, _))| a == b) {
        return Ok(None);
    }
    let pairs = p.iter().zip(&q).map(|((_, a), (_, b))| {
        let terms = a.iter().zip(b).map(|(a, b)| a - b);
        (terms.sum(), a.len().min(b.len()) as u64)
    });
    let figure =
        |(kl_divergence, num_data_points, total_tokens)| NullsRemoved { kl_divergence, num_data_points, total_tokens };
    Ok(absolute_mean(pairs).map(figure))
}

/// A failed row of the study's file is an object without tokens, which keeps its place.
fn may_be_null(table: &ModelTable, status: Status) -> bool {
    if table.recorded { status == Status::Empty } else { !status.is_scored() }
}

/// The rows that are not null in the study's file, or would not be if ours were written as one: a row without a token
/// that counts is written as null.
fn rows(table: &ModelTable, samples: &Samples, status: fn(&SampleFacts) -> Status) -> Result<Vec<Row>> {
    let mut terms = terms(table, samples)?;
    let row = |s: &SampleFacts| {
        let terms = terms.remove(&s.id).unwrap_or_default();
        let is_null = if table.recorded { may_be_null(table, status(s)) } else { terms.is_empty() };
        (!is_null).then_some((s.id, terms))
    };
    Ok(samples.rows.iter().filter_map(row).collect())
}

/// The counted terms of each sample, in the order of its tokens.
fn terms(table: &ModelTable, samples: &Samples) -> Result<HashMap<u32, Vec<f64>>> {
    let ids = samples.rows.iter().map(|s| s.id);
    let from: HashMap<u32, u32> = ids.zip(samples.first_counted.iter().copied()).collect();
    let term = study_side(col(token::LOGPROB).cast(DataType::Float64)).alias(TERM);
    let columns = [col(token::SAMPLE_ID), col(token::POSITION), col(token::IS_END), term];
    let tokens = scan(&table.tokens, Table::Tokens)?.select(columns);
    batches::fold(tokens, Order::Rows, HashMap::<u32, Vec<f64>>::new(), move |found, batch| {
        let (ids, positions) = (batch.column(token::SAMPLE_ID)?.u32()?, batch.column(token::POSITION)?.u32()?);
        let (ends, terms) = (batch.column(token::IS_END)?.bool()?, batch.column(TERM)?.f64()?);
        for (((id, position), end), term) in ids.iter().zip(positions.iter()).zip(ends.iter()).zip(terms.iter()) {
            let (Some(id), Some(position), Some(term)) = (id, position, term) else { continue };
            if end != Some(true) && position >= from.get(&id).copied().unwrap_or_default() {
                found.entry(id).or_default().push(term);
            }
        }
        Ok(())
    })
}
