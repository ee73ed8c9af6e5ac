//! `tokshift import`: numbers that other programs recorded into tables.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::args::{ImportArgs, TokensArg};
use super::exit::Exit;
use super::{progress, signals};
use crate::recorded::{self, Format, Imported, Noted, Request, Step};
use crate::sample::Status;

/// Between two lines about how far it is.
const EVERY: Duration = Duration::from_secs(30);

/// Imports every file; the first that cannot be read ends it, those before it are kept.
pub fn run(args: &ImportArgs) -> Result<Exit> {
    let request = Request {
        files: args.files.clone(),
        output_dir: args.output_dir.clone(),
        format: args.format,
        generation_model: args.generation_model.clone(),
        task: args.task.clone(),
        model: args.model.clone(),
        fields: args.fields.clone(),
        cluster: args.cluster.clone(),
        keep_fields: args.keep_fields.clone(),
        tokens: args.tokens.map(TokensArg::tokens),
        vocab: args.vocab,
    };
    let mut imported = Ok(Vec::new());
    let told = Mutex::new(Instant::now());
    signals::heed(|| imported = recorded::import(&request, &|step| tell(&told, step), &signals::stop()));
    let imported = imported?;
    imported.iter().for_each(describe);
    // The study's own files say which rows failed.
    let own = imported.iter().filter(|imported| imported.format != Format::TokenLosses);
    let failed: u64 = own.map(|imported| imported.samples[Status::Failed as usize]).sum();
    Ok(if failed == 0 { Exit::Done } else { Exit::Unscored })
}

/// Says how far the import is, once in a while.
fn tell(told: &Mutex<Instant>, Step { doing, done, of }: Step) {
    let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
    if told.elapsed() >= EVERY {
        *told = Instant::now();
        let percent = 100.0 * done as f64 / of.max(1) as f64;
        progress::say(&format!("{doing}: {percent:.0}%"));
    }
}

fn describe(Imported { cell, samples, tokens, noted, reasons, .. }: &Imported) {
    let by_status = Status::ALL.iter().map(|&status| (samples[status as usize], status.as_str()));
    let by_status: Vec<String> = by_status.filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
    if by_status.is_empty() {
        return progress::say(&format!("{cell}: already imported"));
    }
    progress::say(&format!("{cell}: {} samples; {tokens} tokens", by_status.join(", ")));
    let Noted { rounded, impossible, lost_lists } = noted;
    if *rounded > 0 {
        progress::say(&format!("  {rounded} log-probabilities are above 0 by less than 0.001: they count as 0"));
    }
    if *impossible > 0 {
        progress::say(&format!("  {impossible} log-probabilities are −∞ (-Infinity, -9999 or -99999)"));
    }
    if *lost_lists > 0 {
        let remedy = "vLLM writes ids if the request has `return_tokens_as_token_ids`";
        progress::say(&format!("  {lost_lists} lists of most likely tokens have no ids and are left out ({remedy})"));
    }
    for reason in reasons {
        progress::say(&format!("  {reason}"));
    }
}
