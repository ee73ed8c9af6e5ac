//! `tokshift report`: writes a comparison as a page.
//!
//! Owns what is computed for it and the messages. Not here: the page (`report`).

use std::path::Path;

use anyhow::Result;

use super::args::{ReportArgs, ShownArgs, WhichArgs};
use super::exit::Exit;
use super::progress;
use crate::report::{self, Contents};
use crate::schema::folder;
use crate::shift;
use crate::store;
use crate::tokenize::TextTokenizer;

/// Compares, reads all tables, writes the page.
pub fn run(args: &ReportArgs) -> Result<Exit> {
    must_be_outside(&args.output, &args.which.output_dir)?;
    let mut contents = Contents::new(&args.which.output_dir, &options(&args.which, &args.shown)?)?;
    for line in shift::warnings(&contents.comparison) {
        progress::say(&line);
    }
    let cells = store::cells_and_damaged(&args.which.output_dir)?.0;
    let is_folder = args.output.is_dir() || args.output.as_os_str().as_encoded_bytes().ends_with(b"/");
    let (path, size) = if is_folder {
        if args.max_size.is_some() {
            return Err(crate::Error::usage("a folder has all samples: --max-size is for a file").into());
        }
        (args.output.join("report.html"), report::folder(&contents, &cells, &args.output)?)
    } else {
        (args.output.clone(), report::file(&mut contents, &cells, &args.output, args.max_size)?)
    };
    let (inside, all) = contents.samples();
    progress::say(&format!("{}: {inside} of {all} responses, {}", path.display(), progress::size(size)));
    if let Some(line) = without_text(&contents) {
        progress::say(&line);
    }
    Ok(if contents.comparison.failed() { Exit::Failed } else { Exit::Done })
}

/// # Errors
/// A page among the results: a folder of results with other files in it cannot be read any more.
fn must_be_outside(page: &Path, output_dir: &Path) -> Result<()> {
    // The page's folders may not exist yet.
    let here = Path::new(".");
    let existing = page.ancestors().map(|level| if level.as_os_str().is_empty() { here } else { level });
    let folder = existing.filter(|level| level.is_dir()).find_map(|level| level.canonicalize().ok());
    let (Some(folder), Ok(root)) = (folder, output_dir.canonicalize()) else { return Ok(()) };
    let of_results = [folder::TOKENS, folder::SAMPLES, folder::HIDDEN, folder::PAIRS, folder::RUNS, folder::TEMPORARY];
    if of_results.iter().any(|name| folder.starts_with(root.join(name))) {
        let what = format!("`{}` is in a folder of results: write the page elsewhere", page.display());
        return Err(crate::Error::usage(what).into());
    }
    Ok(())
}

/// What a page of these tables is made of.
pub fn options(which: &WhichArgs, shown: &ShownArgs) -> Result<report::Options> {
    let tokenizer = shown.tokenizer.as_deref().map(TextTokenizer::from_file).transpose()?;
    let shift = shift::Options { slices: true, ..which.options() };
    Ok(report::Options { shift, models: shown.models.clone(), tokenizer })
}

/// That some ids are shown as numbers, and how to get their texts.
pub fn without_text(contents: &Contents) -> Option<String> {
    let (without, all) = contents.ids();
    (without > 0).then(|| {
        format!("{without} of {all} token ids of the lists occur nowhere as a token and are shown as #ID; --tokenizer FILE gives their texts")
    })
}
