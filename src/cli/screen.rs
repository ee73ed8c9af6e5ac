//! The width that tables may take.
//!
//! Owns the answer for terminals, pipes and files.

/// Columns of a terminal that tables take where stdout is none and `COLUMNS` says nothing.
const PAGE: usize = 100;

/// The least that anything is laid out for.
const LEAST: usize = 40;

/// Columns of the terminal that stdout is; of `COLUMNS` where it is none, so that a pipe into a pager can be fitted; else
/// [`PAGE`].
pub fn width() -> usize {
    let of_terminal = terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    let of_environment = || std::env::var("COLUMNS").ok()?.trim().parse().ok();
    of_terminal.or_else(of_environment).filter(|width| *width > 0).unwrap_or(PAGE).max(LEAST)
}
