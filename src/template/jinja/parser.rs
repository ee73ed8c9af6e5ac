//! Reads a template's tokens one after another.
//!
//! Owns the current position, the numbers given to names, and the limit on nesting. Not here: statements and
//! expressions.

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::Name;
use super::error::{Result, raise, reject};
use super::lexer;
use super::token::Token;

/// Deepest nesting of statements and of expressions.
const MAX_DEPTH: usize = 100;

pub struct Parser {
    tokens: Vec<(Token, u32)>,
    at: usize,
    names: HashMap<Arc<str>, Name>,
    depth: usize,
}

impl Parser {
    /// # Errors
    /// What is no token.
    pub fn new(source: &str) -> Result<Self> {
        Ok(Self { tokens: lexer::tokens(source)?, at: 0, names: HashMap::new(), depth: 0 })
    }

    /// The names of its variables by number.
    pub fn names(self) -> Vec<Arc<str>> {
        let mut names = vec![Arc::from(""); self.names.len()];
        for (text, name) in self.names {
            names[name as usize] = text;
        }
        names
    }

    pub fn line(&self) -> u32 {
        self.tokens[self.at].1
    }

    pub fn peek(&self) -> &Token {
        &self.tokens[self.at].0
    }

    pub fn peek_second(&self) -> &Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].0
    }

    pub fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    pub fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), Token::Op(found) if *found == op)
    }

    pub fn is_word(&self, word: &str) -> bool {
        matches!(self.peek(), Token::Name(found) if found == word)
    }

    pub fn skip_op(&mut self, op: &str) -> bool {
        let is_there = self.is_op(op);
        if is_there {
            self.next();
        }
        is_there
    }

    pub fn skip_word(&mut self, word: &str) -> bool {
        let is_there = self.is_word(word);
        if is_there {
            self.next();
        }
        is_there
    }

    pub fn expect_op(&mut self, op: &str) -> Result<()> {
        if self.skip_op(op) { Ok(()) } else { Err(self.unexpected(&format!("`{op}`"))) }
    }

    pub fn expect(&mut self, token: &Token, what: &str) -> Result<()> {
        if self.peek() != token {
            return Err(self.unexpected(what));
        }
        self.next();
        Ok(())
    }

    pub fn unexpected(&self, expected: &str) -> super::error::Error {
        let found = match self.peek() {
            Token::Data(_) | Token::PrintBegin | Token::BlockBegin => "a tag".to_owned(),
            Token::PrintEnd | Token::BlockEnd => "the end of the tag".to_owned(),
            Token::Name(name) => format!("`{name}`"),
            Token::Str(_) => "a text".to_owned(),
            Token::Int(_) | Token::Float(_) => "a number".to_owned(),
            Token::Op(op) => format!("`{op}`"),
            Token::End => "the end of the template".to_owned(),
        };
        raise(format!("expected {expected}, found {found}")).at(self.line())
    }

    pub fn word(&mut self) -> Result<Arc<str>> {
        let Token::Name(name) = self.peek() else { return Err(self.unexpected("a name")) };
        let name = name.as_str().into();
        self.next();
        Ok(name)
    }

    pub fn name(&mut self, text: &Arc<str>) -> Name {
        let next = self.names.len() as Name;
        *self.names.entry(text.clone()).or_insert(next)
    }

    /// Runs `parse` a level deeper.
    pub fn deeper<T>(&mut self, parse: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        if self.depth >= MAX_DEPTH {
            return Err(reject("nesting so deep").at(self.line()));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }
}
