//! Arguments of `tokshift report`.

use std::path::PathBuf;

use clap::Parser;

use super::which::{ShownArgs, WhichArgs};

/// Write a comparison as one page: overview, list of samples, and a reader that shows what each model thought of every token
///
/// The page is a file without anything from a network, which opens from disk in any browser.
#[derive(Debug, Parser)]
#[command(after_help = REPORT_EXAMPLES)]
pub struct ReportArgs {
    #[command(flatten)]
    pub which: WhichArgs,

    /// The file to write, or a folder if it ends with `/`: then the data is next to the page, and it may be of any size
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub output: PathBuf,

    #[command(flatten)]
    pub shown: ShownArgs,

    /// The most bytes that the file may have, as 25MB: half is for the samples that moved most, half for samples by a hash
    #[arg(long, alias = "max_size", value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,
}

const REPORT_EXAMPLES: &str = "\
Examples:
  tokshift report out -o report.html
  tokshift report out -o report.html --max-size 25MB --task coqa
  tokshift report out -o report/ --tokenizer ./rl/tokenizer.json

Exit codes: 0 done; 1 error, or a pair cannot be compared (the others are);
2 wrong usage.";

/// Bytes, with a unit of powers of 1000.
fn size(text: &str) -> Result<u64, String> {
    let lower = text.trim().to_ascii_lowercase();
    let unit = [("kb", 1e3), ("mb", 1e6), ("gb", 1e9), ("b", 1.0)].into_iter().find(|(unit, _)| lower.ends_with(unit));
    let (number, factor) =
        unit.map_or((lower.as_str(), 1.0), |(unit, factor)| (&lower[..lower.len() - unit.len()], factor));
    match number.trim().parse::<f64>() {
        Ok(number) if number >= 0.0 && number * factor < 1.0 => {
            Err("a page has more bytes than that: give a size such as 25MB".to_owned())
        }
        Ok(number) if number > 0.0 && number * factor < 1e15 => Ok((number * factor) as u64),
        _ => Err("expected a size such as 25MB".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_have_units() {
        assert_eq!(
            ["25MB", "1.5 gb", "900", "12kB", "7B"].map(size),
            [25_000_000, 1_500_000_000, 900, 12_000, 7].map(Ok)
        );
        assert!(["0", "0.0MB", "0.4"].iter().all(|text| size(text).unwrap_err().contains("more bytes than that")));
        assert!(["", "MB", "-1MB", "ten"].iter().all(|text| size(text).is_err()));
    }
}
