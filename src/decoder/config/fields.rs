//! Reads single fields of a config.
//!
//! Owns the errors, which name the field and the value that was found. Not here: what a field means.

use serde_json::{Map, Value};

pub type Parsed<T> = Result<T, String>;

/// A config object.
#[derive(Clone, Copy)]
pub struct Config<'a>(pub &'a Map<String, Value>);

impl<'a> Config<'a> {
    pub fn has(self, field: &str) -> bool {
        self.0.get(field).is_some_and(|value| !value.is_null())
    }

    pub fn optional<T: serde::de::DeserializeOwned>(self, field: &str) -> Parsed<Option<T>> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match T::deserialize(value) {
                Ok(value) => Ok(Some(value)),
                Err(e) => Err(format!("`{field}` is {value}: {e}")),
            },
        }
    }

    pub fn object(self, field: &str) -> Parsed<Option<Config<'a>>> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Config(map))),
            Some(other) => Err(format!("`{field}` is {other}, expected an object")),
        }
    }

    /// A switch that is off where it is absent.
    pub fn flag(self, field: &str) -> Parsed<bool> {
        Ok(self.optional(field)?.unwrap_or(false))
    }

    /// A number above 0.
    pub fn positive(self, field: &str) -> Parsed<Option<f64>> {
        match self.optional::<f64>(field)? {
            Some(x) if !(x > 0.0 && x.is_finite()) => Err(format!("`{field}` is {x}, expected a number above 0")),
            other => Ok(other),
        }
    }

    pub fn required_positive(self, field: &str) -> Parsed<f64> {
        self.positive(field)?.ok_or_else(|| format!("no `{field}`"))
    }

    /// A count that must be positive; bounded, so that a hostile config cannot cause an absurd allocation.
    pub fn size(self, field: &str) -> Parsed<usize> {
        self.optional_size(field)?.ok_or_else(|| format!("no `{field}`"))
    }

    pub fn optional_size(self, field: &str) -> Parsed<Option<usize>> {
        const MOST: usize = 1 << 24;
        match self.optional(field)? {
            Some(n) if n == 0 || n > MOST => Err(format!("`{field}` is {n}, expected 1 to {MOST}")),
            other => Ok(other),
        }
    }

    /// The field is absent, null, or has the one value whose arithmetic is implemented.
    pub fn reject_unless(self, field: &str, value: &Value) -> Parsed<()> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(()),
            Some(found) if found == value || (found.is_number() && found.as_f64() == value.as_f64()) => Ok(()),
            Some(found) => Err(format!("`{field}` is {found}; only {value} is implemented")),
        }
    }
}
