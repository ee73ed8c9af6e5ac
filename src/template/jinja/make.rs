//! How values are made, and which are true.
//!
//! Owns the depth of values. A value too deep to be written out is an error. So is a namespace within another value,
//! because no value may contain itself.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;

use serde_json::Value as Json;

use super::error::{Result, reject};
use super::value::{Dict, Items, Object, Value, View};

/// Deepest nesting; JSON that was read is no deeper than 128.
const MAX_DEPTH: u16 = 200;

impl Value {
    pub fn str(text: impl Into<Arc<str>>) -> Self {
        Self::Str(text.into())
    }

    pub fn undefined(name: &str) -> Self {
        Self::Undefined(name.into())
    }

    /// # Errors
    /// Nesting that is too deep.
    pub fn list(items: Vec<Self>) -> Result<Self> {
        Ok(Self::List(Rc::new(Items::new(items)?)))
    }

    /// # Errors
    /// Nesting that is too deep.
    pub fn tuple(items: Vec<Self>) -> Result<Self> {
        Ok(Self::Tuple(Rc::new(Items::new(items)?)))
    }

    /// Messages of a conversation, which JSON has made.
    pub fn list_of(items: Vec<Self>) -> Self {
        Self::list(items).unwrap_or(Self::None)
    }

    /// Keys that differ.
    ///
    /// # Errors
    /// Nesting that is too deep.
    pub fn dict(pairs: Vec<(Self, Self)>) -> Result<Self> {
        let mut depth = 0;
        for (key, value) in &pairs {
            depth = depth.max(key.depth()?).max(value.depth()?);
        }
        Ok(Self::Dict(Rc::new(Dict { pairs, depth: deeper(depth)? })))
    }

    /// What is read once. It ends at the first error, which occurs when that element is read.
    pub fn iter(items: impl IntoIterator<Item = Result<Self>>) -> Self {
        let mut all = VecDeque::new();
        for item in items {
            let item = item.and_then(|item| item.depth().map(|_| item));
            let is_last = item.is_err();
            all.push_back(item);
            if is_last {
                break;
            }
        }
        Self::Iter(Rc::new(RefCell::new(all)))
    }

    pub fn object(object: Object) -> Self {
        Self::Object(Rc::new(object))
    }

    /// A JSON value.
    pub fn of_json(json: &Json) -> Self {
        let made = match json {
            Json::Null => Ok(Self::None),
            Json::Bool(is) => Ok(Self::Bool(*is)),
            Json::Number(number) => Ok(match (number.as_i64(), number.as_u64()) {
                (Some(n), _) => Self::Int(n.into()),
                (_, Some(n)) => Self::Int(n.into()),
                _ => Self::Float(number.as_f64().unwrap_or(f64::NAN)),
            }),
            Json::String(text) => Ok(Self::str(text.as_str())),
            Json::Array(items) => Self::list(items.iter().map(Self::of_json).collect()),
            Json::Object(map) => {
                Self::dict(map.iter().map(|(key, value)| (Self::str(key.as_str()), Self::of_json(value))).collect())
            }
        };
        // JSON that was read or made here is less deep.
        made.unwrap_or(Self::None)
    }

    pub fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(is) => *is,
            Self::Int(n) => *n != 0,
            Self::Float(x) => *x != 0.0,
            Self::Str(text) | Self::Markup(text) => !text.is_empty(),
            Self::List(items) | Self::Tuple(items) => !items.items.is_empty(),
            Self::Dict(dict) | Self::View(_, dict) => !dict.pairs.is_empty(),
            Self::Range(range) => range.length > 0,
            Self::Iter(_) | Self::Namespace(_) | Self::Object(_) => true,
        }
    }

    /// A text, safe or not.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(text) | Self::Markup(text) => Some(text),
            _ => None,
        }
    }

    /// A whole number, as which a boolean counts.
    pub fn as_int(&self) -> Option<i128> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Bool(is) => Some((*is).into()),
            _ => None,
        }
    }

    /// What Python calls its type.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::Markup(_) => "Markup",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Range(_) => "range",
            Self::View(View::Keys, _) => "dict_keys",
            Self::View(View::Values, _) => "dict_values",
            Self::View(View::Items, _) => "dict_items",
            Self::Iter(_) => "generator",
            Self::Namespace(_) => "Namespace",
            Self::Object(object) => match **object {
                Object::Macro(..) => "Macro",
                Object::Loop(_) => "LoopContext",
                Object::Method(..) | Object::Function(_) => "function",
                Object::Cycler(..) => "Cycler",
                Object::Joiner(..) => "Joiner",
            },
        }
    }

    fn depth(&self) -> Result<u16> {
        match self {
            Self::List(items) | Self::Tuple(items) => Ok(items.depth),
            Self::Dict(dict) | Self::View(_, dict) => Ok(dict.depth),
            Self::Namespace(_) | Self::Object(_) | Self::Iter(_) => {
                Err(reject(&format!("a {} inside of another value", self.kind())))
            }
            _ => Ok(0),
        }
    }

    /// Whether a namespace may hold it: nothing that may come to hold the namespace.
    pub fn may_be_held(&self) -> bool {
        match self {
            Self::Namespace(_) => false,
            Self::Object(object) => matches!(**object, Object::Macro(..) | Object::Function(_)),
            _ => true,
        }
    }
}

fn deeper(depth: u16) -> Result<u16> {
    if depth >= MAX_DEPTH { Err(reject("nesting of values so deep")) } else { Ok(depth + 1) }
}

impl Items {
    fn new(items: Vec<Value>) -> Result<Self> {
        let mut depth = 0;
        for item in &items {
            depth = depth.max(item.depth()?);
        }
        Ok(Self { items, depth: deeper(depth)?, is_group: false })
    }

    /// A group of `groupby`.
    pub fn group(key: Value, items: Vec<Value>) -> Result<Self> {
        Ok(Self { is_group: true, ..Self::new(vec![key, Value::list(items)?])? })
    }
}
