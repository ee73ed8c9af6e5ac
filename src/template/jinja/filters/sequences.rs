//! Filters of lists and objects.
//!
//! Owns which results can be read only once, as Python's generators. A generator runs as it is read, so that an error
//! occurs at the element that causes it.

use std::cmp::Ordering;
use std::rc::Rc;

use super::super::arguments::{Args, need, size};
use super::super::compare;
use super::super::error::{Result, raise, reject};
use super::super::interpreter::Interpreter;
use super::super::show;
use super::super::sorting;
use super::super::tests;
use super::super::value::{Items, Value, View};

/// Most items that a filter fills in.
const MAX_FILLED: usize = 1 << 16;

pub fn call(interpreter: &Interpreter, name: &str, args: &Args) -> Result<Value> {
    match name {
        "first" | "last" | "list" | "reverse" | "items" => simple(interpreter, name, args),
        "join" => join(interpreter, args),
        "map" => Ok(once(map(interpreter, args))),
        "select" | "reject" | "selectattr" | "rejectattr" => Ok(once(select(interpreter, name, args))),
        "batch" => batch(interpreter, args),
        "slice" => slice(interpreter, args),
        "unique" => unique(interpreter, args),
        "sort" => sort(interpreter, args),
        "dictsort" => dictsort(interpreter, args),
        _ => groupby(interpreter, args),
    }
}

/// What a generator yields; an error in it occurs when that element is read.
fn once(items: Result<Vec<Result<Value>>>) -> Value {
    Value::iter(items.unwrap_or_else(|error| vec![Err(error)]))
}

fn simple(interpreter: &Interpreter, name: &str, args: &Args) -> Result<Value> {
    let parameter = if matches!(name, "first" | "last") { "seq" } else { "value" };
    let [value] = args.bind(name, [parameter])?;
    let value = need(value, name)?;
    let end = |item: Option<Value>| item.unwrap_or_else(|| Value::undefined("No item, sequence was empty."));
    match name {
        "first" => Ok(end(value.iterate()?.next().transpose()?)),
        "last" if matches!(value, Value::Iter(_)) => Err(raise("'generator' object is not reversible")),
        "last" => Ok(end(interpreter.items(&value)?.pop())),
        "list" => Value::list(interpreter.items(&value)?),
        "items" => match &value {
            Value::Undefined(_) => Ok(Value::iter([])),
            Value::Dict(dict) => Ok(Value::iter(Value::View(View::Items, dict.clone()).iterate()?)),
            _ => Ok(once(Err(raise("Can only get item pairs from a mapping.")))),
        },
        _ => {
            if let Value::Str(text) = &value {
                return Ok(Value::str(text.chars().rev().collect::<String>()));
            }
            let mut items = interpreter.items(&value)?;
            items.reverse();
            if matches!(value, Value::Iter(_)) {
                Value::list(items)
            } else {
                Ok(Value::iter(items.into_iter().map(Ok)))
            }
        }
    }
}

fn join(interpreter: &Interpreter, args: &Args) -> Result<Value> {
    let [value, between, attribute] = args.bind("join", ["value", "d", "attribute"])?;
    let between = between.map_or(Ok(String::new()), |between| show::text(&between))?;
    let attribute = attribute.filter(|attribute| !matches!(attribute, Value::None));
    let mut out = String::new();
    for (index, item) in need(value, "join")?.iterate()?.enumerate() {
        if index > 0 {
            out.push_str(&between);
        }
        let item = item?;
        match &attribute {
            Some(attribute) => show::put(&interpreter.path(&item, attribute, None)?, &mut out)?,
            None => show::put(&item, &mut out)?,
        }
    }
    Ok(Value::str(out))
}

fn map(interpreter: &Interpreter, args: &Args) -> Result<Vec<Result<Value>>> {
    let Some((value, rest)) = args.list.split_first() else { return Err(raise("map misses a value")) };
    let named = |name: &str| args.named.iter().find(|(own, _)| &**own == name).map(|(_, value)| value);
    if !value.is_true() {
        return Ok(Vec::new());
    }
    if rest.is_empty()
        && let Some(attribute) = named("attribute")
    {
        if let Some((name, _)) = args.named.iter().find(|(name, _)| !matches!(&**name, "attribute" | "default")) {
            return Err(raise(format!("Unexpected keyword argument '{name}'")));
        }
        let default = named("default").filter(|default| !matches!(default, Value::None));
        return Ok(value.iterate()?.map(|item| interpreter.path(&item?, attribute, default)).collect());
    }
    let Some((filter, rest)) = rest.split_first() else { return Err(raise("map requires a filter argument")) };
    let Value::Str(filter) = filter else { return Err(raise("No such filter")) };
    let one = |item: Result<Value>| {
        let list = std::iter::once(item?).chain(rest.iter().cloned()).collect();
        interpreter.filter(filter, &Args { list, named: args.named.clone() })
    };
    Ok(value.iterate()?.map(one).collect())
}

fn select(interpreter: &Interpreter, name: &str, args: &Args) -> Result<Vec<Result<Value>>> {
    let Some((value, mut rest)) = args.list.split_first() else { return Err(raise("a filter misses a value")) };
    if !value.is_true() {
        return Ok(Vec::new());
    }
    let mut attribute = None;
    if name.ends_with("attr") {
        let Some((first, more)) = rest.split_first() else { return Err(raise("Missing parameter for attribute name")) };
        (attribute, rest) = (Some(first), more);
    }
    let is_wanted = name.starts_with("select");
    let fits = |item: &Value| {
        let item = match attribute {
            Some(attribute) => interpreter.path(item, attribute, None)?,
            None => item.clone(),
        };
        let Some((test, more)) = rest.split_first() else { return Ok(item.is_true() == is_wanted) };
        let Value::Str(test) = test else { return Err(raise("No such test")) };
        let list = std::iter::once(item).chain(more.iter().cloned()).collect();
        interpreter.charge(1)?;
        Ok(tests::call(test, &Args { list, named: args.named.clone() })? == is_wanted)
    };
    let mut kept = Vec::new();
    for item in value.iterate()? {
        match item.and_then(|item| Ok((fits(&item)?, item))) {
            Ok((true, item)) => kept.push(Ok(item)),
            Ok((false, _)) => {}
            Err(error) => {
                kept.push(Err(error));
                break;
            }
        }
    }
    Ok(kept)
}

fn batch(interpreter: &Interpreter, args: &Args) -> Result<Value> {
    let [value, count, fill] = args.bind("batch", ["value", "linecount", "fill_with"])?;
    let count = size(Some(&need(count, "batch")?), 0, "batch")?;
    let fill = fill.filter(|fill| !matches!(fill, Value::None));
    if fill.is_some() && count > MAX_FILLED {
        return Err(reject("a batch so large"));
    }
    let lists = || {
        let items = interpreter.items(&need(value, "batch")?)?;
        if count == 0 && !items.is_empty() {
            return Err(reject("a batch of no items"));
        }
        let full = |chunk: &[Value]| {
            let mut chunk = chunk.to_vec();
            if let Some(fill) = &fill {
                chunk.resize(count, fill.clone());
            }
            Value::list(chunk)
        };
        Ok(items.chunks(count.max(1)).map(full).collect())
    };
    Ok(once(lists()))
}

fn slice(interpreter: &Interpreter, args: &Args) -> Result<Value> {
    let [value, slices, fill] = args.bind("slice", ["value", "slices", "fill_with"])?;
    let slices = size(Some(&need(slices, "slice")?), 0, "slice")?;
    let fill = fill.filter(|fill| !matches!(fill, Value::None));
    if slices == 0 || slices > MAX_FILLED {
        return Err(reject("so many slices"));
    }
    let lists = || {
        let items = interpreter.items(&need(value, "slice")?)?;
        let (each, more) = (items.len() / slices, items.len() % slices);
        let one = |number: usize| {
            let start = number * each + number.min(more);
            let mut part = items[start..start + each + usize::from(number < more)].to_vec();
            if number >= more {
                part.extend(fill.clone());
            }
            Value::list(part)
        };
        Ok((0..slices).map(one).collect())
    };
    Ok(once(lists()))
}

fn unique(interpreter: &Interpreter, args: &Args) -> Result<Value> {
    let [value, case, attribute] = args.bind("unique", ["value", "case_sensitive", "attribute"])?;
    let kept = || {
        let mut seen: Vec<(Value, Value)> = Vec::new();
        let mut kept = Vec::new();
        for item in need(value, "unique")?.iterate()? {
            let item = item?;
            interpreter.charge(1 + seen.len() as u64 / 16)?;
            let key = interpreter.key(&item, attribute.as_ref(), case.as_ref())?;
            let count = seen.len();
            compare::insert(&mut seen, key, Value::None)?;
            if seen.len() > count {
                kept.push(Ok(item));
            }
        }
        Ok(kept)
    };
    Ok(once(kept()))
}

/// Sorted by keys; what is equal stays in its order, also the other way round.
fn sorted(interpreter: &Interpreter, mut keyed: Vec<(Value, Value)>, is_reverse: bool) -> Result<Vec<Value>> {
    sorting::sort(&mut keyed, |a, b| {
        interpreter.charge(1)?;
        let (a, b) = if is_reverse { (b, a) } else { (a, b) };
        match compare::order(&a.0, &b.0, "<")? {
            None => Err(reject("a sort of NaN")),
            Some(order) => Ok(order == Ordering::Less),
        }
    })?;
    Ok(keyed.into_iter().map(|(_, item)| item).collect())
}

fn sort(interpreter: &Interpreter, args: &Args) -> Result<Value> {
    let [value, reverse, case, attribute] = args.bind("sort", ["value", "reverse", "case_sensitive", "attribute"])?;
    let paths: Vec<Option<Value>> = match &attribute {
        Some(Value::Str(paths)) => paths.split(',').map(|path| Some(Value::str(path))).collect(),
        other => vec![other.clone()],
    };
    let keyed = |item: Value| {
        let keys = paths.iter().map(|path| interpreter.key(&item, path.as_ref(), case.as_ref()));
        Ok((Value::list(keys.collect::<Result<_>>()?)?, item))
    };
    let keyed = interpreter.items(&need(value, "sort")?)?.into_iter().map(keyed).collect::<Result<_>>()?;
    Value::list(sorted(interpreter, keyed, reverse.is_some_and(|reverse| reverse.is_true()))?)
}

fn dictsort(interpreter: &Interpreter, args: &Args) -> Result<Value> {
    let [value, case, by, reverse] = args.bind("dictsort", ["value", "case_sensitive", "by", "reverse"])?;
    let by_key = match by.as_ref().map(|by| by.as_str()) {
        None | Some(Some("key")) => true,
        Some(Some("value")) => false,
        _ => return Err(raise("You can only sort by either \"key\" or \"value\"")),
    };
    let value = need(value, "dictsort")?;
    let Value::Dict(dict) = &value else {
        return Err(raise(format!("'{}' object has no attribute 'items'", value.kind())));
    };
    let keyed = |(key, value): &(Value, Value)| {
        let by = interpreter.key(if by_key { key } else { value }, None, case.as_ref())?;
        Ok((by, Value::tuple(vec![key.clone(), value.clone()])?))
    };
    let keyed = dict.pairs.iter().map(keyed).collect::<Result<_>>()?;
    Value::list(sorted(interpreter, keyed, reverse.is_some_and(|reverse| reverse.is_true()))?)
}

fn groupby(interpreter: &Interpreter, args: &Args) -> Result<Value> {
    let [value, attribute, default, case] =
        args.bind("groupby", ["value", "attribute", "default", "case_sensitive"])?;
    let attribute = need(attribute, "groupby")?;
    let default = default.filter(|default| !matches!(default, Value::None));
    let folds = !case.is_some_and(|case| case.is_true());
    let own = |item: &Value| interpreter.path(item, &attribute, default.as_ref());
    let key = |item: &Value| Ok(if folds { interpreter.folded(own(item)?) } else { own(item)? });
    let keyed = |item: Value| Ok((key(&item)?, item));
    let items = interpreter.items(&need(value, "groupby")?)?;
    let items = sorted(interpreter, items.into_iter().map(keyed).collect::<Result<_>>()?, false)?;
    let mut groups: Vec<(Value, Vec<Value>)> = Vec::new();
    for item in items {
        let by = key(&item)?;
        match groups.last_mut() {
            Some((last, group)) if compare::equal(last, &by)? => group.push(item),
            _ => groups.push((by, vec![item])),
        }
    }
    let tuple = |(by, group): (Value, Vec<Value>)| {
        let by = if folds { own(&group[0])? } else { by };
        Ok(Value::Tuple(Rc::new(Items::group(by, group)?)))
    };
    Value::list(groups.into_iter().map(tuple).collect::<Result<_>>()?)
}
