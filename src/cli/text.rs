//! `--text`: plain text that is scored in windows.
//!
//! Owns its options and its names. Refuses rows: a text has none but its windows.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail};
use clap::value_parser;

use super::args::ScoreArgs;
use super::inputs::Dataset;
use super::session::Session;
use crate::dataset::{WINDOW, Windows};
use crate::stand_in;

/// What a text's rows would be chosen and read by.
const OF_ROWS: [&str; 6] = ["dataset", "fields", "cluster", "keep_fields", "boundary", "end"];

#[derive(Debug, clap::Args)]
pub struct TextArgs {
    /// Plain text instead of rows, cut into windows of which the second half is scored, as llama.cpp does; called
    /// `text` and by the file's name unless --generation-model and --task say otherwise
    #[arg(long, conflicts_with_all = OF_ROWS, value_name = "FILE")]
    pub text: Option<PathBuf>,

    /// Tokens of a window of --text; of 512, 255 are scored
    #[arg(long, requires = "text", default_value_t = WINDOW, value_name = "N", value_parser = value_parser!(u32).range(4..))]
    pub window: u32,
}

/// The text of `--text`, if there is one, in windows by the session's tokenizer.
pub fn dataset(args: &ScoreArgs, session: &Session) -> Result<Option<Dataset>> {
    let TextArgs { text: Some(path), window } = &args.text else { return Ok(None) };
    let max_tokens = session.max_tokens();
    if *window as usize > max_tokens {
        bail!("--window {window}: the shortest context among the models holds {max_tokens} tokens");
    }
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the text `{}`", path.display()))?;
    if let Some(what) = stand_in::pointer(text.as_bytes()) {
        bail!("the text `{}` {what}", path.display());
    }
    let tokenizer = &session.tokenizer;
    let ids =
        tokenizer.whole(&text).map_err(|e| anyhow!("text `{}`: the tokenizer refused it: {e}", path.display()))?;
    let stem = || path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    let task = args.task.clone().or_else(stem).unwrap_or_default();
    let generation_model = args.generation_model.clone().unwrap_or_else(|| "text".to_owned());
    let plan = Windows::new(ids, *window, tokenizer.prefix()).plan(path, session.options.limit)?;
    Ok(Some(Dataset { generation_model, task, plan }))
}
