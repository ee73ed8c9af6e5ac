//! Macros and functions.
//!
//! Owns how a macro is called, and the functions that transformers gives to a template. `lipsum` is an error, because
//! it is random.

use std::cell::{Cell, RefCell};
use std::fmt::Write;
use std::rc::Rc;
use std::sync::Arc;

use chrono::format::{Item, StrftimeItems};
use chrono::{NaiveDate, NaiveTime};

use super::arguments::{Args, int, need};
use super::ast::Macro;
use super::compare;
use super::error::{Result, raise, reject};
use super::interpreter::Interpreter;
use super::methods::{self, containers};
use super::show;
use super::value::{Object, Range, Scope, Value};
use super::variables::may_be_named;

/// Longest range that the sandbox makes.
const MAX_RANGE: i128 = 100_000;

impl Interpreter<'_> {
    /// `value.name(args)`
    pub fn method(&self, value: &Value, name: &Arc<str>, args: Args) -> Result<Value> {
        let made = match value {
            Value::Str(text) => {
                self.charge(text.len() as u64 / 64)?;
                methods::call(self, text, name, &args)?
            }
            Value::Dict(dict) => {
                self.charge(dict.pairs.len() as u64 / 16)?;
                containers::dict_method(value, name, &args)?
            }
            Value::List(items) | Value::Tuple(items) => {
                self.charge(items.items.len() as u64 / 4)?;
                containers::list_method(value, name, &args)?
            }
            Value::Object(object) => match &**object {
                Object::Loop(own) => Self::loop_method(own, name, args)?,
                _ => containers::cycler_method(object, name, &args)?,
            },
            other => return Err(raise(format!("'{}' object has no method '{name}'", other.kind()))),
        };
        self.made(made)
    }

    pub fn call_macro(&self, inner: &Arc<Macro>, scope: &Rc<Scope>, mut args: Args) -> Result<Value> {
        let frame = self.frame(Some(scope), &inner.body.hidden)?;
        let taken = args.list.len().min(inner.parameters.len());
        let rest = args.list.split_off(taken);
        self.charge((inner.parameters.len() * (1 + args.named.len() / 16)) as u64 / 4)?;
        let mut take = |name: &str| {
            let at = args.named.iter().position(|(own, _)| **own == *name)?;
            Some(args.named.remove(at).1)
        };
        let given: Vec<Option<Value>> =
            inner.parameters[taken..].iter().map(|parameter| take(&parameter.text)).collect();
        let given: Vec<Option<Value>> = args.list.drain(..).map(Some).chain(given).collect();
        if let Some(name) = inner.caller {
            let caller = match args.named.iter().position(|(own, _)| &**own == "caller") {
                Some(at) => args.named.remove(at).1,
                None => Value::None,
            };
            let is_none = matches!(caller, Value::None);
            frame.set(name, Some(if is_none { Value::undefined("caller") } else { caller }));
        }
        match inner.kwargs {
            Some(name) => {
                let pairs = args.named.drain(..).map(|(key, value)| (Value::Str(key), value)).collect();
                frame.set(name, Some(Value::dict(pairs)?));
            }
            None => {
                if let Some((key, _)) = args.named.first() {
                    return Err(raise(format!("{} takes no keyword argument '{key}'", show::of_macro(inner))));
                }
            }
        }
        match inner.varargs {
            Some(name) => frame.set(name, Some(Value::tuple(rest)?)),
            None if !rest.is_empty() => {
                let most = inner.parameters.len();
                return Err(raise(format!("{} takes not more than {most} argument(s)", show::of_macro(inner))));
            }
            None => {}
        }
        for (parameter, value) in inner.parameters.iter().zip(&given) {
            frame.set(parameter.name, value.clone());
        }
        for (parameter, value) in inner.parameters.iter().zip(&given) {
            if value.is_none() {
                let value = match &parameter.default {
                    Some(default) => self.eval(default, &frame)?,
                    None => Value::Undefined(parameter.text.clone()),
                };
                frame.set(parameter.name, Some(value));
            }
        }
        let mut out = String::new();
        self.run(&inner.body.stmts, &frame, &mut out)?;
        self.made(Value::str(out))
    }

    pub fn function(&self, name: &str, args: Args) -> Result<Value> {
        match name {
            "range" => range(&args),
            "dict" => Value::dict(self.pairs(args)?),
            "namespace" => {
                let mut attributes = Vec::new();
                for (key, value) in self.pairs(args)? {
                    let Value::Str(key) = key else {
                        return Err(reject("a namespace with an attribute that is no text"));
                    };
                    may_be_named(&key)?;
                    attributes.push((key, value));
                }
                Ok(Value::Namespace(Rc::new(RefCell::new(attributes))))
            }
            "cycler" if args.named.is_empty() && !args.list.is_empty() => {
                // Checks that no item holds what may not be held.
                Value::list(args.list.clone())?;
                Ok(Value::object(Object::Cycler(args.list, Cell::new(0))))
            }
            "cycler" => Err(raise("at least one item has to be provided")),
            "joiner" => {
                let [between] = args.bind(name, ["sep"])?;
                let between = between.unwrap_or_else(|| Value::str(", "));
                Value::list(vec![between.clone()])?;
                Ok(Value::object(Object::Joiner(between, Cell::new(false))))
            }
            "raise_exception" => {
                let [message] = args.bind(name, ["message"])?;
                Err(raise(show::text(&need(message, name)?)?))
            }
            "strftime_now" => {
                let [format] = args.bind(name, ["format"])?;
                let format = super::arguments::text(&need(format, name)?, name)?;
                Ok(Value::str(strftime(self.date, &format)?))
            }
            _ => Err(reject(&format!("the function `{name}`"))),
        }
    }

    /// The pairs that `dict` makes of its arguments.
    fn pairs(&self, args: Args) -> Result<Vec<(Value, Value)>> {
        let mut pairs = Vec::new();
        if args.list.len() > 1 {
            return Err(raise("dict expected at most 1 argument"));
        }
        match args.list.into_iter().next() {
            Some(Value::Undefined(name)) => return Err(raise(format!("'{name}' is undefined"))),
            Some(Value::Dict(dict)) => pairs.extend(dict.pairs.iter().cloned()),
            Some(other) => {
                for pair in other.iterate()? {
                    self.charge(1 + pairs.len() as u64 / 16)?;
                    let two: [Value; 2] = pair?.items()?.try_into().map_err(|_| raise("dict takes pairs"))?;
                    let [key, value] = two;
                    compare::insert(&mut pairs, key, value)?;
                }
            }
            None => {}
        }
        for (key, value) in args.named {
            compare::insert(&mut pairs, Value::Str(key), value)?;
        }
        Ok(pairs)
    }
}

fn range(args: &Args) -> Result<Value> {
    if !args.named.is_empty() || args.list.is_empty() || args.list.len() > 3 {
        return Err(raise("range takes one to three numbers"));
    }
    let numbers = args.list.iter().map(|value| int(Some(value), 0, "range")).collect::<Result<Vec<_>>>()?;
    let (start, stop, step) = match numbers[..] {
        [stop] => (0, stop, 1),
        [start, stop] => (start, stop, 1),
        _ => (numbers[0], numbers[1], numbers[2]),
    };
    let (Some(distance), true) = (stop.checked_sub(start), step != 0) else {
        return Err(raise("range() arg 3 must not be zero"));
    };
    let length = if (distance > 0) == (step > 0) { distance.unsigned_abs().div_ceil(step.unsigned_abs()) } else { 0 };
    if length > MAX_RANGE as u128 {
        return Err(raise(format!("Range too big. The sandbox blocks ranges larger than {MAX_RANGE}.")));
    }
    Ok(Value::Range(Rc::new(Range { start, step, length: length as usize })))
}

/// Directives that Python's and chrono's `strftime` write alike.
const DIRECTIVES: &str = "aAbBcCdDeFgGhHIjklmMnpRStTuUVwWxXyY%";

fn strftime(date: NaiveDate, format: &str) -> Result<String> {
    let wrong = |what: &str| reject(&format!("strftime_now with `{what}`"));
    let mut rest = format;
    while let Some(at) = rest.find('%') {
        let directive = rest[at + 1..].strip_prefix('-').unwrap_or(&rest[at + 1..]);
        let c = directive.chars().next().filter(|c| DIRECTIVES.contains(*c)).ok_or_else(|| wrong(format))?;
        rest = &directive[c.len_utf8()..];
    }
    let items: Vec<Item> = StrftimeItems::new(format).collect();
    if items.contains(&Item::Error) {
        return Err(wrong(format));
    }
    let mut out = String::new();
    let written = write!(out, "{}", date.and_time(NaiveTime::MIN).format_with_items(items.iter()));
    written.map_err(|_| wrong(format))?;
    Ok(out)
}
