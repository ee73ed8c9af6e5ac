//! `tokshift import`: the published study's files into tables.

use anyhow::Result;

use super::args::ImportArgs;
use super::exit::Exit;
use super::progress;
use crate::store::Store;
use crate::study;

/// Imports every file; the first that cannot be read ends it, those before it are kept.
pub fn run(args: &ImportArgs) -> Result<Exit> {
    let store = Store::open(&args.output_dir)?;
    for file in &args.files {
        let cell = study::import(file, &store)?;
        progress::say(&format!("{}: {cell}", file.display()));
    }
    Ok(Exit::Done)
}
