//! `tokshift import`: the study's files into tables.

use anyhow::Result;

use super::Exit;
use super::args::ImportArgs;
use crate::store::Store;
use crate::study;

/// Imports every file; the first that cannot be read ends it, those before it are kept.
pub fn run(args: &ImportArgs) -> Result<Exit> {
    let store = Store::open(&args.output_dir)?;
    for file in &args.files {
        let cell = study::import(file, &store)?;
        eprintln!("{}: `{}` on `{}` by `{}`", file.display(), cell.model, cell.task, cell.generation_model);
    }
    Ok(Exit::Done)
}
