//! Attributes, items and slices.
//!
//! Owns Jinja2's lookup: an attribute first and an item second, or the other way round, and undefined if there is
//! neither. An attribute that Python's values have and that is not implemented here is an error that names it; this
//! includes what the sandbox of transformers forbids.

use std::sync::Arc;

use super::error::{Result, raise, reject};
use super::interpreter::Interpreter;
use super::methods;
use super::value::{Object, Value};

const OF_DICT: [&str; 5] = ["items", "keys", "values", "get", "copy"];
const OF_LIST: [&str; 3] = ["index", "count", "copy"];

/// Attributes that a value of Python has and that are no use here, after what `kind` calls it.
const OTHERS: [(&str, &str); 10] = [
    ("dict", " clear fromkeys pop popitem setdefault update "),
    ("list", " append clear extend insert pop remove reverse sort "),
    ("tuple", " "),
    ("bool", INTEGER),
    ("int", INTEGER),
    ("float", " as_integer_ratio conjugate fromhex from_number hex imag is_integer real "),
    ("range", " count index start step stop "),
    ("generator", " close gi_code gi_frame gi_running gi_suspended gi_yieldfrom send throw "),
    ("Macro", " arguments caller catch_kwargs catch_varargs explicit_caller name "),
    ("Joiner", " sep used "),
];
const INTEGER: &str = " as_integer_ratio bit_count bit_length conjugate denominator from_bytes imag is_integer numerator \
    real to_bytes ";

/// Whether a value has such a method here.
pub fn has_method(value: &Value, name: &str) -> bool {
    match value {
        Value::Str(_) => methods::exists(name),
        Value::Dict(_) => OF_DICT.contains(&name),
        Value::List(_) => OF_LIST.contains(&name),
        Value::Tuple(_) => OF_LIST[..2].contains(&name),
        Value::Object(object) => matches!(**object, Object::Cycler(..)) && matches!(name, "next" | "reset"),
        _ => false,
    }
}

impl Interpreter<'_> {
    /// `value.name`
    pub fn attr(&self, value: &Value, name: &Arc<str>) -> Result<Value> {
        if let Some(found) = self.python_attr(value, name)? {
            return Ok(found);
        }
        Ok(match value {
            Value::Dict(dict) => {
                self.charge(dict.pairs.len() as u64 / 16)?;
                dict.text(name).cloned()
            }
            _ => None,
        }
        .unwrap_or_else(|| Value::Undefined(name.clone())))
    }

    /// The filter `attr`: attributes alone.
    pub fn plain_attr(&self, value: &Value, name: &Value) -> Result<Value> {
        let Value::Str(name) = name else { return Err(raise("attribute name must be string")) };
        Ok(self.python_attr(value, name)?.unwrap_or_else(|| Value::Undefined(name.clone())))
    }

    /// An attribute as Python has it.
    fn python_attr(&self, value: &Value, name: &Arc<str>) -> Result<Option<Value>> {
        if let Value::Undefined(what) = value {
            return Err(raise(format!("'{what}' is undefined")));
        }
        if has_method(value, name) {
            return Ok(Some(Value::object(Object::Method(value.clone(), name.clone()))));
        }
        match value {
            Value::Namespace(attributes) => {
                let attributes = attributes.borrow();
                self.charge(attributes.len() as u64 / 16)?;
                return Ok(attributes.iter().find(|(own, _)| own == name).map(|(_, value)| value.clone()));
            }
            Value::Tuple(items) if items.is_group && matches!(&**name, "grouper" | "list") => {
                return Ok(items.items.get(usize::from(&**name == "list")).cloned());
            }
            Value::Object(object) => match &**object {
                Object::Loop(_) => return self.loop_attr(object, name).map(Some),
                Object::Cycler(items, at) if &**name == "current" => return Ok(items.get(at.get()).cloned()),
                Object::Function(_) | Object::Cycler(..) => {
                    return Err(reject(&format!("an attribute `{name}` of a function")));
                }
                _ => {}
            },
            Value::Markup(_) | Value::View(..) => {
                return Err(reject(&format!("an attribute `{name}` of a {}", value.kind())));
            }
            _ => {}
        }
        let is_pythons = |(kind, names): &(&str, &str)| *kind == value.kind() && names.contains(&format!(" {name} "));
        let is_special = name.starts_with("__") && name.ends_with("__");
        let is_of_group = name.starts_with('_') && matches!(value, Value::Tuple(_));
        if is_special || is_of_group || OTHERS.iter().any(is_pythons) {
            return Err(reject(&format!("the attribute `{name}` of a {}", value.kind())));
        }
        Ok(None)
    }

    /// `value[key]`
    pub fn item(&self, value: &Value, key: &Value) -> Result<Value> {
        if let Some(found) = self.python_item(value, key)? {
            return Ok(found);
        }
        match key {
            Value::Str(name) => Ok(self.python_attr(value, name)?.unwrap_or_else(|| Value::Undefined(name.clone()))),
            Value::Markup(_) => Err(reject("a safe string as a key")),
            _ => Ok(Value::undefined("an item")),
        }
    }

    fn python_item(&self, value: &Value, key: &Value) -> Result<Option<Value>> {
        let place = |length: usize| {
            let index = key.as_int()?;
            usize::try_from(if index < 0 { index + length as i128 } else { index }).ok()
        };
        Ok(match value {
            Value::Undefined(name) => return Err(raise(format!("'{name}' is undefined"))),
            Value::List(items) | Value::Tuple(items) => {
                place(items.items.len()).and_then(|at| items.items.get(at).cloned())
            }
            Value::Dict(dict) => {
                self.charge(dict.pairs.len() as u64 / 16)?;
                match key {
                    // Python has no such key, and Jinja2 passes over what it says.
                    Value::List(_) | Value::Dict(_) => None,
                    _ => dict.get(key)?.cloned(),
                }
            }
            Value::Range(range) => place(range.length).and_then(|at| range.get(at)),
            Value::Str(text) if key.as_int().is_some() => {
                self.charge(text.len() as u64 / 64)?;
                let length = if text.is_ascii() { text.len() } else { text.chars().count() };
                let c = place(length).and_then(|at| text.chars().nth(at));
                c.map(|c| Value::str(c.to_string()))
            }
            Value::Markup(_) => return Err(reject("an item of a safe string")),
            Value::Object(object) if matches!(**object, Object::Function(_)) => {
                return Err(reject("an item of a function"));
            }
            _ => None,
        })
    }

    /// What an attribute's path leads to: items, with dots between; numbers count from 0.
    pub fn path(&self, value: &Value, path: &Value, default: Option<&Value>) -> Result<Value> {
        let mut value = value.clone();
        let mut step = |key: &Value| {
            self.charge(1)?;
            let found = self.item(&value, key)?;
            value = match default {
                Some(default) if matches!(found, Value::Undefined(_)) => default.clone(),
                _ => found,
            };
            Ok(())
        };
        match path {
            Value::Str(path) => {
                for part in path.split('.') {
                    let is_number = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
                    match part.parse().ok().filter(|_| is_number) {
                        Some(index) => step(&Value::Int(index))?,
                        None => step(&Value::str(part))?,
                    }
                }
            }
            Value::None => {}
            other => step(other)?,
        }
        Ok(value)
    }

    /// What an item is sorted or distinguished by.
    pub fn key(&self, item: &Value, attribute: Option<&Value>, case_sensitive: Option<&Value>) -> Result<Value> {
        let key = self.path(item, attribute.unwrap_or(&Value::None), None)?;
        Ok(if case_sensitive.is_some_and(Value::is_true) { key } else { self.folded(key) })
    }

    /// A text in lower case, anything else as it is.
    #[expect(clippy::unused_self, reason = "called like `key`")]
    pub fn folded(&self, value: Value) -> Value {
        match value {
            Value::Str(text) => Value::str(text.to_lowercase()),
            Value::Markup(text) => Value::Markup(text.to_lowercase().into()),
            other => other,
        }
    }
}
