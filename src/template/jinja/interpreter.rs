//! Runs statements.
//!
//! Owns a rendering: its variables and the limit on its work. Every step and every 64 bytes of text cost one unit.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use chrono::NaiveDate;

use super::arguments::Args;
use super::ast::{Body, Expr, Name, Node, Step, Stmt, Target};
use super::error::{Error, Kind, Result, reject};
use super::show;
use super::value::{Object, Scope, Value};

/// Deepest nesting of what runs: a macro that calls itself takes some ten levels each time.
const MAX_DEPTH: usize = 600;

/// Where statements end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    On,
    Break,
    Continue,
}

pub struct Interpreter<'t> {
    pub names: &'t [Arc<str>],
    /// What the conversation gives, by name.
    pub context: Vec<Option<Value>>,
    pub date: NaiveDate,
    used: Cell<u64>,
    fuel: u64,
    depth: Cell<usize>,
    /// Frames that macros hold on to, which hold on to them.
    frames: RefCell<Vec<Rc<Scope>>>,
    pub special: Option<Name>,
}

impl Drop for Interpreter<'_> {
    fn drop(&mut self) {
        for scope in self.frames.take() {
            scope.clear();
        }
    }
}

impl<'t> Interpreter<'t> {
    /// A rendering that sees `context` and may use so much `fuel`.
    pub fn new(names: &'t [Arc<str>], context: &[(&str, Value)], fuel: u64, date: NaiveDate) -> Self {
        let known: HashMap<&str, &Value> = context.iter().map(|(name, value)| (*name, value)).collect();
        let given = |name: &Arc<str>| known.get(&**name).map(|value| (*value).clone());
        let special = names.iter().position(|name| &**name == "loop").map(|name| name as Name);
        Self {
            names,
            context: names.iter().map(given).collect(),
            date,
            used: Cell::new(0),
            fuel,
            depth: Cell::new(0),
            frames: RefCell::default(),
            special,
        }
    }

    /// How much fuel was used.
    pub fn used(&self) -> u64 {
        self.used.get()
    }

    /// Uses up fuel.
    pub fn charge(&self, units: u64) -> Result<()> {
        let used = self.used.get().saturating_add(units);
        self.used.set(used);
        if used > self.fuel { Err(Error::new(Kind::Endless, "it does not come to an end".to_owned())) } else { Ok(()) }
    }

    /// Uses up what a value took to be made.
    pub fn charge_value(&self, value: &Value) -> Result<()> {
        self.charge(match value {
            Value::Str(text) | Value::Markup(text) => text.len() as u64 / 64,
            Value::List(items) | Value::Tuple(items) => items.items.len() as u64 / 4,
            Value::Dict(dict) => dict.pairs.len() as u64 / 2,
            Value::Iter(items) => items.borrow().len() as u64 / 4,
            _ => 0,
        })
    }

    /// Runs `run` a level deeper.
    pub fn deeper<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<T> {
        let depth = self.depth.get();
        if depth >= MAX_DEPTH {
            return Err(reject("recursion so deep"));
        }
        self.depth.set(depth + 1);
        let done = run();
        self.depth.set(depth);
        done
    }

    /// The text of a whole template.
    pub fn render(&self, root: &Body) -> Result<String> {
        let mut out = String::new();
        let scope = self.frame(None, &root.hidden)?;
        self.hold(&scope);
        self.run(&root.stmts, &scope, &mut out)?;
        Ok(out)
    }

    /// A frame inside of `scope` that hides these variables.
    pub fn frame(&self, scope: Option<&Rc<Scope>>, hidden: &[Name]) -> Result<Rc<Scope>> {
        self.charge(hidden.len() as u64 / 2)?;
        Ok(Scope::new(scope.cloned(), hidden))
    }

    /// All items of a value, paid for before they are copied.
    pub fn items(&self, value: &Value) -> Result<Vec<Value>> {
        self.charge(match value {
            Value::Str(text) => text.len() as u64 / 4,
            Value::View(_, dict) => dict.pairs.len() as u64 / 4,
            Value::Range(range) => range.length as u64 / 4,
            other => return self.charge_value(other).and_then(|()| other.items()),
        })?;
        value.items()
    }

    /// Clears a frame at the end: macros hold on to it.
    pub fn hold(&self, scope: &Rc<Scope>) {
        let mut frames = self.frames.borrow_mut();
        if !frames.iter().rev().take(2).any(|held| Rc::ptr_eq(held, scope)) {
            frames.push(scope.clone());
        }
    }

    /// Runs a body in a frame of its own.
    pub fn run_body(&self, body: &Body, scope: &Rc<Scope>, out: &mut String) -> Result<Flow> {
        self.run(&body.stmts, &self.frame(Some(scope), &body.hidden)?, out)
    }

    pub fn run(&self, stmts: &[Stmt], scope: &Rc<Scope>, out: &mut String) -> Result<Flow> {
        self.deeper(|| {
            for stmt in stmts {
                self.charge(1)?;
                match self.statement(&stmt.node, scope, out).map_err(|e| e.at(stmt.line))? {
                    Flow::On => {}
                    flow => return Ok(flow),
                }
            }
            Ok(Flow::On)
        })
    }

    fn statement(&self, node: &Node, scope: &Rc<Scope>, out: &mut String) -> Result<Flow> {
        match node {
            Node::Data(text) => self.put(text, out)?,
            Node::Print(exprs) => {
                for expr in exprs {
                    let value = self.eval(expr, scope)?;
                    let before = out.len();
                    show::put(&value, out)?;
                    self.charge((out.len() - before) as u64 / 64)?;
                }
            }
            Node::If(branches, other) => {
                for (test, stmts) in branches {
                    if self.eval(test, scope)?.is_true() {
                        return self.run(stmts, scope, out);
                    }
                }
                return self.run(other, scope, out);
            }
            Node::For(inner) => return self.for_loop(inner, scope, out),
            Node::Set(target, value) => {
                self.check(target, scope)?;
                let value = self.eval(value, scope)?;
                self.assign(target, value, scope)?;
            }
            Node::SetBlock(target, steps, body) => return self.set_block(target, steps, body, scope),
            Node::With(values, body) => {
                let inner = self.frame(Some(scope), &body.hidden)?;
                for (target, value) in values {
                    let value = self.eval(value, scope)?;
                    self.assign(target, value, &inner)?;
                }
                return self.run(&body.stmts, &inner, out);
            }
            Node::Macro(own, inner) => {
                self.hold(scope);
                scope.set(*own, Some(Value::object(Object::Macro(inner.clone(), scope.clone()))));
            }
            Node::Call(call, inner) => {
                // A namespace may keep the caller, and it this frame.
                self.hold(scope);
                let caller = Value::object(Object::Macro(inner.clone(), scope.clone()));
                let value = self.eval_call(call, caller, scope)?;
                show::put(&value, out)?;
            }
            Node::Filter(steps, body) => {
                let mut inside = String::new();
                let inner = self.frame(Some(scope), &body.hidden)?;
                match self.run(&body.stmts, &inner, &mut inside)? {
                    Flow::On => show::put(&self.steps(Value::str(inside), steps, &inner)?, out)?,
                    flow => return Ok(flow),
                }
            }
            // Its result is the text of the block: it is given nothing else.
            Node::Generation(inner) => show::put(&self.call_macro(inner, scope, Args::default())?, out)?,
            Node::Break => return Ok(Flow::Break),
            Node::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::On)
    }

    fn put(&self, text: &str, out: &mut String) -> Result<()> {
        if out.len() + text.len() > show::MAX_BYTES {
            return Err(show::too_long());
        }
        out.push_str(text);
        self.charge(text.len() as u64 / 64)
    }

    fn set_block(&self, target: &Target, steps: &[Step], body: &Body, scope: &Rc<Scope>) -> Result<Flow> {
        let mut inside = String::new();
        let inner = self.frame(Some(scope), &body.hidden)?;
        match self.run(&body.stmts, &inner, &mut inside)? {
            Flow::On => {
                let value = self.steps(Value::str(inside), steps, &inner)?;
                self.assign(target, value, scope)?;
                Ok(Flow::On)
            }
            flow => Ok(flow),
        }
    }

    /// The value of an expression that must be true or false.
    pub fn is_true(&self, expr: &Expr, scope: &Rc<Scope>) -> Result<bool> {
        Ok(self.eval(expr, scope)?.is_true())
    }
}

#[cfg(test)]
mod cleared {
    use chrono::NaiveDate;

    use crate::template::jinja::Template;

    /// Each caller holds the frame of the one before it: as deep as that, dropping them would overflow the stack.
    #[test]
    fn callers_that_hold_one_another_are_dropped_one_by_one() {
        let source = "{% macro keep() %}{% set ns.m = caller %}{% endmacro %}{% set ns = namespace(m=none) %}\
            {% for j in range(3) %}{% for i in range(100000) %}{% set prev = ns.m %}{% call keep() %}{{ prev }}{% endcall %}\
            {% endfor %}{% endfor %}done";
        let template = Template::parse(source).unwrap();
        let (text, _) = template.render(&[], 1 << 40, NaiveDate::from_ymd_opt(2024, 7, 26).unwrap());
        assert_eq!(text.unwrap(), "done");
    }
}
