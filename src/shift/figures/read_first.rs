//! Finds the responses and tokens with the largest differences.
//!
//! Owns the choice and what is shown of each. Not here: statistics. The most extreme of many says nothing about the
//! rest.

use std::cmp::Reverse;
use std::collections::HashMap;

use polars::prelude::{DataFrame, Engine, Expr, col, lit};

use crate::error::Result;
use crate::schema::{sample, token};
use crate::shift::pass::sums::{Farthest, Sums};
use crate::shift::query::look_up;
use crate::shift::result::read_first::{FarResponse, FarToken, Place, ReadFirst};
use crate::shift::tables::files::PairTables;
use crate::shift::tables::scan::scan;
use crate::shift::token::measures::LOGPROBS;
use crate::table::Table;

/// Of each list.
const MOST: usize = 10;

/// Characters shown before a token, and of a response's beginning.
const BEFORE: usize = 60;

/// Chooses by the sums, and looks the chosen up.
pub fn of_pair(tables: &PairTables, sums: &Sums) -> Result<ReadFirst> {
    let k1 = sums.of("kl_k1")?;
    let mut responses: Vec<_> = (0..k1.len()).filter(|&i| k1[i].1 > 0 && !k1[i].0.is_nan()).collect();
    first(&mut responses, |&i| k1[i].0.abs());
    let mut tokens = sums.farthest();
    first(&mut tokens, |token| token.size);

    let ids = responses.iter().map(|&i| sums.facts[i].id).chain(tokens.iter().map(|t| t.sample_id));
    let texts = texts(tables, &ids.collect::<Vec<_>>())?;
    let place = |id| texts.get(&id).map(|text| text.place.clone()).unwrap_or_default();
    let responses = responses.into_iter().map(|i| FarResponse {
        place: place(sums.facts[i].id),
        tokens: sums.rows[i],
        nats: k1[i].0,
        text: texts.get(&sums.facts[i].id).and_then(|text| text.response.as_deref().map(beginning)),
    });
    Ok(ReadFirst { responses: responses.collect(), tokens: look_up(tables, &tokens, &texts)? })
}

/// Keeps the [`MOST`] largest that are not 0, the largest first.
fn first<T>(all: &mut Vec<T>, size: impl Fn(&T) -> f64) {
    all.retain(|one| size(one) > 0.0);
    // Sizes are not negative, so their bits are in their order; equal ones stay in sample order.
    all.sort_by_key(|one| Reverse(size(one).to_bits()));
    all.truncate(MOST);
}

/// A sample's place, and its response if known.
struct Text {
    place: Place,
    response: Option<String>,
}

fn texts(tables: &PairTables, ids: &[u32]) -> Result<HashMap<u32, Text>> {
    let names = [sample::SAMPLE_ID, sample::ROW, sample::ROW_ID, sample::RESPONSE, sample::TURN];
    let chosen = any(ids.iter().map(|id| col(sample::SAMPLE_ID).eq(lit(*id))));
    let frame = scan(&tables.p.samples, Table::Samples)?.filter(chosen).select(names.map(col));
    let frame = frame.collect_with_engine(Engine::Streaming)?.unwrap_single();
    let (ids, rows) = (frame.column(names[0])?.u32()?, frame.column(names[1])?.u32()?);
    let (row_ids, responses) = (frame.column(names[2])?.str()?, frame.column(names[3])?.str()?);
    let turns = frame.column(names[4])?.u32()?;
    let text = |i| {
        let sample_id = ids.get(i).unwrap_or_default();
        let row_id = row_ids.get(i).map(str::to_owned);
        let [row, turn] = [rows, turns].map(|numbers| numbers.get(i).unwrap_or_default());
        let place = Place { sample_id, row, turn, row_id };
        (sample_id, Text { place, response: responses.get(i).map(str::to_owned) })
    };
    Ok((0..frame.height()).map(text).collect())
}

/// Whether any of the conditions holds.
pub fn any(conditions: impl Iterator<Item = Expr>) -> Expr {
    conditions.reduce(Expr::or).unwrap_or(lit(false))
}

fn look_up(tables: &PairTables, tokens: &[Farthest], texts: &HashMap<u32, Text>) -> Result<Vec<FarToken>> {
    let is = |t: &Farthest| col(token::SAMPLE_ID).eq(lit(t.sample_id)).and(col(token::POSITION).eq(lit(t.position)));
    let query = look_up::some(tables, &any(tokens.iter().map(is)))?;
    let frame = query.collect_with_engine(Engine::Streaming)?.unwrap_single();
    let places = frame.column(token::SAMPLE_ID)?.u32()?.iter().enumerate();
    let positions = frame.column(token::POSITION)?.u32()?;
    let rows: HashMap<(u32, u32), usize> =
        places.filter_map(|(row, id)| Some(((id?, positions.get(row)?), row))).collect();
    let of = |t: &Farthest| {
        let row = *rows.get(&(t.sample_id, t.position))?;
        Some(far_token(&frame, row, t, texts.get(&t.sample_id)?))
    };
    tokens.iter().filter_map(of).collect()
}

/// What stands at some positions, each a sample and a position in it.
pub fn tokens_at(tables: &PairTables, places: &[(u32, u32)]) -> Result<HashMap<(u32, u32), FarToken>> {
    let texts = texts(tables, &places.iter().map(|(sample_id, _)| *sample_id).collect::<Vec<_>>())?;
    let tokens = places.iter().map(|&(sample_id, position)| Farthest { sample_id, position, size: 0.0 });
    let found = look_up(tables, &tokens.collect::<Vec<_>>(), &texts)?;
    Ok(found.into_iter().map(|token| ((token.place.sample_id, token.position), token)).collect())
}

fn far_token(frame: &DataFrame, row: usize, found: &Farthest, text: &Text) -> Result<FarToken> {
    let start = frame.column(token::START)?.u32()?.get(row);
    let before = text
        .response
        .as_deref()
        .zip(start)
        .map(|(response, at)| &response[..response.floor_char_boundary(at as usize)]);
    let number = |name: &str| -> Result<_> { Ok(frame.column(name)?.f64()?.get(row)) };
    Ok(FarToken {
        place: text.place.clone(),
        position: found.position,
        token_id: frame.column(token::TOKEN_ID)?.u32()?.get(row),
        token: frame.column(token::TOKEN)?.str()?.get(row).map(str::to_owned),
        before: before.map(tail),
        logprob_p: number(LOGPROBS[0])?,
        logprob_q: number(LOGPROBS[1])?,
    })
}

fn beginning(text: &str) -> String {
    let cut = text.char_indices().nth(BEFORE).map(|(end, _)| &text[..end]);
    cut.map_or_else(|| text.to_owned(), |cut| format!("{cut}…"))
}

fn tail(text: &str) -> String {
    let from = text.char_indices().rev().nth(BEFORE - 1).map_or(0, |(i, _)| i);
    text[from..].to_owned()
}
