//! Operators and their results.
//!
//! Owns sums, products and comparisons of Python's values. What Python raises is an error, for example an undefined
//! value in a sum.

use std::cmp::Ordering;

use super::ast::{Compare, Math};
use super::compare;
use super::error::{Error, Result, raise, reject};
use super::format;
use super::interpreter::Interpreter;
use super::numbers;
use super::show;
use super::value::Value;

impl Interpreter<'_> {
    /// `left op right`, which is true or false.
    pub fn compared(&self, op: Compare, left: &Value, right: &Value) -> Result<bool> {
        let is_within = matches!(op, Compare::In | Compare::NotIn);
        self.charge(size(left).min(size(right)).max(if is_within { size(right) } else { 0 }))?;
        let order = |sign: &str| {
            for side in [left, right] {
                if matches!(side, Value::Undefined(_)) {
                    return Err(wrong_operand(side));
                }
            }
            compare::order(left, right, sign)
        };
        Ok(match op {
            Compare::Eq => compare::equal(left, right)?,
            Compare::Ne => !compare::equal(left, right)?,
            Compare::Lt => order("<")? == Some(Ordering::Less),
            Compare::Le => matches!(order("<=")?, Some(Ordering::Less | Ordering::Equal)),
            Compare::Gt => order(">")? == Some(Ordering::Greater),
            Compare::Ge => matches!(order(">=")?, Some(Ordering::Greater | Ordering::Equal)),
            Compare::In => compare::contains(right, left)?,
            Compare::NotIn => !compare::contains(right, left)?,
        })
    }

    /// `-value` or `+value`
    pub fn signed(&self, value: &Value, sign: i128) -> Result<Value> {
        match value.as_int() {
            Some(n) => self.math(Math::Mul, &Value::Int(n), &Value::Int(sign)),
            None => Err(wrong_operand(value)),
        }
    }

    /// `left op right`
    pub fn math(&self, op: Math, left: &Value, right: &Value) -> Result<Value> {
        if let Value::Str(text) = left
            && op == Math::Mod
        {
            return self.made(Value::str(format::percent(text, right)?));
        }
        if op == Math::Add
            && let (Value::Markup(_), Value::Str(_)) | (_, Value::Markup(_)) = (left, right)
        {
            return self.safe_sum(left, right);
        }
        for side in [left, right] {
            match side {
                Value::Undefined(_) => return Err(wrong_operand(side)),
                Value::Markup(_) => return Err(reject("a safe string with an operator")),
                _ => {}
            }
        }
        match (op, left, right) {
            (Math::Add, Value::Str(a), Value::Str(b)) => {
                if a.len() + b.len() > show::MAX_BYTES {
                    return Err(show::too_long());
                }
                self.charge((a.len() + b.len()) as u64 / 64)?;
                Ok(Value::str([&**a, b].concat()))
            }
            (Math::Add, Value::List(a), Value::List(b)) => Value::list(self.joined(&a.items, &b.items)?),
            (Math::Add, Value::Tuple(a), Value::Tuple(b)) => Value::tuple(self.joined(&a.items, &b.items)?),
            (Math::Mul, Value::Str(_) | Value::List(_) | Value::Tuple(_), times) if times.as_int().is_some() => {
                self.repeat(left, times.as_int().unwrap_or_default())
            }
            (Math::Mul, times, Value::Str(_) | Value::List(_) | Value::Tuple(_)) if times.as_int().is_some() => {
                self.repeat(right, times.as_int().unwrap_or_default())
            }
            _ if numbers::as_float(left).is_some() && numbers::as_float(right).is_some() => {
                numbers::math(op, left, right)
            }
            (Math::Sub, Value::View(..), _) => Err(reject("a difference of views of objects")),
            _ => Err(raise(format!("unsupported operand type(s): '{}' and '{}'", left.kind(), right.kind()))),
        }
    }

    /// The items of two lists, paid for before they are copied.
    fn joined(&self, a: &[Value], b: &[Value]) -> Result<Vec<Value>> {
        self.charge((a.len() + b.len()) as u64 / 4)?;
        Ok([a, b].concat())
    }

    /// The sum of texts of which one is safe: the other is made so.
    fn safe_sum(&self, left: &Value, right: &Value) -> Result<Value> {
        let mut out = String::new();
        for side in [left, right] {
            match side {
                Value::Markup(text) => out.push_str(text),
                Value::Str(text) => out.push_str(&show::escaped(text)),
                Value::Undefined(_) => return Err(wrong_operand(side)),
                _ => return Err(reject("the sum of a safe string and what is no text")),
            }
            if out.len() > show::MAX_BYTES {
                return Err(show::too_long());
            }
        }
        self.made(Value::Markup(out.into()))
    }

    fn repeat(&self, value: &Value, times: i128) -> Result<Value> {
        if i64::try_from(times).is_err() {
            return Err(raise("cannot fit 'int' into an index-sized integer"));
        }
        let times = times.max(0) as usize;
        match value {
            Value::List(items) | Value::Tuple(items) => {
                let length = items.items.len().saturating_mul(times);
                self.charge(length as u64 / 4)?;
                // Of no items none come, however often.
                let times = if length == 0 { 0 } else { times };
                let all = std::iter::repeat_n(&items.items, times).flatten().cloned().collect();
                if matches!(value, Value::List(_)) { Value::list(all) } else { Value::tuple(all) }
            }
            _ => {
                let text = value.as_str().unwrap_or_default();
                let length = text.len().saturating_mul(times);
                if length > show::MAX_BYTES {
                    return Err(show::too_long());
                }
                self.charge(length as u64 / 64)?;
                Ok(Value::str(text.repeat(times)))
            }
        }
    }
}

/// What a comparison with a value costs.
fn size(value: &Value) -> u64 {
    match value {
        Value::Str(text) | Value::Markup(text) => text.len() as u64 / 64,
        Value::List(items) | Value::Tuple(items) => items.items.len() as u64 / 8,
        Value::Dict(dict) | Value::View(_, dict) => dict.pairs.len() as u64 / 8,
        _ => 0,
    }
}

/// What Python says of a value that an operator does not take.
fn wrong_operand(value: &Value) -> Error {
    match value {
        Value::Undefined(name) => raise(format!("'{name}' is undefined")),
        other => raise(format!("bad operand type: '{}'", other.kind())),
    }
}
