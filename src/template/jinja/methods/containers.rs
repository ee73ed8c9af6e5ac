//! The methods of objects, lists and cyclers.
//!
//! Owns what each method does. A method that would change its object is an error, as in the sandbox.

use std::rc::Rc;

use super::super::arguments::{Args, need};
use super::super::compare;
use super::super::error::{Result, raise};
use super::super::value::{Object, Value, View};

/// What `keys`, `values`, `items` and others return of an object.
pub fn dict_method(value: &Value, name: &str, args: &Args) -> Result<Value> {
    let Value::Dict(dict) = value else { return Err(raise("no object")) };
    let view = match name {
        "keys" => View::Keys,
        "values" => View::Values,
        "items" => View::Items,
        "get" => {
            let [key, default] = args.bind(name, ["_", "_"])?;
            let key = need(key, name)?;
            return Ok(dict.get(&key)?.cloned().or(default).unwrap_or(Value::None));
        }
        _ => {
            args.none(name)?;
            return Ok(value.clone());
        }
    };
    args.none(name)?;
    Ok(Value::View(view, dict.clone()))
}

/// `index`, `count` and `copy` of a list.
pub fn list_method(value: &Value, name: &str, args: &Args) -> Result<Value> {
    if name == "copy" {
        args.none(name)?;
        return Ok(value.clone());
    }
    let [item] = args.bind(name, ["_"])?;
    let item = need(item, name)?;
    let mut count = 0;
    for (index, own) in value.items()?.iter().enumerate() {
        if compare::equal(own, &item)? {
            if name == "index" {
                return Ok(Value::Int(index as i128));
            }
            count += 1;
        }
    }
    if name == "index" { Err(raise("the value is not in the list")) } else { Ok(Value::Int(count)) }
}

/// `next` and `reset` of what `cycler` returned.
pub fn cycler_method(object: &Rc<Object>, name: &str, args: &Args) -> Result<Value> {
    args.none(name)?;
    let Object::Cycler(items, at) = &**object else { return Err(raise("no cycler")) };
    if name == "reset" {
        at.set(0);
        return Ok(Value::None);
    }
    let current = items.get(at.get()).cloned();
    at.set((at.get() + 1) % items.len());
    Ok(current.unwrap_or(Value::None))
}
