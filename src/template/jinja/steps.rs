//! Steps on a value: attributes, items, calls, filters and tests.
//!
//! Owns their order and the arguments of calls. Calling a value that is not callable is an error, as in Python.

use std::rc::Rc;

use super::arguments::Args;
use super::ast::{Arguments, Expr, Step};
use super::error::{Result, raise};
use super::interpreter::Interpreter;
use super::tests;
use super::value::{Object, Scope, Value};

impl Interpreter<'_> {
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
                    let mut fixed = [None, None, None];
                    for (bound, own) in bounds.iter().zip(&mut fixed) {
                        *own = bound.as_ref().map(|bound| self.eval(bound, scope)).transpose()?;
                    }
                    self.charge_value(&value)?;
                    super::slices::slice(&value, &fixed)?
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
            let list = self.eval(list, scope)?;
            args.list.extend(self.items(&list)?);
        }
        if let Some(dict) = &arguments.dict {
            let Value::Dict(dict) = self.eval(dict, scope)? else {
                return Err(raise("argument after ** must be a mapping"));
            };
            for (key, value) in &dict.pairs {
                let Value::Str(key) = key else { return Err(raise("keywords must be strings")) };
                self.charge(args.named.len() as u64 / 16)?;
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
