//! How a command ends: its exit code, or the words of its error.

use std::process::ExitCode;

/// What a command says with its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Everything was done.
    Done,
    /// Some of it failed, and the failures were listed.
    Failed,
    /// Results are damaged.
    Damaged,
    /// A statistic's interval reaches beyond a limit that was given.
    Beyond,
    /// None does, but some statistic is not known to keep its limit.
    Unknown,
    /// Nothing failed, but some rows were not scored; the samples table contains the reasons.
    Unscored,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        match exit {
            Exit::Done => Self::SUCCESS,
            Exit::Failed | Exit::Damaged => Self::FAILURE,
            Exit::Beyond => Self::from(3),
            Exit::Unscored => Self::from(4),
            Exit::Unknown => Self::from(5),
        }
    }
}

/// An error and its causes, but for those that the error before them already contains.
pub fn describe(error: &anyhow::Error) -> String {
    let add = |described: String, cause: String| {
        if described.ends_with(&cause) { described } else { format!("{described}: {cause}") }
    };
    error.chain().map(ToString::to_string).reduce(add).unwrap_or_default()
}
