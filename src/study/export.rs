//! Tables as the study's token losses.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::rules::{SUFFIX, first_position};
use crate::error::{Error, Result};
use crate::schema::{folder, sample, token};
use crate::store::{Cell, FoundCell, ResponseSetKey, ResultFile, Store};
use crate::table::{SampleColumns, TableReader, TokenColumns};

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
    let Cell { set: ResponseSetKey { generation_model, task }, model } = &found.cell;
    let name = format!("{model}_{generation_model}_{task}{SUFFIX}");
    if !found.missing.is_empty() {
        return Err(Error::Usage(format!("{name}: {} parts are not scored yet", found.missing.len())));
    }
    store.publish(folder::TOKEN_LOSSES, &name, |out| write(found, Path::new(&name), out))
}

fn write(cell: &FoundCell, path: &Path, out: &mut BufWriter<File>) -> Result<()> {
    let failed = || Error::io("write", path);
    let dataset = format!("{}_{}.jsonl", cell.cell.set.generation_model, cell.cell.set.task);
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
fn first_positions(file: &ResultFile) -> Result<Vec<(u32, u32)>> {
    let names = [sample::SAMPLE_ID, sample::CONTEXT_TOKENS, sample::PROMPT_TOKENS_ALONE];
    let mut positions = Vec::new();
    for batch in TableReader::<SampleColumns>::open(file.open()?)?.columns(&names)? {
        let batch = batch?;
        for row in 0..batch.rows {
            let id = batch.sample_id.get(row).ok_or_else(|| Error::file(file, "rows without a `sample_id`"))?;
            let known = batch.context_tokens.get(row).zip(batch.prompt_tokens_alone.get(row));
            positions.push((id, known.map_or(0, |(context, alone)| first_position(context, alone))));
        }
    }
    Ok(positions)
}

/// A token with a log-probability, and where it is.
struct Token {
    sample_id: u32,
    position: u32,
    text: String,
    is_end: bool,
    logprob: f32,
    rank: Option<u32>,
}

/// A part's tokens that have a log-probability, in sample order.
struct Tokens(Vec<Token>);

impl Tokens {
    fn read(file: &ResultFile) -> Result<Self> {
        let names = [token::SAMPLE_ID, token::POSITION, token::TOKEN, token::IS_END, token::LOGPROB, token::RANK];
        let mut tokens = Vec::new();
        for batch in TableReader::<TokenColumns>::open(file.open()?)?.columns(&names)? {
            let batch = batch?;
            for row in 0..batch.rows {
                let Some(logprob) = batch.logprob.get(row) else { continue };
                let key = batch.sample_id.get(row).zip(batch.position.get(row));
                let (sample_id, position) =
                    key.ok_or_else(|| Error::file(file, "rows without a `sample_id` or a `position`"))?;
                let text = batch.token.get(row).unwrap_or_default().to_owned();
                let (is_end, rank) = (batch.is_end.is_set(row), batch.rank.get(row));
                tokens.push(Token { sample_id, position, text, is_end, logprob, rank });
            }
        }
        Ok(Self(tokens))
    }

    /// What the study writes for sample `id`; `from` is where its tokens begin, and then where they end.
    fn outcome(&self, id: u32, first: u32, from: &mut usize) -> Option<Outcome<'_>> {
        let of_sample = self.0[*from..].iter().take_while(|token| token.sample_id == id).count();
        let tokens = &self.0[*from..*from + of_sample];
        *from += of_sample;
        let kept = tokens.iter().filter(|token| !token.is_end && token.position >= first);
        let token_losses: Vec<TokenLoss> = kept.map(Token::loss).collect();
        let avg_loss = token_losses.iter().map(|token| token.loss).sum::<f64>() / token_losses.len() as f64;
        (!token_losses.is_empty()).then(|| Outcome { avg_loss, perplexity: avg_loss.exp(), token_losses })
    }
}

impl Token {
    fn loss(&self) -> TokenLoss<'_> {
        TokenLoss { loss: -f64::from(self.logprob), token: &self.text, rank: self.rank }
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|_| "null".to_owned())
}
