//! From tokens to a tree: statements.
//!
//! Owns Jinja2's statements and where they end. Statements that need a second template (`include`, `extends`, `import`,
//! `block`) and `autoescape` are errors: transformers gives a template no loader.

use std::sync::Arc;

use super::ast::{Body, Expr, For, Node, Step, Stmt};
use super::error::{Result, raise, reject};
use super::parser::Parser;
use super::token::Token;

/// A tree, and the names of its variables by number.
pub fn parse(source: &str) -> Result<(Body, Vec<Arc<str>>)> {
    let mut parser = Parser::new(source)?;
    let stmts = parser.statements(&[]).map_err(|e| e.at(parser.line()))?;
    Ok((Body { stmts, hidden: Vec::new() }, parser.names()))
}

impl Parser {
    /// Statements before the next tag named in `ends`, which is not consumed; without `ends`, all up to the end.
    fn statements(&mut self, ends: &[&str]) -> Result<Vec<Stmt>> {
        let mut stmts = Vec::new();
        loop {
            let line = self.line();
            match self.next() {
                Token::Data(text) => stmts.push(Stmt { line, node: Node::Data(text.into()) }),
                Token::PrintBegin => {
                    let printed = self.tuple(true, &[], false)?;
                    self.expect(&Token::PrintEnd, "the end of the print statement")?;
                    stmts.push(Stmt { line, node: Node::Print(vec![printed]) });
                }
                Token::BlockBegin => {
                    if ends.iter().any(|end| self.is_word(end)) {
                        return Ok(stmts);
                    }
                    let node = self.deeper(Self::statement).map_err(|e| e.at(line))?;
                    self.expect(&Token::BlockEnd, "the end of the tag")?;
                    stmts.push(Stmt { line, node });
                }
                Token::End if ends.is_empty() => return Ok(stmts),
                _ => return Err(self.unexpected(&format!("`{}`", ends.join("` or `")))),
            }
        }
    }

    /// Statements after the current tag and before the next one named in `ends`, which is not consumed.
    fn inner(&mut self, ends: &[&str]) -> Result<Vec<Stmt>> {
        self.skip_op(":");
        self.expect(&Token::BlockEnd, "the end of the tag")?;
        self.statements(ends)
    }

    pub fn body(&mut self, end: &str) -> Result<Body> {
        let stmts = self.inner(&[end])?;
        self.next();
        Ok(Body { stmts, hidden: Vec::new() })
    }

    fn statement(&mut self) -> Result<Node> {
        let word = self.word()?;
        match &*word {
            "if" => self.parse_if(),
            "for" => self.parse_for(),
            "set" => self.parse_set(),
            "with" => self.parse_with(),
            "macro" => self.parse_macro(),
            "call" => self.parse_call(),
            "filter" => {
                let mut steps = vec![self.filter()?];
                while self.skip_op("|") {
                    steps.push(self.filter()?);
                }
                Ok(Node::Filter(steps, self.body("endfilter")?))
            }
            "print" => {
                let mut printed = Vec::new();
                while *self.peek() != Token::BlockEnd {
                    if !printed.is_empty() {
                        self.expect_op(",")?;
                    }
                    printed.push(self.expression()?);
                }
                Ok(Node::Print(printed))
            }
            "generation" => {
                let body = self.body("endgeneration")?;
                Ok(Node::Generation(Arc::new(self.macro_of(None, Vec::new(), body)?)))
            }
            "break" => Ok(Node::Break),
            "continue" => Ok(Node::Continue),
            "block" | "extends" | "include" | "import" | "from" | "autoescape" => {
                Err(reject(&format!("the statement `{word}`")))
            }
            _ => Err(raise(format!("unknown tag `{word}`"))),
        }
    }

    fn parse_if(&mut self) -> Result<Node> {
        let mut branches = Vec::new();
        loop {
            let test = self.tuple(false, &[], false)?;
            branches.push((test, self.inner(&["elif", "else", "endif"])?));
            match &*self.word()? {
                "elif" => {}
                "else" => {
                    let other = self.inner(&["endif"])?;
                    self.next();
                    return Ok(Node::If(branches, other));
                }
                _ => return Ok(Node::If(branches, Vec::new())),
            }
        }
    }

    fn parse_for(&mut self) -> Result<Node> {
        let target = self.target(false)?;
        if !self.skip_word("in") {
            return Err(self.unexpected("`in`"));
        }
        let iter = self.tuple(false, &["recursive"], false)?;
        let test = if self.skip_word("if") { Some(self.expression()?) } else { None };
        let is_recursive = self.skip_word("recursive");
        let stmts = self.inner(&["endfor", "else"])?;
        let other = if &*self.word()? == "else" { Some(self.body("endfor")?) } else { None };
        let body = Body { stmts, hidden: Vec::new() };
        Ok(Node::For(Arc::new(For { target, iter, test, is_recursive, has_loop: is_recursive, body, other })))
    }

    fn parse_set(&mut self) -> Result<Node> {
        let target = self.target(true)?;
        if self.skip_op("=") {
            return Ok(Node::Set(target, self.tuple(true, &[], false)?));
        }
        let mut steps: Vec<Step> = Vec::new();
        while self.skip_op("|") {
            steps.push(self.filter()?);
        }
        Ok(Node::SetBlock(target, steps, self.body("endset")?))
    }

    fn parse_with(&mut self) -> Result<Node> {
        let mut values = Vec::new();
        while *self.peek() != Token::BlockEnd {
            if !values.is_empty() {
                self.expect_op(",")?;
            }
            let target = self.target(false)?;
            self.expect_op("=")?;
            values.push((target, self.expression()?));
        }
        Ok(Node::With(values, self.body("endwith")?))
    }

    fn parse_call(&mut self) -> Result<Node> {
        let parameters = if self.is_op("(") { self.signature()? } else { Vec::new() };
        let call = self.expression()?;
        if !matches!(&call, Expr::Chain(_, steps) if matches!(steps.last(), Some(Step::Call(_)))) {
            return Err(raise("expected call"));
        }
        let body = self.body("endcall")?;
        Ok(Node::Call(call, Arc::new(self.macro_of(None, parameters, body)?)))
    }
}
