//! Expressions as they are worked out.
//!
//! Owns operators and the order of evaluation. Refuses what Python raises: an undefined value in a sum, say.

use std::cmp::Ordering;
use std::rc::Rc;

use super::arguments::Args;
use super::ast::{Arguments, Compare, Const, Expr, Math, Step};
use super::compare;
use super::error::{Result, raise, refuse};
use super::format;
use super::interpreter::Interpreter;
use super::numbers;
use super::scope::Scope;
use super::show;
use super::tests;
use super::value::{Object, Value};

impl Interpreter<'_> {
    pub fn eval(&self, expr: &Expr, scope: &Rc<Scope>) -> Result<Value> {
        self.charge(1)?;
        match expr {
            Expr::Const(constant) => Ok(match constant {
                Const::None => Value::None,
                Const::Bool(is) => Value::Bool(*is),
                Const::Int(n) => Value::Int(*n),
                Const::Float(x) => Value::Float(*x),
                Const::Str(text) => Value::Str(text.clone()),
            }),
            Expr::Name(name) => Ok(self.variable(*name, scope)),
            _ => self.deeper(|| self.compound(expr, scope)),
        }
    }

    fn compound(&self, expr: &Expr, scope: &Rc<Scope>) -> Result<Value> {
        match expr {
            Expr::Const(_) | Expr::Name(_) => self.eval(expr, scope),
            Expr::Chain(first, steps) => {
                let first = self.eval(first, scope)?;
                self.steps(first, steps, scope)
            }
            Expr::If(inner) => {
                if self.is_true(&inner.test, scope)? {
                    return self.eval(&inner.then, scope);
                }
                match &inner.other {
                    Some(other) => self.eval(other, scope),
                    None => Ok(Value::undefined("an `if` without `else`")),
                }
            }
            Expr::Not(inner) => Ok(Value::Bool(!self.is_true(inner, scope)?)),
            Expr::And(items) => self.until(items, false, scope),
            Expr::Or(items) => self.until(items, true, scope),
            Expr::Compare(first, rest) => self.compare(first, rest, scope),
            Expr::Math(first, rest) => {
                let mut value = self.eval(first, scope)?;
                for (op, right) in rest {
                    value = self.math(*op, &value, &self.eval(right, scope)?)?;
                }
                Ok(value)
            }
            Expr::Concat(items) => {
                let values = items.iter().map(|item| self.eval(item, scope)).collect::<Result<Vec<_>>>()?;
                let mut out = String::new();
                values.iter().try_for_each(|value| show::put(value, &mut out))?;
                self.made(Value::str(out))
            }
            Expr::List(items) => self.made(Value::list(self.evals(items, scope)?)?),
            Expr::Tuple(items) => self.made(Value::tuple(self.evals(items, scope)?)?),
            Expr::Dict(items) => {
                let mut pairs = Vec::new();
                for (key, value) in items {
                    self.charge(pairs.len() as u64 / 16)?;
                    compare::insert(&mut pairs, self.eval(key, scope)?, self.eval(value, scope)?)?;
                }
                Value::dict(pairs)
            }
            Expr::Minus(inner) => match self.eval(inner, scope)? {
                Value::Float(x) => Ok(Value::Float(-x)),
                value => self.signed(&value, -1),
            },
            Expr::Plus(inner) => match self.eval(inner, scope)? {
                value @ Value::Float(_) => Ok(value),
                value => self.signed(&value, 1),
            },
        }
    }

    fn signed(&self, value: &Value, sign: i128) -> Result<Value> {
        match value.as_int() {
            Some(n) => self.math(Math::Mul, &Value::Int(n), &Value::Int(sign)),
            None => Err(wrong_operand(value)),
        }
    }

    /// A value that took its length to be made.
    pub fn made(&self, value: Value) -> Result<Value> {
        self.charge_value(&value)?;
        Ok(value)
    }

    fn evals(&self, items: &[Expr], scope: &Rc<Scope>) -> Result<Vec<Value>> {
        items.iter().map(|item| self.eval(item, scope)).collect()
    }

    /// The first item that is true, or false, else the last.
    fn until(&self, items: &[Expr], is: bool, scope: &Rc<Scope>) -> Result<Value> {
        let mut value = Value::None;
        for item in items {
            value = self.eval(item, scope)?;
            if value.is_true() == is {
                break;
            }
        }
        Ok(value)
    }

    fn compare(&self, first: &Expr, rest: &[(Compare, Expr)], scope: &Rc<Scope>) -> Result<Value> {
        let mut left = self.eval(first, scope)?;
        for (op, right) in rest {
            let right = self.eval(right, scope)?;
            self.charge(size(&left).min(size(&right)).max(if matches!(op, Compare::In | Compare::NotIn) {
                size(&right)
            } else {
                0
            }))?;
            let order = |sign: &str| {
                for side in [&left, &right] {
                    if matches!(side, Value::Undefined(_)) {
                        return Err(wrong_operand(side));
                    }
                }
                compare::order(&left, &right, sign)
            };
            let is = match op {
                Compare::Eq => compare::equal(&left, &right)?,
                Compare::Ne => !compare::equal(&left, &right)?,
                Compare::Lt => order("<")? == Some(Ordering::Less),
                Compare::Le => matches!(order("<=")?, Some(Ordering::Less | Ordering::Equal)),
                Compare::Gt => order(">")? == Some(Ordering::Greater),
                Compare::Ge => matches!(order(">=")?, Some(Ordering::Greater | Ordering::Equal)),
                Compare::In => compare::contains(&right, &left)?,
                Compare::NotIn => !compare::contains(&right, &left)?,
            };
            if !is {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
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
                Value::Markup(_) => return Err(refuse("a safe string beside an operator")),
                _ => {}
            }
        }
        match (op, left, right) {
            (Math::Add, Value::Str(a), Value::Str(b)) => {
                if a.len() + b.len() > show::MAX_BYTES {
                    return Err(show::too_long());
                }
                self.made(Value::str([&**a, b].concat()))
            }
            (Math::Add, Value::List(a), Value::List(b)) => {
                self.made(Value::list(a.items.iter().chain(&b.items).cloned().collect())?)
            }
            (Math::Add, Value::Tuple(a), Value::Tuple(b)) => {
                self.made(Value::tuple(a.items.iter().chain(&b.items).cloned().collect())?)
            }
            (Math::Mul, Value::Str(_) | Value::List(_) | Value::Tuple(_), times) if times.as_int().is_some() => {
                self.repeat(left, times.as_int().unwrap_or_default())
            }
            (Math::Mul, times, Value::Str(_) | Value::List(_) | Value::Tuple(_)) if times.as_int().is_some() => {
                self.repeat(right, times.as_int().unwrap_or_default())
            }
            _ if numbers::as_float(left).is_some() && numbers::as_float(right).is_some() => {
                numbers::math(op, left, right)
            }
            (Math::Sub, Value::View(..), _) => Err(refuse("a difference of views of objects")),
            _ => Err(raise(format!("unsupported operand type(s): '{}' and '{}'", left.kind(), right.kind()))),
        }
    }

    /// The sum of texts of which one is safe: the other is made so.
    fn safe_sum(&self, left: &Value, right: &Value) -> Result<Value> {
        let mut out = String::new();
        for side in [left, right] {
            match side {
                Value::Markup(text) => out.push_str(text),
                Value::Str(text) => out.push_str(&show::escaped(text)),
                Value::Undefined(_) => return Err(wrong_operand(side)),
                _ => return Err(refuse("the sum of a safe string and what is no text")),
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

    /// What is done to a value one after another.
    pub fn steps(&self, mut value: Value, steps: &[Step], scope: &Rc<Scope>) -> Result<Value> {
        let mut steps = steps.iter().peekable();
        while let Some(step) = steps.next() {
            self.charge(1)?;
            value = match step {
                Step::Attr(name) => match steps.peek() {
                    Some(Step::Call(arguments)) if super::access::has_method(&value, name) => {
                        steps.next();
                        let args = self.arguments(arguments, Vec::new(), scope)?;
                        self.method(&value, name, args)?
                    }
                    _ => self.attr(&value, name)?,
                },
                Step::Item(index) => {
                    let index = self.eval(index, scope)?;
                    self.item(&value, &index)?
                }
                Step::Slice(bounds) => {
                    let mut settled = [None, None, None];
                    for (bound, own) in bounds.iter().zip(&mut settled) {
                        *own = bound.as_ref().map(|bound| self.eval(bound, scope)).transpose()?;
                    }
                    let slice = super::access::slice(&value, &settled)?;
                    self.made(slice)?
                }
                Step::Call(arguments) => {
                    let args = self.arguments(arguments, Vec::new(), scope)?;
                    self.call(&value, args)?
                }
                Step::Filter(name, arguments) => {
                    let args = self.arguments(arguments, vec![value], scope)?;
                    self.filter(name, &args)?
                }
                Step::Test { name, arguments, is_not } => {
                    let args = self.arguments(arguments, vec![value], scope)?;
                    Value::Bool(tests::call(name, &args)? != *is_not)
                }
            };
        }
        Ok(value)
    }

    /// A call with one more argument: what `caller` is.
    pub fn eval_call(&self, call: &Expr, caller: Value, scope: &Rc<Scope>) -> Result<Value> {
        let Expr::Chain(first, steps) = call else { return Err(raise("expected call")) };
        let Some((Step::Call(arguments), before)) = steps.split_last() else { return Err(raise("expected call")) };
        let callee = self.eval(first, scope)?;
        let callee = self.steps(callee, before, scope)?;
        let mut args = self.arguments(arguments, Vec::new(), scope)?;
        args.named.push(("caller".into(), caller));
        self.call(&callee, args)
    }

    fn arguments(&self, arguments: &Arguments, first: Vec<Value>, scope: &Rc<Scope>) -> Result<Args> {
        let mut args = Args::of(first);
        for argument in &arguments.positional {
            args.list.push(self.eval(argument, scope)?);
        }
        for (name, argument) in &arguments.named {
            args.named.push((name.clone(), self.eval(argument, scope)?));
        }
        if let Some(list) = &arguments.list {
            args.list.extend(self.eval(list, scope)?.items()?);
        }
        if let Some(dict) = &arguments.dict {
            let Value::Dict(dict) = self.eval(dict, scope)? else {
                return Err(raise("argument after ** must be a mapping"));
            };
            for (key, value) in &dict.pairs {
                let Value::Str(key) = key else { return Err(raise("keywords must be strings")) };
                if args.named.iter().any(|(own, _)| own == key) {
                    return Err(raise(format!("got multiple values for keyword argument '{key}'")));
                }
                args.named.push((key.clone(), value.clone()));
            }
        }
        self.charge(args.list.len() as u64 / 4)?;
        Ok(args)
    }

    /// `value(args)`
    pub fn call(&self, callee: &Value, args: Args) -> Result<Value> {
        match callee {
            Value::Undefined(name) => Err(raise(format!("'{name}' is undefined"))),
            Value::Object(object) => self.deeper(|| match &**object {
                Object::Macro(inner, scope) => self.call_macro(inner, scope, args),
                Object::Loop(own) => self.loop_again(own, &args),
                Object::Method(own, name) => self.method(own, name, args),
                Object::Function(name) => self.function(name, args),
                Object::Joiner(between, is_used) => {
                    args.none("joiner")?;
                    Ok(if is_used.replace(true) { between.clone() } else { Value::str("") })
                }
                Object::Cycler(..) => Err(raise("'Cycler' object is not callable")),
            }),
            other => Err(raise(format!("'{}' object is not callable", other.kind()))),
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
fn wrong_operand(value: &Value) -> super::error::Error {
    match value {
        Value::Undefined(name) => raise(format!("'{name}' is undefined")),
        other => raise(format!("bad operand type: '{}'", other.kind())),
    }
}
