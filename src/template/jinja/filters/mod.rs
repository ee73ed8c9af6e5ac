//! Jinja2's filters, and `tojson` as transformers defines it.
//!
//! Owns the list of filters and their lookup by name. A filter that no chat template uses is an error that names it.

mod numeric;
mod sequences;
mod texts;

use super::arguments::{Args, need};
use super::error::{Result, raise, reject};
use super::interpreter::Interpreter;
use super::show;
use super::value::Value;
use super::{json, known};

impl Interpreter<'_> {
    /// `value | name(args)`
    pub fn filter(&self, name: &str, args: &Args) -> Result<Value> {
        self.charge(1)?;
        let made = call(self, name, args)?;
        self.charge_value(&made)?;
        Ok(made)
    }
}

/// `value | name(args)`; the value is the first of the arguments.
fn call(interpreter: &Interpreter, name: &str, args: &Args) -> Result<Value> {
    match name {
        "tojson" => json::tojson(args),
        "default" | "d" => {
            let [value, other, boolean] = args.bind(name, ["value", "default_value", "boolean"])?;
            let value = need(value, name)?;
            let is_missing = matches!(value, Value::Undefined(_))
                || boolean.is_some_and(|boolean| boolean.is_true()) && !value.is_true();
            Ok(if is_missing { other.unwrap_or_else(|| Value::str("")) } else { value })
        }
        "length" | "count" => {
            let [value] = args.bind(name, ["_"])?;
            Ok(Value::Int(need(value, name)?.length()? as i128))
        }
        "string" => {
            let [value] = args.bind(name, ["_"])?;
            Ok(match need(value, name)? {
                value @ (Value::Str(_) | Value::Markup(_)) => value,
                other => Value::str(show::text(&other)?),
            })
        }
        "safe" => {
            let [value] = args.bind(name, ["value"])?;
            Ok(Value::Markup(show::text(&need(value, name)?)?.into()))
        }
        "attr" => {
            let [value, attribute] = args.bind(name, ["obj", "name"])?;
            interpreter.plain_attr(&need(value, name)?, &need(attribute, name)?)
        }
        "abs" | "int" | "float" | "round" | "sum" | "min" | "max" => numeric::call(interpreter, name, args),
        "batch" | "dictsort" | "first" | "groupby" | "items" | "join" | "last" | "list" | "map" | "reject"
        | "rejectattr" | "reverse" | "select" | "selectattr" | "slice" | "sort" | "unique" => {
            sequences::call(interpreter, name, args)
        }
        "capitalize" | "center" | "e" | "escape" | "forceescape" | "format" | "indent" | "lower" | "replace"
        | "title" | "trim" | "truncate" | "upper" | "urlencode" | "wordcount" => texts::call(name, args),
        _ if known::is_filter(name) => Err(reject(&format!("the filter `{name}`"))),
        _ => Err(raise(format!("No filter named '{name}'"))),
    }
}
