//! `tokshift report`: writes a comparison as a page.
//!
//! Owns what is computed for it and the messages. Not here: the page (`report`).

use anyhow::Result;

use super::args::{ReportArgs, ShownArgs, WhichArgs};
use super::exit::Exit;
use super::progress;
use crate::report::{self, Contents};
use crate::shift;
use crate::store;
use crate::tokenize::TextTokenizer;

/// Compares, reads all tables, writes the page.
pub fn run(args: &ReportArgs) -> Result<Exit> {
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
