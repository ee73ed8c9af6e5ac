//! One part of a pair: pairs up the positions of two hidden-state files.
//!
//! Owns every check that the files of two runs belong together. Memory: a tile's logits, and one part's tokens and
//! results.

use std::collections::HashMap;

use super::failure::Failure;
use super::measures::{self, Row};
use super::options::{MAX_REMOVED, Options};
use super::side::Side;
use super::tile::Tiles;
use super::tokens::{self, Token, Tokens};
use crate::error::{Error, Result};
use crate::hidden::Reader;
use crate::scores::overlap;
use crate::stop::Stop;
use crate::store::{FoundCell, ResultFile};
use crate::table::Origin;

/// A model's files of a text.
#[derive(Debug)]
pub struct Input<'a> {
    cell: &'a FoundCell,
}

impl<'a> Input<'a> {
    /// The files of a cell.
    pub fn new(cell: &'a FoundCell) -> Self {
        Self { cell }
    }

    /// # Errors
    /// One of the parts has no hidden states.
    pub fn must_have(&self, parts: &[u32]) -> Result<()> {
        parts.iter().try_for_each(|&part| self.files(part).map(drop))
    }

    /// Tokens and hidden states of a part.
    fn files(&self, part: u32) -> Result<(&'a ResultFile, &'a ResultFile)> {
        let place = self.cell.parts.iter().position(|&other| other == part);
        let files = place.and_then(|at| Some((self.cell.tokens.get(at)?, self.cell.hidden.get(at)?.as_ref()?)));
        files.ok_or_else(|| {
            let (name, task) = (&self.cell.cell.model, &self.cell.cell.set.task);
            Error::Usage(format!(
                "no hidden states of `{name}` on `{task}`: rescore it with --keep-hidden into another --output-dir, or run \
                 `score --exact` with both models"
            ))
        })
    }

    fn open(&self, part: u32) -> Result<OfPart<'a>> {
        let (tokens, hidden) = self.files(part)?;
        let reader = Reader::new(hidden.open()?)?;
        let origin = self.cell.cell.origin(&self.cell.manifest.digest()?, part);
        let reject = |file: &ResultFile, what: String| {
            Error::file(file, format!("{what}; run `tokshift verify` to see what to delete"))
        };
        if let Some(what) = origin.denied_by(Origin::of_json(reader.origin()).as_ref()) {
            return Err(reject(hidden, what));
        }
        if self.cell.manifest.engine.keep_hidden.is_some_and(|shape| reader.shape() != shape) {
            return Err(Error::file(hidden, "its hidden states do not have the shape in the manifest"));
        }
        let Tokens { origin: found, hash, rows } = tokens::read(tokens)?;
        // Programs that write a table again leave it out.
        if let Some(what) = found.and_then(|found| origin.contradicted_by(&found)) {
            return Err(reject(tokens, what));
        }
        if !reader.is_beside(hash.as_deref()) {
            let what = format!("was made with another `{}` than the one that is here", tokens.path().display());
            return Err(reject(
                hidden,
                format!("{what}: files of two runs are mixed, or it was scored again just now"),
            ));
        }
        Ok(OfPart { tokens: rows, tokens_hash: hash, tokens_file: tokens, hidden_file: hidden, reader })
    }
}

/// A model's part.
struct OfPart<'a> {
    tokens: Vec<Token>,
    /// The tokens table's hash of itself.
    tokens_hash: Option<String>,
    tokens_file: &'a ResultFile,
    hidden_file: &'a ResultFile,
    reader: Reader,
}

/// A position of both models.
#[derive(Clone, Debug)]
pub struct Compared {
    /// Sample and position.
    pub key: (u32, u32),
    pub token: Option<u32>,
    pub overlap: Option<f64>,
    pub row: Row,
}

/// A position that both models have rows of, and which.
struct Place {
    key: (u32, u32),
    token: Option<u32>,
    overlap: Option<f64>,
    rows: [usize; 2],
}

/// Compares every position of a part that both models scored, and returns the hashes of both tokens tables.
///
/// # Errors
/// Files that are damaged or do not belong together.
pub fn rows(
    inputs: &[Input; 2],
    tiles: &mut Tiles,
    part: u32,
    options: &Options,
    stop: &Stop,
) -> Result<(Vec<Compared>, [Option<String>; 2])> {
    let [p, q] = [inputs[0].open(part)?, inputs[1].open(part)?];
    let mut places = places(&p, &q)?;
    if tiles.has_file() {
        // Nothing follows a window's last token there.
        places.retain(|place| place.token.is_some());
    }
    let measure = measures::Options { temperature: options.temperature, stop: &options.stop };
    let mut compared = Vec::with_capacity(places.len());
    for places in places.chunks(tiles.rows()) {
        let hidden = [gather(&p, places, 0)?, gather(&q, places, 1)?];
        let targets: Vec<Option<u32>> = places.iter().map(|place| place.token).collect();
        let rows = tiles.compare(&hidden, &targets, measure, stop).map_err(|e| match e {
            Failure::NotFinite { row, side } => {
                let (file, (sample, position)) = ([&p, &q][side].hidden_file, places[row].key);
                let what = format!("the logits of sample {sample} at position {position} are not finite");
                Error::file(file, format!("{what}: is the model's head damaged?"))
            }
            Failure::Other(other) => other,
        })?;
        compared.extend(places.iter().zip(rows).map(|(place, row)| {
            let &Place { key, token, overlap, .. } = place;
            Compared { key, token, overlap, row }
        }));
    }
    reject_removed(&compared, &p, options.allow_removed)?;
    Ok((compared, [p.tokens_hash, q.tokens_hash]))
}

/// A logits file and the other model must have the same ids.
///
/// # Errors
/// [`Error::File`] of the file, where its header says how many ids it has.
pub fn must_share_ids(sides: [Side; 2]) -> Result<()> {
    let vocab = sides.map(Side::vocab);
    for (side, other) in [(0, 1), (1, 0)] {
        if let Side::File(file) = sides[side]
            && vocab[side] != vocab[other]
        {
            let (own, other) = (vocab[side], vocab[other]);
            let what = format!("has distributions over {own} ids (byte 12), the other model over {other}");
            return Err(Error::file(file.path(), format!("{what}: they do not have the same vocabulary")));
        }
    }
    Ok(())
}

/// Positions in order: every token of both, and the row after each response.
fn places(p: &OfPart, q: &OfPart) -> Result<Vec<Place>> {
    let rows = |of: &OfPart| -> HashMap<(u32, u32), usize> {
        (0..of.reader.index().len()).map(|row| (of.reader.index().key(row), row)).collect()
    };
    let [rows_p, rows_q] = [rows(p), rows(q)];
    let tokens_q: HashMap<(u32, u32), &Token> = q.tokens.iter().map(|token| (token.key, token)).collect();
    let mut places = Vec::with_capacity(p.tokens.len());
    let row = |of: &OfPart, rows: &HashMap<_, _>, key: (u32, u32)| {
        let what = || format!("no row of sample {} at position {}, which its tokens have", key.0, key.1);
        rows.get(&key).copied().ok_or_else(|| Error::file(of.hidden_file, what()))
    };
    for of_sample in p.tokens.chunk_by(|a, b| a.key.0 == b.key.0) {
        let mut both = of_sample.iter().filter_map(|token| Some((token, *tokens_q.get(&token.key)?))).peekable();
        if both.peek().is_none() {
            continue;
        }
        for (of_p, of_q) in both {
            if of_p.id != of_q.id || of_p.id.is_none() {
                let (sample, position) = of_p.key;
                let what =
                    format!("its token of sample {sample} at position {position} is not that of the other model");
                return Err(Error::file(q.tokens_file, what));
            }
            // A token with nothing before it has no distribution; it is the first.
            if of_p.key.1 == 0 && !rows_p.contains_key(&of_p.key) && !rows_q.contains_key(&of_p.key) {
                continue;
            }
            let (key, token) = (of_p.key, of_p.id);
            let rows = [row(p, &rows_p, key)?, row(q, &rows_q, key)?];
            places.push(Place { key, token, overlap: overlap(&of_p.top, &of_q.top), rows });
        }
        let key = (of_sample[0].key.0, of_sample.len() as u32 + of_sample[0].key.1);
        if let (Some(&in_p), Some(&in_q)) = (rows_p.get(&key), rows_q.get(&key)) {
            places.push(Place { key, token: None, overlap: None, rows: [in_p, in_q] });
        }
    }
    Ok(places)
}

/// The hidden states of some places, `[rows, width]`; runs of the file are read at once.
fn gather(of: &OfPart, places: &[Place], side: usize) -> Result<Vec<f32>> {
    let mut values = Vec::with_capacity(places.len() * of.reader.shape().width);
    for run in places.chunk_by(|a, b| a.rows[side] + 1 == b.rows[side]) {
        let first = run[0].rows[side];
        values.extend(of.reader.read(first..first + run.len())?);
    }
    Ok(values)
}

/// Ids that only one model has may carry almost no probability.
fn reject_removed(compared: &[Compared], p: &OfPart, allowed: bool) -> Result<()> {
    for (side, name) in ["P", "Q"].into_iter().enumerate() {
        let sum: f64 = compared.iter().map(|c| c.row.removed[side]).sum();
        let mean = sum / compared.len().max(1) as f64;
        // A mean that is no number is not small either.
        if !(mean <= MAX_REMOVED || allowed) {
            let what = format!(
                "ids that only {name} has carry {mean:.2e} of its probability on average, above {MAX_REMOVED:e}: use --allow-removed to compare the common ids"
            );
            return Err(Error::file(p.hidden_file, what));
        }
    }
    Ok(())
}
