//! Evaluates expressions.
//!
//! Owns the order of evaluation. Not here: what an operator computes (`operators`).

use std::rc::Rc;

use super::ast::{Compare, Const, Expr};
use super::compare;
use super::error::Result;
use super::interpreter::Interpreter;
use super::show;
use super::value::{Scope, Value};

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
            if !self.compared(*op, &left, &right)? {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }
}
