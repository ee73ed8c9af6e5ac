//! Filters of numbers.
//!
//! Owns conversions to numbers, minimum, maximum and sum. Sums of floats are errors, because versions of Python round
//! them differently.

use std::cmp::Ordering;

use super::super::arguments::{Args, int, need};
use super::super::ast::Math;
use super::super::error::{Result, raise, reject};
use super::super::interpreter::Interpreter;
use super::super::value::Value;
use super::super::{compare, numbers};

pub fn call(interpreter: &Interpreter, name: &str, args: &Args) -> Result<Value> {
    match name {
        "abs" => {
            let [value] = args.bind(name, ["_"])?;
            match need(value, name)? {
                Value::Float(x) => Ok(Value::Float(x.abs())),
                other => match other.as_int() {
                    Some(n) => {
                        n.checked_abs().map(Value::Int).ok_or_else(|| reject("an integer of more than 127 bits"))
                    }
                    None => Err(raise(format!("bad operand type for abs(): '{}'", other.kind()))),
                },
            }
        }
        "int" => {
            let [value, default, base] = args.bind(name, ["value", "default", "base"])?;
            let base = int(base.as_ref(), 10, name)?;
            let base = u32::try_from(base).ok().filter(|base| (2..=36).contains(base));
            let base = base.ok_or_else(|| reject("such a base of `int`"))?;
            Ok(to_int(&need(value, name)?, base)?.map_or_else(|| default.unwrap_or(Value::Int(0)), Value::Int))
        }
        "float" => {
            let [value, default] = args.bind(name, ["value", "default"])?;
            Ok(to_float(&need(value, name)?)?.map_or_else(|| default.unwrap_or(Value::Float(0.0)), Value::Float))
        }
        "round" => round(args),
        "sum" => sum(interpreter, args),
        _ => extreme(interpreter, name, args),
    }
}

fn to_int(value: &Value, base: u32) -> Result<Option<i128>> {
    match value {
        Value::Undefined(name) => Err(raise(format!("'{name}' is undefined"))),
        Value::Float(x) if x.is_nan() => Ok(None),
        Value::Float(x) => numbers::truncate(*x).map(Some),
        Value::Str(text) => match numbers::parse_int(text, base)? {
            Some(n) => Ok(Some(n)),
            None => match numbers::parse_float(text)? {
                Some(x) if x.is_finite() => numbers::truncate(x).map(Some),
                _ => Ok(None),
            },
        },
        Value::Markup(_) => Err(reject("a safe string in int")),
        other => Ok(other.as_int()),
    }
}

fn to_float(value: &Value) -> Result<Option<f64>> {
    match value {
        Value::Undefined(name) => Err(raise(format!("'{name}' is undefined"))),
        Value::Str(text) => numbers::parse_float(text),
        Value::Markup(_) => Err(reject("a safe string in float")),
        other => Ok(numbers::as_float(other)),
    }
}

fn round(args: &Args) -> Result<Value> {
    let [value, precision, method] = args.bind("round", ["value", "precision", "method"])?;
    let value = need(value, "round")?;
    let precision = int(precision.as_ref(), 0, "round")?;
    let method = method.unwrap_or_else(|| Value::str("common"));
    if !(0..=300).contains(&precision) {
        return Err(reject("such a precision of `round`"));
    }
    match (method.as_str(), &value) {
        (Some("common"), Value::Float(x)) => Ok(Value::Float(numbers::round(*x, precision)?)),
        (Some("common"), other) => match other.as_int() {
            Some(n) => Ok(Value::Int(n)),
            None => Err(raise(format!("type {} doesn't define __round__ method", other.kind()))),
        },
        (Some(method @ ("ceil" | "floor")), _) => {
            let scale = numbers::math(Math::Pow, &Value::Int(10), &Value::Int(precision))?;
            let whole = match numbers::math(Math::Mul, &value, &scale)? {
                Value::Float(x) => numbers::truncate(if method == "ceil" { x.ceil() } else { x.floor() })?,
                other => other.as_int().unwrap_or_default(),
            };
            numbers::math(Math::Div, &Value::Int(whole), &scale)
        }
        _ => Err(raise("method must be common, ceil or floor")),
    }
}

fn sum(interpreter: &Interpreter, args: &Args) -> Result<Value> {
    let [value, attribute, start] = args.bind("sum", ["iterable", "attribute", "start"])?;
    let attribute = attribute.filter(|attribute| !matches!(attribute, Value::None));
    let mut total = start.unwrap_or(Value::Int(0));
    if total.as_str().is_some() {
        return Err(raise("sum() can't sum strings"));
    }
    let mut floats = 0;
    for item in need(value, "sum")?.iterate()? {
        let mut item = item?;
        if let Some(attribute) = &attribute {
            item = interpreter.path(&item, attribute, None)?;
        }
        floats += usize::from(matches!(item, Value::Float(_)));
        if floats > 1 {
            return Err(reject("a sum of floats"));
        }
        total = interpreter.math(Math::Add, &total, &item)?;
    }
    Ok(total)
}

fn extreme(interpreter: &Interpreter, name: &str, args: &Args) -> Result<Value> {
    let [value, case, attribute] = args.bind(name, ["value", "case_sensitive", "attribute"])?;
    let key = |item: &Value| interpreter.key(item, attribute.as_ref(), case.as_ref());
    let wanted = if name == "min" { Ordering::Less } else { Ordering::Greater };
    let mut best: Option<(Value, Value)> = None;
    for item in need(value, name)?.iterate()? {
        let item = item?;
        let own = key(&item)?;
        let sign = if name == "min" { "<" } else { ">" };
        let is_better = match &best {
            Some((_, other)) => compare::order(&own, other, sign)? == Some(wanted),
            None => true,
        };
        if is_better {
            best = Some((item, own));
        }
    }
    Ok(best.map_or_else(|| Value::undefined("No aggregated item, sequence was empty."), |(item, _)| item))
}
