//! Errors that end one pair alone.
//!
//! Owns which errors concern one pair, and how that pair is reported. Wrong usage and panics end the whole comparison.

use super::files::PairTables;
use crate::error::{Error, Result};
use crate::shift::result::comparison::NotCompared;

/// The pairs that are not compared.
pub struct Apart {
    not_compared: Vec<NotCompared>,
    /// What the first of them to fail said.
    first: Option<Error>,
}

impl Apart {
    /// Those of which nothing can be compared.
    pub fn new(not_compared: Vec<NotCompared>) -> Self {
        Self { not_compared, first: None }
    }

    /// The pairs of which something came, and what.
    ///
    /// # Errors
    /// What is not of one pair's tables.
    pub fn each<'a, T>(
        &mut self,
        pairs: &'a [PairTables],
        work: impl Fn(&PairTables) -> Result<T>,
    ) -> Result<(Vec<&'a PairTables>, Vec<T>)> {
        let (mut tables, mut found) = (Vec::new(), Vec::new());
        for pair in pairs {
            match work(pair) {
                Ok(result) => {
                    tables.push(pair);
                    found.push(result);
                }
                Err(error) => self.add(pair, error)?,
            }
        }
        Ok((tables, found))
    }

    fn add(&mut self, pair: &PairTables, error: Error) -> Result<()> {
        let why = match &error {
            Error::Incomparable { what, .. } => what.clone(),
            Error::File { .. } | Error::Io { .. } => error.to_string(),
            Error::Arrow(_) | Error::Parquet(_) | Error::Polars(_) => {
                format!("{error}; run `tokshift verify` to find the damaged file")
            }
            _ => return Err(error),
        };
        self.not_compared.push(NotCompared {
            generation_model: pair.set.generation_model.clone(),
            task: pair.set.task.clone(),
            p: pair.p.model.clone(),
            q: pair.q.model.clone(),
            why,
            failed: true,
            not_scored: false,
        });
        self.first.get_or_insert(error);
        Ok(())
    }

    /// All of them.
    ///
    /// # Errors
    /// The reasons, if no pair is left.
    pub fn finish(self, is_nothing_left: bool) -> Result<Vec<NotCompared>> {
        match self.first {
            Some(error) if is_nothing_left && self.not_compared.len() == 1 => Err(error),
            Some(_) if is_nothing_left => Err(Error::Usage(NotCompared::all(&self.not_compared))),
            _ => Ok(self.not_compared),
        }
    }
}
