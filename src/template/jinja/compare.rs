//! Equality, order and membership.
//!
//! Owns Python's comparisons. Ordering values that have no order is an error, as in Python. So is comparing values that
//! Python compares by address.

use std::cell::Cell;
use std::cmp::Ordering;
use std::rc::Rc;

use super::error::{Result, raise, reject};
use super::numbers;
use super::value::{Dict, Range, Value, View};

/// How many values one comparison looks at: a list may hold another one twice, and that one a third one twice, and so on.
struct Steps(Cell<u32>);

impl Steps {
    const MOST: u32 = 1 << 20;

    fn new() -> Self {
        Self(Cell::new(Self::MOST))
    }

    fn step(&self) -> Result<()> {
        let left = self.0.get().checked_sub(1).ok_or_else(|| reject("a comparison of values that hold so many"))?;
        self.0.set(left);
        Ok(())
    }
}

/// `left == right`
pub fn equal(left: &Value, right: &Value) -> Result<bool> {
    equal_within(left, right, &Steps::new())
}

fn equal_within(left: &Value, right: &Value, steps: &Steps) -> Result<bool> {
    use Value::{Dict, Iter, List, Namespace, None, Object, Tuple, Undefined, View};
    steps.step()?;
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        return Ok(a == b);
    }
    if is_number(left) && is_number(right) {
        return Ok(numeric(left, right) == Some(Ordering::Equal));
    }
    Ok(match (left, right) {
        (Undefined(_), Undefined(_)) | (None, None) => true,
        (List(a), List(b)) | (Tuple(a), Tuple(b)) => all_equal(&a.items, &b.items, steps)?,
        (Dict(a), Dict(b)) => dicts_equal(a, b, steps)?,
        (Value::Range(a), Value::Range(b)) => ranges_equal(**a, **b),
        (View(..), View(..)) => return Err(reject("a comparison of views of objects")),
        (Object(a), Object(b)) if Rc::ptr_eq(a, b) => true,
        (Namespace(a), Namespace(b)) => Rc::ptr_eq(a, b),
        (Iter(a), Iter(b)) => Rc::ptr_eq(a, b),
        (Object(_), Object(_)) => return Err(reject("a comparison of functions")),
        _ => false,
    })
}

fn all_equal(a: &[Value], b: &[Value], steps: &Steps) -> Result<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        no_nan(a)?;
        if !equal_within(a, b, steps)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// NaN in a list is equal to itself if it is the same object, which is not known here.
fn no_nan(item: &Value) -> Result<()> {
    if matches!(item, Value::Float(x) if x.is_nan()) {
        Err(reject("a comparison of NaN inside of a list"))
    } else {
        Ok(())
    }
}

fn dicts_equal(a: &Dict, b: &Dict, steps: &Steps) -> Result<bool> {
    if a.pairs.len() != b.pairs.len() {
        return Ok(false);
    }
    for (key, value) in &a.pairs {
        no_nan(value)?;
        match b.get(key)? {
            Some(other) if equal_within(value, other, steps)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

fn ranges_equal(a: Range, b: Range) -> bool {
    a.length == b.length && (a.length == 0 || (a.start == b.start && (a.length == 1 || a.step == b.step)))
}

fn is_number(value: &Value) -> bool {
    matches!(value, Value::Float(_)) || value.as_int().is_some()
}

/// The order of two numbers; `None` with NaN.
fn numeric(left: &Value, right: &Value) -> Option<Ordering> {
    match (left.as_int(), right.as_int()) {
        (Some(a), Some(b)) => Some(a.cmp(&b)),
        (Some(a), None) => whole_and_float(a, numbers::as_float(right)?),
        (None, Some(b)) => whole_and_float(b, numbers::as_float(left)?).map(Ordering::reverse),
        (None, None) => numbers::as_float(left)?.partial_cmp(&numbers::as_float(right)?),
    }
}

/// Exactly, also where no float is the integer.
fn whole_and_float(n: i128, x: f64) -> Option<Ordering> {
    if x.is_nan() {
        return None;
    }
    if x.abs() >= 1.7e38 {
        return Some(if x > 0.0 { Ordering::Less } else { Ordering::Greater });
    }
    let whole = x.trunc() as i128;
    Some(n.cmp(&whole).then_with(|| 0.0_f64.partial_cmp(&x.fract()).unwrap_or(Ordering::Equal)))
}

/// The order of two values; `None` where there is none (NaN).
///
/// # Errors
/// Values of kinds that have no order.
pub fn order(left: &Value, right: &Value, sign: &str) -> Result<Option<Ordering>> {
    if let (Some(a), Some(b)) = (left.as_str(), right.as_str()) {
        return Ok(Some(a.cmp(b)));
    }
    if is_number(left) && is_number(right) {
        return Ok(numeric(left, right));
    }
    match (left, right) {
        (Value::List(a), Value::List(b)) | (Value::Tuple(a), Value::Tuple(b)) => {
            for (a, b) in a.items.iter().zip(&b.items) {
                no_nan(a)?;
                if !equal(a, b)? {
                    return order(a, b, sign);
                }
            }
            Ok(Some(a.items.len().cmp(&b.items.len())))
        }
        (Value::View(..), Value::View(..)) => Err(reject("a comparison of views of objects")),
        _ => {
            Err(raise(format!("'{sign}' not supported between instances of '{}' and '{}'", left.kind(), right.kind())))
        }
    }
}

/// `item in container`
pub fn contains(container: &Value, item: &Value) -> Result<bool> {
    match container {
        Value::Str(text) | Value::Markup(text) => match item.as_str() {
            Some(part) => Ok(text.contains(part)),
            None => Err(raise(format!("'in <string>' requires string as left operand, not {}", item.kind()))),
        },
        Value::List(items) | Value::Tuple(items) => any_equal(&items.items, item),
        Value::Dict(dict) | Value::View(View::Keys, dict) => Ok(dict.get(item)?.is_some()),
        Value::View(View::Values, dict) => {
            for (_, value) in &dict.pairs {
                if equal(value, item)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::Range(range) => match item {
            _ if item.as_int().is_some() => {
                let distance = item.as_int().and_then(|n| n.checked_sub(range.start));
                Ok(distance.is_some_and(|distance| {
                    let place = distance / range.step;
                    distance % range.step == 0 && (0..range.length as i128).contains(&place)
                }))
            }
            Value::Float(_) => Err(reject("a float in a range")),
            _ => Ok(false),
        },
        Value::Undefined(_) => Ok(false),
        Value::Iter(items) => {
            while let Some(next) = { items.borrow_mut().pop_front() } {
                if equal(&next?, item)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Value::View(View::Items, _) | Value::Object(_) => Err(reject(&format!("`in` a {}", container.kind()))),
        _ => Err(raise(format!("argument of type '{}' is not iterable", container.kind()))),
    }
}

fn any_equal(items: &[Value], item: &Value) -> Result<bool> {
    for other in items {
        no_nan(other)?;
        if equal(other, item)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a value can be a key.
///
/// # Errors
/// It cannot.
pub fn hashable(value: &Value) -> Result<()> {
    hashable_within(value, &Steps::new())
}

fn hashable_within(value: &Value, steps: &Steps) -> Result<()> {
    steps.step()?;
    match value {
        Value::List(_) | Value::Dict(_) => Err(raise(format!("unhashable type: '{}'", value.kind()))),
        Value::Tuple(items) => items.items.iter().try_for_each(|item| hashable_within(item, steps)),
        Value::Float(x) if x.is_nan() => Err(reject("NaN as a key")),
        Value::View(..) | Value::Iter(_) | Value::Namespace(_) | Value::Object(_) => {
            Err(reject(&format!("a {} as a key", value.kind())))
        }
        _ => Ok(()),
    }
}

impl Dict {
    /// What a key stands for.
    pub fn get(&self, key: &Value) -> Result<Option<&Value>> {
        hashable(key)?;
        if let Value::Str(text) = key {
            return Ok(self.text(text));
        }
        for (own, value) in &self.pairs {
            if equal(own, key)? {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    /// What a text stands for.
    pub fn text(&self, key: &str) -> Option<&Value> {
        self.pairs.iter().find(|(own, _)| own.as_str() == Some(key)).map(|(_, value)| value)
    }
}

/// Pairs of which later ones take the place of earlier ones with the same key.
pub fn insert(pairs: &mut Vec<(Value, Value)>, key: Value, value: Value) -> Result<()> {
    hashable(&key)?;
    for (own, old) in pairs.iter_mut() {
        if equal(own, &key)? {
            *old = value;
            return Ok(());
        }
    }
    pairs.push((key, value));
    Ok(())
}
