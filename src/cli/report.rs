//! `tokshift report`: writes a comparison as a page.
//!
//! Owns what is computed for it and the messages. Not here: the page (`report`).

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::Result;

use super::args::{ReportArgs, ShownArgs, WhichArgs};
use super::exit::Exit;
use super::progress;
use crate::report::{self, Contents};
use crate::run_log::{self, MadeFrom};
use crate::schema::folder;
use crate::shift;
use crate::store;
use crate::tokenize::TextTokenizer;

/// Compares, reads all tables, writes the page.
pub fn run(args: &ReportArgs) -> Result<Exit> {
    must_be_outside(&args.output, &args.which.output_dir)?;
    let is_folder = must_be_a_page(&args.output)?;
    if is_folder && args.max_size.is_some() {
        return Err(crate::Error::usage("a folder has all samples: --max-size is for a file").into());
    }
    let mut contents = Contents::new(&args.which.output_dir, &options(&args.which, &args.shown)?)?;
    let comparison = contents.comparison.get();
    comparison.map(shift::warnings).unwrap_or_default().iter().for_each(|line| progress::say(line));
    let failed = comparison.is_some_and(shift::Comparison::failed);
    let cells = store::cells_and_damaged(&args.which.output_dir)?.0;
    let (path, size) = if is_folder {
        (args.output.join("report.html"), report::folder(&contents, &cells, &args.output)?)
    } else {
        (args.output.clone(), report::file(&mut contents, &cells, &args.output, args.max_size)?)
    };
    let (inside, all) = contents.samples();
    progress::say(&format!("{}: {inside} of {all} responses, {}", path.display(), progress::size(size)));
    if let Some(line) = without_text(&contents) {
        progress::say(&line);
    }
    Ok(if failed { Exit::Failed } else { Exit::Done })
}

/// Whether the page is a folder, which a name that ends with `/` says.
///
/// # Errors
/// A name that may be meant as something else: `-`, or a folder without the `/`.
fn must_be_a_page(page: &Path) -> Result<bool> {
    let name = page.display();
    if page.as_os_str() == "-" {
        let what = "-o -: a page is written to a file, not to stdout: -o FILE (./- for a file of this name)";
        return Err(crate::Error::usage(what).into());
    }
    let ends_with_slash = page.as_os_str().as_encoded_bytes().ends_with(b"/");
    if page.is_dir() && !ends_with_slash {
        let what = format!(
            "-o {name}: this is a folder; {name}/ writes the page with its data beside it there, {name}/report.html one file"
        );
        return Err(crate::Error::usage(what).into());
    }
    Ok(ends_with_slash)
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
    let logged = if tokenizer.is_some() { Vec::new() } else { logged(which) };
    Ok(report::Options { shift, models: shown.models.clone(), tokenizer, logged })
}

/// The tokenizers that made the ids, those of them that are still where the log of runs says. Their hashes decide whether
/// they are the same ones still.
fn logged(which: &WhichArgs) -> Vec<TextTokenizer> {
    let is_requested = |made: &MadeFrom| {
        let set = &made.cell.set;
        (which.task.is_empty() || which.task.contains(&set.task))
            && which.generation_model.as_ref().is_none_or(|name| *name == set.generation_model)
    };
    let made = run_log::made_from(&which.output_dir).into_iter().filter(is_requested);
    let paths: BTreeSet<_> = made.map(|made| made.tokenizer.path).collect();
    paths.iter().filter_map(|path| TextTokenizer::from_file(path).ok()).collect()
}

/// That some ids are shown as numbers, and how to get their texts.
pub fn without_text(contents: &Contents) -> Option<String> {
    let (without, all) = contents.ids();
    (without > 0).then(|| {
        format!("{without} of {all} token ids of the lists occur nowhere as a token and are shown as #ID; --tokenizer FILE gives their texts")
    })
}
