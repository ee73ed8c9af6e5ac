//! Runs loops and computes the variables of `loop`.
//!
//! Owns the order in which items are read: one item ahead if `loop.last` or `loop.nextitem` is used, all items if
//! `loop.length` is. Writing `loop` itself as text is an error.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::arguments::Args;
use super::ast::For;
use super::compare;
use super::error::{Result, raise, reject};
use super::interpreter::{Flow, Interpreter};
use super::value::{Loop, LoopState, Object, Scope, Value};

impl Interpreter<'_> {
    pub fn for_loop(&self, statement: &Arc<For>, scope: &Rc<Scope>, out: &mut String) -> Result<Flow> {
        let source = self.eval(&statement.iter, scope)?;
        self.run_loop(statement, &source, scope, 0, out)
    }

    fn run_loop(
        &self,
        statement: &Arc<For>,
        source: &Value,
        scope: &Rc<Scope>,
        depth: usize,
        out: &mut String,
    ) -> Result<Flow> {
        let cursor = source.iterate()?;
        let length = if statement.test.is_none() { source.length().ok() } else { None };
        let state = LoopState {
            cursor,
            is_tested: statement.test.is_none(),
            ahead: None,
            length,
            index: 0,
            before: None,
            current: None,
            changed: None,
        };
        let own = Loop { statement: statement.clone(), scope: scope.clone(), state: RefCell::new(state), depth };
        let own = Rc::new(Object::Loop(own));
        let Object::Loop(inner) = &*own else { return Ok(Flow::On) };
        let mut is_empty = true;
        while let Some(item) = self.advance(inner)? {
            self.charge(1)?;
            let frame = self.frame(Some(scope), &statement.body.hidden)?;
            self.assign(&statement.target, item, &frame)?;
            if statement.has_loop
                && let Some(name) = self.special
            {
                frame.set(name, Some(Value::Object(own.clone())));
            }
            match self.run(&statement.body.stmts, &frame, out)? {
                // As Jinja2 has it, an item counts only once its body comes to its end.
                Flow::On => is_empty = false,
                Flow::Continue => {}
                Flow::Break => break,
            }
        }
        match &statement.other {
            Some(other) if is_empty => self.run_body(other, scope, out),
            _ => Ok(Flow::On),
        }
    }

    /// The next item, which is then the current one.
    fn advance(&self, own: &Loop) -> Result<Option<Value>> {
        let ahead = own.state.borrow_mut().ahead.take();
        let next = match ahead {
            Some(item) => Some(item),
            None => self.read(own)?,
        };
        if let Some(item) = &next {
            let mut state = own.state.borrow_mut();
            state.index += 1;
            state.before = state.current.take();
            state.current = Some(item.clone());
        }
        Ok(next)
    }

    /// Reads an item that the loop's own test lets pass.
    fn read(&self, own: &Loop) -> Result<Option<Value>> {
        loop {
            let (item, is_tested) = {
                let mut state = own.state.borrow_mut();
                (state.cursor.next().transpose()?, state.is_tested)
            };
            let (Some(item), Some(test), false) = (&item, &own.statement.test, is_tested) else { return Ok(item) };
            self.charge(1)?;
            let frame = self.frame(Some(&own.scope), &[])?;
            self.assign(&own.statement.target, item.clone(), &frame)?;
            if self.is_true(test, &frame)? {
                return Ok(Some(item.clone()));
            }
        }
    }

    fn peek(&self, own: &Loop) -> Result<Option<Value>> {
        if own.state.borrow().ahead.is_none() {
            let next = self.read(own)?;
            own.state.borrow_mut().ahead = next;
        }
        Ok(own.state.borrow().ahead.clone())
    }

    fn loop_length(&self, own: &Loop) -> Result<usize> {
        if let Some(length) = own.state.borrow().length {
            return Ok(length);
        }
        let mut rest = Vec::new();
        while let Some(item) = self.read(own)? {
            rest.push(item);
        }
        let mut state = own.state.borrow_mut();
        let length = rest.len() + state.index + usize::from(state.ahead.is_some());
        // Items that passed the test are not tested again.
        state.cursor = Value::list(rest)?.iterate()?;
        state.is_tested = true;
        state.length = Some(length);
        Ok(length)
    }

    /// `loop.name`
    pub fn loop_attr(&self, own: &Rc<Object>, name: &Arc<str>) -> Result<Value> {
        let Object::Loop(inner) = &**own else { return Ok(Value::Undefined(name.clone())) };
        let int = |n: usize| Value::Int(n as i128);
        let index = inner.state.borrow().index;
        let or_undefined = |value: Option<Value>| value.unwrap_or_else(|| Value::Undefined(name.clone()));
        Ok(match &**name {
            "index" => int(index),
            "index0" => int(index - 1),
            "first" => Value::Bool(index == 1),
            "last" => Value::Bool(self.peek(inner)?.is_none()),
            "length" => int(self.loop_length(inner)?),
            "revindex" => int(self.loop_length(inner)? + 1 - index),
            "revindex0" => int(self.loop_length(inner)? - index),
            "depth" => int(inner.depth + 1),
            "depth0" => int(inner.depth),
            "previtem" => or_undefined(inner.state.borrow().before.clone()),
            "nextitem" => or_undefined(self.peek(inner)?),
            "cycle" | "changed" => Value::object(Object::Method(Value::Object(own.clone()), name.clone())),
            _ if name.starts_with('_') => return Err(reject(&format!("`loop.{name}`"))),
            _ => Value::Undefined(name.clone()),
        })
    }

    /// `loop.cycle` and `loop.changed`.
    pub fn loop_method(own: &Loop, name: &str, args: Args) -> Result<Value> {
        if !args.named.is_empty() {
            return Err(raise(format!("loop.{name} takes no named arguments")));
        }
        if name == "cycle" {
            let index = own.state.borrow().index - 1;
            let item = args.list.get(index.checked_rem(args.list.len()).unwrap_or_default());
            return item.cloned().ok_or_else(|| raise("no items for cycling given"));
        }
        let value = Value::tuple(args.list)?;
        let mut state = own.state.borrow_mut();
        let is_same = match &state.changed {
            Some(last) => compare::equal(last, &value)?,
            None => false,
        };
        state.changed = Some(value);
        Ok(Value::Bool(!is_same))
    }

    /// `loop(items)`: the body of a recursive loop once more.
    pub fn loop_again(&self, own: &Loop, args: &Args) -> Result<Value> {
        if !own.statement.is_recursive {
            return Err(raise("The loop must have the 'recursive' marker to be called recursively."));
        }
        let [items] = args.bind("loop", ["iterable"])?;
        let items = super::arguments::need(items, "loop")?;
        let mut out = String::new();
        self.run_loop(&own.statement, &items, &own.scope, own.depth + 1, &mut out)?;
        Ok(Value::str(out))
    }
}
