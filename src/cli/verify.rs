//! `tokshift verify`: prints what is damaged, and what to delete.

use std::fmt::Write;

use anyhow::Result;

use super::args::VerifyArgs;
use super::exit::Exit;
use super::kl::print;
use crate::escape::visible;
use crate::verify::{self, Finding, Report};

/// Number of files to delete that are printed; `--json` has all.
const SHOWN: usize = 20;

/// Reads everything in the directory again.
pub fn run(args: &VerifyArgs) -> Result<Exit> {
    let report = verify::verify(&args.output_dir)?;
    if args.json {
        print(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        print(&describe(&report)?)?;
    }
    Ok(if report.is_well() { Exit::Done } else { Exit::Damaged })
}

fn describe(report: &Report) -> Result<String> {
    let mut text = String::new();
    let checked = &report.checked;
    writeln!(text, "{} parts, {} samples, {} tokens", checked.parts, checked.samples, checked.tokens)?;
    if checked.unfinished_parts > 0 {
        writeln!(
            text,
            "{} parts are not done yet: the same `score` or `import` command continues them",
            checked.unfinished_parts
        )?;
    }
    if checked.unscored_texts > 0 {
        let texts = checked.unscored_texts;
        writeln!(
            text,
            "{texts} response sets have no scored part yet: the next `score` or `import` of them starts from the beginning"
        )?;
    }
    if checked.parts_without_hidden > 0 {
        let parts = checked.parts_without_hidden;
        writeln!(
            text,
            "{parts} parts had hidden states that were deleted: everything except `kl --exact` works without them"
        )?;
    }
    if report.is_well() {
        writeln!(text, "no problem found")?;
    }
    for problem in &report.problems {
        let kind = serde_json::to_value(problem.kind)?;
        writeln!(text, "\n{} ({})", kind.as_str().unwrap_or_default(), problem.count)?;
        for finding in &problem.first {
            writeln!(text, "  {}", line(finding))?;
        }
        let more = problem.count - problem.first.len() as u64;
        if more > 0 {
            writeln!(text, "  and {more} more")?;
        }
    }
    if !report.redo.is_empty() {
        writeln!(text, "\nDelete these files, in this order, and run the same command again:")?;
        for file in report.redo.iter().take(SHOWN) {
            writeln!(text, "  {}", visible(&file.display().to_string()))?;
        }
        if report.redo.len() > SHOWN {
            writeln!(text, "  and {} more: --json lists all", report.redo.len() - SHOWN)?;
        }
    }
    Ok(text)
}

/// One line. Control characters in names and contents of files are escaped, because a terminal would act on them.
fn line(finding: &Finding) -> String {
    let row = finding.row.map(|row| format!(", row {row}")).unwrap_or_default();
    let sample = finding.sample_id.map(|id| format!(", sample_id {id}")).unwrap_or_default();
    visible(&format!("{}{row}{sample}: {}", finding.file.display(), finding.found))
}
