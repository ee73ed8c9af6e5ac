//! `value[start:stop:step]`.
//!
//! Owns which indices a slice takes. A slice of a value without known indices is an error.

use super::error::{Result, raise, reject};
use super::value::Value;

/// `value[start:stop:step]`
pub fn slice(value: &Value, bounds: &[Option<Value>; 3]) -> Result<Value> {
    let bound = |value: &Option<Value>| match value {
        None | Some(Value::None) => Ok(None),
        Some(value) => match value.as_int() {
            Some(n) => Ok(Some(n)),
            None => Err(raise("slice indices must be integers or None or have an __index__ method")),
        },
    };
    let [start, stop, step] = bounds;
    let length = match value {
        Value::Str(_) | Value::List(_) | Value::Tuple(_) => value.length()?,
        Value::Range(_) | Value::Markup(_) => return Err(reject(&format!("a slice of a {}", value.kind()))),
        Value::Undefined(name) => return Err(raise(format!("'{name}' is undefined"))),
        _ => return Err(raise(format!("'{}' object is not subscriptable by a slice", value.kind()))),
    };
    let step = bound(step)?.unwrap_or(1);
    if step == 0 {
        return Err(raise("slice step cannot be zero"));
    }
    let places = places(length as i128, bound(start)?, bound(stop)?, step);
    match value {
        Value::Str(text) => {
            let chars: Vec<char> = text.chars().collect();
            Ok(Value::str(places.map(|at| chars[at]).collect::<String>()))
        }
        Value::List(items) => Value::list(places.map(|at| items.items[at].clone()).collect()),
        Value::Tuple(items) => Value::tuple(places.map(|at| items.items[at].clone()).collect()),
        _ => Ok(Value::None),
    }
}

/// The places that a slice takes.
fn places(length: i128, start: Option<i128>, stop: Option<i128>, step: i128) -> impl Iterator<Item = usize> {
    let (low, high) = if step > 0 { (0, length) } else { (-1, length - 1) };
    let fix = |bound: Option<i128>, default: i128| match bound {
        None => default,
        Some(n) if n < 0 => n.saturating_add(length).max(low),
        Some(n) => n.min(high),
    };
    let (start, stop) =
        if step > 0 { (fix(start, 0), fix(stop, length)) } else { (fix(start, length - 1), fix(stop, -1)) };
    std::iter::successors(Some(start), move |at| at.checked_add(step))
        .take_while(move |at| if step > 0 { *at < stop } else { *at > stop })
        .map(|at| at as usize)
}
