//! Tables as the study's token losses.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, Float32Array, RecordBatch, StringArray, UInt32Array};
use arrow::compute::concat_batches;
use arrow::datatypes::UInt32Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde::Serialize;

use super::rules::{SUFFIX, first_position};
use crate::error::{Error, Result};
use crate::schema::{folder, sample, token};
use crate::store::{Cell, FoundCell, Store};

#[derive(Serialize)]
struct Outcome<'a> {
    avg_loss: f64,
    perplexity: f64,
    token_losses: Vec<TokenLoss<'a>>,
}

#[derive(Serialize)]
struct TokenLoss<'a> {
    /// The f32 widened: all its digits, as the study's script prints them.
    loss: f64,
    token: &'a str,
    rank: Option<u32>,
}

/// Writes a cell as the study's script does, to `token_losses/` in the output directory. `results` has one entry per
/// row, null for one without tokens. End-of-turn tokens, which the study did not score, are left out.
///
/// # Errors
/// A cell with parts missing, tables that cannot be read, a file that cannot be written.
pub fn export(store: &Store, found: &FoundCell) -> Result<PathBuf> {
    let Cell { generation_model, task, model } = &found.cell;
    let name = format!("{model}_{generation_model}_{task}{SUFFIX}");
    if !found.missing.is_empty() {
        return Err(Error::Usage(format!("{name}: {} parts are not scored yet", found.missing.len())));
    }
    store.publish(folder::TOKEN_LOSSES, &name, |out| write(found, Path::new(&name), out))
}

fn write(cell: &FoundCell, path: &Path, out: &mut BufWriter<File>) -> Result<()> {
    let failed = || Error::io("write", path);
    let dataset = format!("{}_{}.jsonl", cell.cell.generation_model, cell.cell.task);
    let head =
        format!("{{\n  \"model\": {},\n  \"dataset\": {},\n  \"results\": [", json(&cell.cell.model), json(&dataset));
    out.write_all(head.as_bytes()).map_err(failed())?;
    let (mut perplexities, mut scored, mut first) = (0.0, 0_u64, true);
    for (samples, tokens) in cell.samples.iter().zip(&cell.tokens) {
        let tokens = Tokens::read(tokens)?;
        let mut from = 0;
        for (id, first_position) in first_positions(samples)? {
            let outcome = tokens.outcome(id, first_position, &mut from);
            if let Some(outcome) = &outcome {
                perplexities += outcome.perplexity;
                scored += 1;
            }
            let comma = if std::mem::take(&mut first) { "" } else { "," };
            write!(out, "{comma}\n    {}", json(&outcome)).map_err(failed())?;
        }
    }
    let average = (scored > 0).then(|| perplexities / scored as f64);
    write!(out, "\n  ],\n  \"average_perplexity\": {}\n}}\n", json(&average)).map_err(failed())
}

/// For each sample of a part: its id and the first position that the study keeps.
fn first_positions(path: &Path) -> Result<Vec<(u32, u32)>> {
    let batch = read(path)?;
    let column = |name| column(&batch, name, path).map(AsArray::as_primitive::<UInt32Type>);
    let (ids, context, alone) =
        (column(sample::SAMPLE_ID)?, column(sample::CONTEXT_TOKENS)?, column(sample::PROMPT_TOKENS_ALONE)?);
    let known = |row| context.is_valid(row) && alone.is_valid(row);
    let first = |row| if known(row) { first_position(context.value(row), alone.value(row)) } else { 0 };
    Ok((0..batch.num_rows()).map(|row| (ids.value(row), first(row))).collect())
}

/// The study's values of a part's tokens, in sample order.
struct Tokens {
    sample_id: UInt32Array,
    position: UInt32Array,
    token: StringArray,
    is_end: BooleanArray,
    logprob: Float32Array,
    rank: UInt32Array,
}

impl Tokens {
    fn read(path: &Path) -> Result<Self> {
        let batch = read(path)?;
        let column = |name| column(&batch, name, path);
        Ok(Self {
            sample_id: column(token::SAMPLE_ID)?.as_primitive().clone(),
            position: column(token::POSITION)?.as_primitive().clone(),
            token: column(token::TOKEN)?.as_string().clone(),
            is_end: column(token::IS_END)?.as_boolean().clone(),
            logprob: column(token::LOGPROB)?.as_primitive().clone(),
            rank: column(token::RANK)?.as_primitive().clone(),
        })
    }

    /// What the study writes for sample `id`; `from` is where its tokens begin, and then where they end.
    fn outcome(&self, id: u32, first: u32, from: &mut usize) -> Option<Outcome<'_>> {
        let start = *from;
        while *from < self.sample_id.len() && self.sample_id.value(*from) == id {
            *from += 1;
        }
        let kept = |&i: &usize| self.logprob.is_valid(i) && !self.ends_turn(i) && self.position.value(i) >= first;
        let token_losses: Vec<TokenLoss> = (start..*from).filter(kept).map(|i| self.loss(i)).collect();
        let avg_loss = token_losses.iter().map(|token| token.loss).sum::<f64>() / token_losses.len() as f64;
        (!token_losses.is_empty()).then(|| Outcome { avg_loss, perplexity: avg_loss.exp(), token_losses })
    }

    fn ends_turn(&self, i: usize) -> bool {
        self.is_end.is_valid(i) && self.is_end.value(i)
    }

    fn loss(&self, i: usize) -> TokenLoss<'_> {
        TokenLoss {
            loss: -f64::from(self.logprob.value(i)),
            token: self.token.value(i),
            rank: self.rank.is_valid(i).then(|| self.rank.value(i)),
        }
    }
}

fn column<'a>(batch: &'a RecordBatch, name: &str, path: &Path) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| Error::file(path, format!("has no column `{name}`")))
}

/// The whole of a part's table.
fn read(path: &Path) -> Result<RecordBatch> {
    let file = File::open(path).map_err(Error::io("read", path))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file)?;
    let schema = reader.schema().clone();
    let batches = reader.build()?.collect::<Result<Vec<_>, _>>()?;
    Ok(concat_batches(&schema, &batches)?)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
