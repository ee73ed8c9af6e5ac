//! Options that several commands have.

use clap::ValueEnum;

use crate::score::EngineChoice;

/// What scores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EngineArg {
    Local,
    Mock,
}

impl EngineArg {
    /// As the library has it.
    pub fn choice(self) -> EngineChoice {
        match self {
            Self::Local => EngineChoice::Local,
            Self::Mock => EngineChoice::Mock,
        }
    }
}

/// A number of threads.
pub fn threads(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=1024).contains(&n) => Ok(n),
        _ => Err("expected a number from 1 to 1024".to_owned()),
    }
}
