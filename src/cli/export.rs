//! `tokshift export`: tables in other formats.
//!
//! Owns which cells are written and where to. Not here: the formats (`export`, `study`).

use std::io::{self, ErrorKind, Write};

use anyhow::{Context, Result, bail};

use super::args::{ExportArgs, ExportFormat, ExportTable};
use super::exit::Exit;
use super::progress;
use crate::store::{self, FoundCell, Store};
use crate::table::{SampleColumns, TokenColumns};
use crate::{export, study};

/// Writes every selected cell; cells that are not scored yet are listed on stderr.
pub fn run(args: &ExportArgs) -> Result<Exit> {
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
    }
}

fn json_lines(selected: &[&FoundCell], table: ExportTable) -> Result<Exit> {
    let mut out = Stdout::default();
    for found in selected {
        if !found.missing.is_empty() {
            let (model, task, missing) = (&found.cell.model, &found.cell.set.task, found.missing.len());
            progress::say(&format!("{model} on {task}: {missing} parts are not scored yet and are left out"));
        }
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
