//! `tokshift export`: tables in other formats.
//!
//! Owns which cells are written and where to. Not here: the formats (`export`, `study`).

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result, bail};

use super::args::{ExportArgs, ExportFormat, ExportTable};
use super::exit::Exit;
use super::{progress, signals};
use crate::error;
use crate::export::{Trainer, Written};
use crate::score::{self, LogitsRequest};
use crate::store::{self, FoundCell, Store};
use crate::table::{SampleColumns, TokenColumns};
use crate::tokenize::TextTokenizer;
use crate::{export, study};

/// Writes every selected cell; cells that are not scored yet are listed on stderr.
pub fn run(args: &ExportArgs) -> Result<Exit> {
    if args.format == ExportFormat::LlamaLogits {
        return llama_logits(args);
    }
    let found = store::cells(&args.output_dir)?;
    let is_named = |names: &[String], name: &String| names.is_empty() || names.contains(name);
    let is_selected =
        |found: &&FoundCell| is_named(&args.task, &found.cell.set.task) && is_named(&args.model, &found.cell.model);
    let selected: Vec<&FoundCell> = found.iter().filter(is_selected).collect();
    if selected.is_empty() {
        bail!(
            "no tables of these tasks and models in `{}`: `tokshift status` lists what is there",
            args.output_dir.display()
        );
    }
    match args.format {
        ExportFormat::Jsonl => json_lines(&selected, args.table),
        ExportFormat::TokenLosses => {
            let store = Store::open(&args.output_dir)?;
            for found in selected {
                progress::say(&format!("wrote {}", study::export(&store, found)?.display()));
            }
            Ok(Exit::Done)
        }
        ExportFormat::Axolotl => teacher(&selected, args, Trainer::Axolotl),
        ExportFormat::Distillkit => teacher(&selected, args, Trainer::DistillKit),
        ExportFormat::LlamaLogits => llama_logits(args),
    }
}

/// Writes rows for distillation to stdout; samples that have none are counted on stderr.
fn teacher(selected: &[&FoundCell], args: &ExportArgs, trainer: Trainer) -> Result<Exit> {
    let tokenizer = score::inputs::tokenizer_path(args.tokenizer.as_deref().unwrap_or_default())?;
    let tokenizer = TextTokenizer::from_file(&tokenizer)?;
    let (mut out, mut exit) = (Stdout::default(), Exit::Done);
    for found in selected {
        say_missing(found);
        let written = export::teacher_rows(found, &tokenizer, trainer, &mut out);
        if out.is_closed {
            return Ok(Exit::Done);
        }
        let Written { rows, left_out, reason } = written.context("cannot write rows to stdout")?;
        progress::say(&format!("{}: {rows} rows", found.cell));
        if let Some(reason) = reason {
            exit = Exit::Unscored;
            progress::say(&format!("  {left_out} samples have no row; the first, {reason}"));
        }
    }
    Ok(exit)
}

fn say_missing(found: &FoundCell) {
    if !found.missing.is_empty() {
        let (model, task, missing) = (&found.cell.model, &found.cell.set.task, found.missing.len());
        progress::say(&format!("{model} on {task}: {missing} parts are not scored yet and are left out"));
    }
}

/// Writes a base for llama.cpp. Clap has seen to it that its options are there.
fn llama_logits(args: &ExportArgs) -> Result<Exit> {
    let (Some(text), Some(model), Some(output)) = (&args.text, &args.models, &args.output) else {
        bail!("--format llama-logits needs --text, --models and --output");
    };
    let request = LogitsRequest {
        output_dir: args.output_dir.clone(),
        text: text.clone(),
        model: model.clone(),
        task: args.task.first().cloned(),
        output: output.clone(),
    };
    let mut rows: error::Result<usize> = Ok(0);
    signals::heed(|| rows = score::write_logits_file(&request, &signals::stop()));
    progress::say(&format!("wrote {}: {} tokens", output.display(), rows?));
    Ok(Exit::Done)
}

fn json_lines(selected: &[&FoundCell], table: ExportTable) -> Result<Exit> {
    let mut out = Stdout::default();
    for found in selected {
        say_missing(found);
        let written = match table {
            ExportTable::Tokens => export::json_lines::<TokenColumns>(found, &found.tokens, &mut out),
            ExportTable::Samples => export::json_lines::<SampleColumns>(found, &found.samples, &mut out),
        };
        if out.is_closed {
            return Ok(Exit::Done);
        }
        written.context("cannot write JSON lines to stdout")?;
    }
    Ok(Exit::Done)
}

/// Stdout, of which a reader may have seen enough (`| head`).
#[derive(Default)]
struct Stdout {
    is_closed: bool,
}

impl Write for Stdout {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = io::stdout().write(bytes);
        self.is_closed |= written.as_ref().is_err_and(|e| e.kind() == ErrorKind::BrokenPipe);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = io::stdout().flush();
        self.is_closed |= flushed.as_ref().is_err_and(|e| e.kind() == ErrorKind::BrokenPipe);
        flushed
    }
}
