//! Jinja2's tests: what follows `is`.
//!
//! Owns all of them. `sameas` is an error where Python's answer depends on the addresses of values.

use std::cmp::Ordering;

use super::arguments::{Args, int, need};
use super::ast::Math;
use super::compare;
use super::error::{Result, raise, reject};
use super::methods::cases;
use super::value::{Object, Value};
use super::{known, numbers, show};

/// `value is name(args)`; the value is the first of the arguments.
pub fn call(name: &str, args: &Args) -> Result<bool> {
    if let Some(compared) = comparison(name, args)? {
        return Ok(compared);
    }
    let [value] = args.bind(name, ["value"])?;
    let value = need(value, name)?;
    Ok(match name {
        "odd" => is_rest(&value, 2, 1)?,
        "even" => is_rest(&value, 2, 0)?,
        "defined" => !matches!(value, Value::Undefined(_)),
        "undefined" => matches!(value, Value::Undefined(_)),
        "filter" | "test" => {
            compare::hashable(&value)?;
            value.as_str().is_some_and(if name == "filter" { known::is_filter } else { known::is_test })
        }
        "none" => matches!(value, Value::None),
        "boolean" => matches!(value, Value::Bool(_)),
        "false" => matches!(value, Value::Bool(false)),
        "true" => matches!(value, Value::Bool(true)),
        "integer" => matches!(value, Value::Int(_)),
        "float" => matches!(value, Value::Float(_)),
        "lower" | "upper" => {
            let method = if name == "lower" { "islower" } else { "isupper" };
            cases::is(&show::text(&value)?, method)?
        }
        "string" => value.as_str().is_some(),
        "mapping" => matches!(value, Value::Dict(_)),
        "number" => matches!(value, Value::Bool(_) | Value::Int(_) | Value::Float(_)),
        "sequence" => match value {
            Value::Undefined(_) => true,
            Value::Object(_) => return Err(reject("whether a function is a sequence")),
            Value::View(..) => false,
            other => other.length().is_ok(),
        },
        "iterable" => match value {
            Value::Object(ref object) => matches!(**object, Object::Loop(_)),
            Value::Markup(_) => true,
            ref other => other.iterate().is_ok(),
        },
        "callable" => match value {
            Value::Object(ref object) => !matches!(**object, Object::Cycler(..)),
            Value::Undefined(_) => true,
            _ => false,
        },
        "escaped" => matches!(value, Value::Markup(_)),
        _ => return Err(raise(format!("No test named '{name}'"))),
    })
}

/// Tests with a second value.
fn comparison(name: &str, args: &Args) -> Result<Option<bool>> {
    let [left, right] = match name {
        "divisibleby" => args.bind(name, ["value", "num"])?,
        "sameas" => args.bind(name, ["value", "other"])?,
        "in" => args.bind(name, ["value", "seq"])?,
        "==" | "eq" | "equalto" | "!=" | "ne" | ">" | "gt" | "greaterthan" | "ge" | ">=" | "<" | "lt" | "lessthan"
        | "<=" | "le" => args.bind(name, ["_", "_"])?,
        _ => return Ok(None),
    };
    let (left, right) = (need(left, name)?, need(right, name)?);
    let order = |sign: &str| compare::order(&left, &right, sign);
    Ok(Some(match name {
        "divisibleby" => {
            int(Some(&right), 0, name)?;
            rest(&left, &right)?
        }
        "sameas" => is_same(&left, &right)?,
        "in" => compare::contains(&right, &left)?,
        "==" | "eq" | "equalto" => compare::equal(&left, &right)?,
        "!=" | "ne" => !compare::equal(&left, &right)?,
        ">" | "gt" | "greaterthan" => order(">")? == Some(Ordering::Greater),
        "ge" | ">=" => matches!(order(">=")?, Some(Ordering::Greater | Ordering::Equal)),
        "<" | "lt" | "lessthan" => order("<")? == Some(Ordering::Less),
        _ => matches!(order("<=")?, Some(Ordering::Less | Ordering::Equal)),
    }))
}

/// Whether nothing is left of a division.
fn rest(value: &Value, by: &Value) -> Result<bool> {
    if matches!(value, Value::Str(_)) {
        return Err(reject("a division of a text"));
    }
    compare::equal(&numbers::math(Math::Mod, value, by)?, &Value::Int(0))
}

fn is_rest(value: &Value, by: i128, is: i128) -> Result<bool> {
    if matches!(value, Value::Str(_)) {
        return Err(reject("a division of a text"));
    }
    compare::equal(&numbers::math(Math::Mod, value, &Value::Int(by))?, &Value::Int(is))
}

/// Python's `is`: there is one none, one true and one false.
fn is_same(left: &Value, right: &Value) -> Result<bool> {
    match (left, right) {
        (Value::None, Value::None) => Ok(true),
        (Value::Bool(a), Value::Bool(b)) => Ok(a == b),
        (Value::None | Value::Bool(_), _) | (_, Value::None | Value::Bool(_)) => Ok(false),
        _ => Err(reject("`sameas` of such values")),
    }
}
