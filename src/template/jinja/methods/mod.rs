//! The methods of Python's texts.
//!
//! Owns what each method does. A method that no template uses is an error that names it. So are rules about letters
//! outside ASCII where Rust's tables differ from Python's.

pub mod cases;
pub mod containers;
pub mod search;
pub mod split;

use super::arguments::{Args, int, need, size, text};
use super::error::{Result, raise, reject};
use super::format;
use super::interpreter::Interpreter;
use super::show;
use super::value::Value;
use super::width::pad;

/// Every method there is in Python.
const ALL: &str = " capitalize casefold center count encode endswith expandtabs find format format_map index isalnum \
    isalpha isascii isdecimal isdigit isidentifier islower isnumeric isprintable isspace istitle isupper join ljust lower \
    lstrip maketrans partition removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split \
    splitlines startswith strip swapcase title translate upper zfill ";

pub fn exists(name: &str) -> bool {
    ALL.split(' ').any(|method| method == name && !name.is_empty())
}

/// `own.name(args)`
pub fn call(interpreter: &Interpreter, own: &str, name: &str, args: &Args) -> Result<Value> {
    let string = |text: String| Ok(Value::str(text));
    match name {
        "upper" | "lower" | "capitalize" | "title" | "swapcase" => {
            args.none(name)?;
            string(cases::cased(own, name)?)
        }
        "strip" | "lstrip" | "rstrip" => {
            let [chars] = args.bind(name, ["_"])?;
            string(search::strip(own, name, chars.as_ref())?.to_owned())
        }
        "split" | "rsplit" => {
            let [separator, most] = args.bind(name, ["sep", "maxsplit"])?;
            let most = int(most.as_ref(), -1, name)?;
            split::split(interpreter, own, separator.as_ref(), most, name == "rsplit")
        }
        "splitlines" => {
            let [keep] = args.bind(name, ["keepends"])?;
            split::values(interpreter, split::lines(own, keep.is_some_and(|keep| keep.is_true())))
        }
        "startswith" | "endswith" => search::begins_or_ends(own, name, args),
        "replace" => {
            let [old, new, most] = args.bind(name, ["_", "_", "count"])?;
            let (old, new) = (text(&need(old, name)?, name)?, text(&need(new, name)?, name)?);
            string(search::replace(own, &old, &new, int(most.as_ref(), -1, name)?)?)
        }
        "find" | "rfind" | "index" | "rindex" | "count" => search::search(own, name, args),
        "join" => {
            let [items] = args.bind(name, ["_"])?;
            join(own, &need(items, name)?)
        }
        "format" => string(format::braces(own, args)?),
        "removeprefix" | "removesuffix" => {
            let [part] = args.bind(name, ["_"])?;
            let part = text(&need(part, name)?, name)?;
            let rest = if name == "removeprefix" { own.strip_prefix(&*part) } else { own.strip_suffix(&*part) };
            string(rest.unwrap_or(own).to_owned())
        }
        "partition" | "rpartition" => split::partition(own, name, args),
        "center" | "ljust" | "rjust" => {
            let [width, fill] = args.bind(name, ["_", "_"])?;
            let fill = fill.map_or(Ok(" ".into()), |fill| text(&fill, name))?;
            let mut chars = fill.chars();
            let (Some(fill), None) = (chars.next(), chars.next()) else {
                return Err(raise("The fill character must be exactly one character long"));
            };
            string(pad(own, name, size(Some(&need(width, name)?), 0, name)?, fill))
        }
        "zfill" => {
            let [width] = args.bind(name, ["_"])?;
            let (sign, digits) = own.split_at(usize::from(own.starts_with(['-', '+'])));
            let width = size(Some(&need(width, name)?), 0, name)?.saturating_sub(sign.len());
            string(format!("{sign}{}", pad(digits, "rjust", width, '0')))
        }
        "isascii" => {
            args.none(name)?;
            Ok(Value::Bool(own.is_ascii()))
        }
        _ if name.starts_with("is") => {
            args.none(name)?;
            cases::is(own, name).map(Value::Bool)
        }
        _ => Err(reject(&format!("the method `{name}` of texts"))),
    }
}

fn join(own: &str, items: &Value) -> Result<Value> {
    let mut out = String::new();
    for (index, item) in items.iterate()?.enumerate() {
        if index > 0 {
            out.push_str(own);
        }
        match item? {
            Value::Str(text) => out.push_str(&text),
            Value::Markup(_) => return Err(reject("a safe string in join")),
            other => {
                return Err(raise(format!("sequence item {index}: expected str instance, {} found", other.kind())));
            }
        }
        if out.len() > show::MAX_BYTES {
            return Err(show::too_long());
        }
    }
    Ok(Value::str(out))
}
