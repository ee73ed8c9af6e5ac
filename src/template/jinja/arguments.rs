//! The arguments of a function, a filter, a test or a method.
//!
//! Owns how arguments are matched to parameters. Not here: what they mean.

use std::sync::Arc;

use super::error::{Result, raise, reject};
use super::show;
use super::value::Value;

#[derive(Clone, Debug, Default)]
pub struct Args {
    pub list: Vec<Value>,
    pub named: Vec<(Arc<str>, Value)>,
}

impl Args {
    pub fn of(list: Vec<Value>) -> Self {
        Self { list, named: Vec::new() }
    }

    /// The values of these parameters, in order. One that is called `_` has no name that it can be given by.
    ///
    /// # Errors
    /// More arguments than there are, and others.
    pub fn bind<const N: usize>(&self, what: &str, names: [&str; N]) -> Result<[Option<Value>; N]> {
        if self.list.len() > N {
            return Err(raise(format!("{what} takes at most {N} arguments ({} given)", self.list.len())));
        }
        let mut bound = std::array::from_fn(|index| self.list.get(index).cloned());
        for (name, value) in &self.named {
            match names.iter().position(|own| **own == **name && *own != "_") {
                Some(index) if bound[index].is_none() => bound[index] = Some(value.clone()),
                Some(_) => return Err(raise(format!("{what} got multiple values for argument '{name}'"))),
                None => return Err(raise(format!("{what} got an unexpected keyword argument '{name}'"))),
            }
        }
        Ok(bound)
    }

    /// # Errors
    /// There are any.
    pub fn none(&self, what: &str) -> Result<()> {
        self.bind(what, []).map(|_: [Option<Value>; 0]| ())
    }
}

/// An argument that there must be.
pub fn need(value: Option<Value>, what: &str) -> Result<Value> {
    value.ok_or_else(|| raise(format!("{what} misses an argument")))
}

/// A text.
pub fn text(value: &Value, what: &str) -> Result<Arc<str>> {
    match value {
        Value::Str(text) => Ok(text.clone()),
        Value::Markup(_) => Err(reject(&format!("a safe string in {what}"))),
        _ => Err(raise(format!("{what} takes a str, not {}", value.kind()))),
    }
}

/// A whole number; without an argument, or with none, `default`.
pub fn int(value: Option<&Value>, default: i128, what: &str) -> Result<i128> {
    match value {
        None => Ok(default),
        Some(value) => value.as_int().ok_or_else(|| raise(format!("{what} takes an int, not {}", value.kind()))),
    }
}

/// A number of characters or items that are written out.
pub fn size(value: Option<&Value>, default: i128, what: &str) -> Result<usize> {
    let n = int(value, default, what)?.max(0);
    usize::try_from(n).ok().filter(|&n| n <= show::MAX_BYTES).ok_or_else(show::too_long)
}
