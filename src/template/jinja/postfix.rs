//! From tokens to a tree: what follows an expression.
//!
//! Owns attributes, subscripts, calls, filters and tests. A subscript of several values is an error.

use std::sync::Arc;

use super::ast::{Arguments, Const, Expr, Step};
use super::error::{Result, raise, reject};
use super::parser::Parser;
use super::token::Token;

impl Parser {
    pub fn filters(&mut self, steps: &mut Vec<Step>) -> Result<()> {
        loop {
            if self.skip_op("|") {
                steps.push(self.filter()?);
            } else if self.is_word("is") {
                steps.push(self.test()?);
            } else if self.is_op("(") {
                steps.push(Step::Call(self.arguments()?));
            } else {
                return Ok(());
            }
        }
    }

    pub fn postfix(&mut self, steps: &mut Vec<Step>) -> Result<()> {
        loop {
            if self.skip_op(".") {
                steps.push(match self.next() {
                    Token::Name(name) => Step::Attr(name.into()),
                    Token::Int(index) => Step::Item(Expr::Const(Const::Int(index))),
                    _ => return Err(raise("expected name or number")),
                });
            } else if self.skip_op("[") {
                steps.push(self.subscript()?);
            } else if self.is_op("(") {
                steps.push(Step::Call(self.arguments()?));
            } else {
                return Ok(());
            }
        }
    }

    fn subscript(&mut self) -> Result<Step> {
        let first = if self.is_op(":") { None } else { Some(self.expression()?) };
        let step = match first {
            Some(index) if !self.is_op(":") => {
                if self.is_op(",") {
                    return Err(reject("an index of several values"));
                }
                Step::Item(index)
            }
            first => {
                let mut bounds = [first, None, None];
                for bound in &mut bounds[1..] {
                    if !self.skip_op(":") {
                        break;
                    }
                    if !self.is_op(":") && !self.is_op("]") && !self.is_op(",") {
                        *bound = Some(self.expression()?);
                    }
                }
                Step::Slice(Box::new(bounds))
            }
        };
        if self.is_op(",") {
            return Err(reject("an index of several values"));
        }
        self.expect_op("]")?;
        Ok(step)
    }

    pub fn arguments(&mut self) -> Result<Arguments> {
        self.expect_op("(")?;
        let mut arguments = Arguments::default();
        let mut is_first = true;
        while !self.is_op(")") {
            if !is_first {
                self.expect_op(",")?;
                if self.is_op(")") {
                    break;
                }
            }
            is_first = false;
            self.argument(&mut arguments)?;
        }
        self.next();
        Ok(arguments)
    }

    fn argument(&mut self, to: &mut Arguments) -> Result<()> {
        let wrong = || raise("invalid syntax for function call expression");
        if self.skip_op("*") {
            if to.list.is_some() || to.dict.is_some() {
                return Err(wrong());
            }
            to.list = Some(self.expression()?);
        } else if self.skip_op("**") {
            if to.dict.is_some() {
                return Err(wrong());
            }
            to.dict = Some(self.expression()?);
        } else if matches!(self.peek(), Token::Name(_)) && matches!(self.peek_second(), Token::Op("=")) {
            let key = self.word()?;
            self.next();
            if to.dict.is_some() {
                return Err(wrong());
            }
            if to.named.iter().any(|(other, _)| *other == key) {
                return Err(raise(format!("keyword argument repeated: {key}")));
            }
            to.named.push((key, self.expression()?));
        } else {
            if to.list.is_some() || to.dict.is_some() || !to.named.is_empty() {
                return Err(wrong());
            }
            to.positional.push(self.expression()?);
        }
        Ok(())
    }

    /// A filter's or test's name, which may have dots.
    fn dotted(&mut self) -> Result<Arc<str>> {
        let mut name = self.word()?;
        while self.skip_op(".") {
            name = format!("{name}.{}", self.word()?).into();
        }
        Ok(name)
    }

    pub fn filter(&mut self) -> Result<Step> {
        let name = self.dotted()?;
        let arguments = if self.is_op("(") { self.arguments()? } else { Arguments::default() };
        Ok(Step::Filter(name, arguments))
    }

    fn test(&mut self) -> Result<Step> {
        self.next();
        let is_not = self.skip_word("not");
        let name = self.dotted()?;
        let arguments = match self.peek() {
            Token::Op("(") => self.arguments()?,
            Token::Name(word) if matches!(word.as_str(), "else" | "or" | "and") => Arguments::default(),
            Token::Name(word) if word == "is" => return Err(raise("You cannot chain multiple tests with is")),
            Token::Name(_) | Token::Str(_) | Token::Int(_) | Token::Float(_) | Token::Op("[" | "{") => {
                let first = self.deeper(Self::primary)?;
                let mut steps = Vec::new();
                self.postfix(&mut steps)?;
                Arguments { positional: vec![chain(first, steps)], ..Arguments::default() }
            }
            _ => Arguments::default(),
        };
        Ok(Step::Test { name, arguments, is_not })
    }
}

/// A value, and what is done to it, if anything.
pub fn chain(first: Expr, steps: Vec<Step>) -> Expr {
    if steps.is_empty() { first } else { Expr::Chain(Box::new(first), steps) }
}
