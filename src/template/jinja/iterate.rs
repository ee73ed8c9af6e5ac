//! Iteration over values.
//!
//! Owns Python's iteration. Iterating a number or none is an error, as in Python.

use super::error::{Error, Result, raise, reject};
use super::value::{Cursor, Value, View};

/// Longest text in bytes whose characters are listed.
const MOST_CHARS: usize = 1 << 20;

impl Value {
    /// # Errors
    /// It cannot be looped over.
    pub fn iterate(&self) -> Result<Cursor> {
        Ok(match self {
            Self::List(items) | Self::Tuple(items) => Cursor::Items(items.clone(), 0),
            Self::Str(text) => Cursor::Chars(text.clone(), 0),
            Self::Dict(dict) => Cursor::View(View::Keys, dict.clone(), 0),
            Self::View(view, dict) => Cursor::View(*view, dict.clone(), 0),
            Self::Range(range) => Cursor::Range(range.clone(), 0),
            Self::Iter(items) => Cursor::Once(items.clone()),
            Self::Undefined(_) => Cursor::Empty,
            Self::Markup(_) | Self::Object(_) => return Err(self.not_looped()),
            _ => return Err(raise(format!("'{}' object is not iterable", self.kind()))),
        })
    }

    fn not_looped(&self) -> Error {
        reject(&format!("a loop over a {}", self.kind()))
    }

    /// All items.
    ///
    /// # Errors
    /// It cannot be looped over, an item fails, or it is a text of more than a million bytes, whose characters would each
    /// take fifty.
    pub fn items(&self) -> Result<Vec<Self>> {
        if matches!(self, Self::Str(text) if text.len() > MOST_CHARS) {
            return Err(reject("a list of the characters of so long a text"));
        }
        self.iterate()?.collect()
    }

    /// Python's `len`.
    ///
    /// # Errors
    /// It has none.
    pub fn length(&self) -> Result<usize> {
        Ok(match self {
            Self::Undefined(_) => 0,
            Self::Str(text) | Self::Markup(text) => text.chars().count(),
            Self::List(items) | Self::Tuple(items) => items.items.len(),
            Self::Dict(dict) | Self::View(_, dict) => dict.pairs.len(),
            Self::Range(range) => range.length,
            Self::Object(_) => return Err(reject(&format!("the length of a {}", self.kind()))),
            _ => return Err(raise(format!("object of type '{}' has no len()", self.kind()))),
        })
    }
}

impl Iterator for Cursor {
    type Item = Result<Value>;

    fn next(&mut self) -> Option<Result<Value>> {
        match self {
            Self::Items(items, at) => {
                *at += 1;
                items.items.get(*at - 1).cloned().map(Ok)
            }
            Self::Range(range, at) => {
                *at += 1;
                range.get(*at - 1).map(Ok)
            }
            Self::Chars(text, at) => {
                let c = text[*at..].chars().next()?;
                *at += c.len_utf8();
                Some(Ok(Value::str(c.to_string())))
            }
            Self::View(view, dict, at) => {
                *at += 1;
                let (key, value) = dict.pairs.get(*at - 1)?;
                Some(match view {
                    View::Keys => Ok(key.clone()),
                    View::Values => Ok(value.clone()),
                    View::Items => Value::tuple(vec![key.clone(), value.clone()]),
                })
            }
            Self::Once(items) => items.borrow_mut().pop_front(),
            Self::Empty => None,
        }
    }
}
