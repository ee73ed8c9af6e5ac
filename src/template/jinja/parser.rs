//! From tokens to a tree: statements.
//!
//! Owns Jinja2's statements and where they end. Refuses what needs a second template (`include`, `extends`, `import`,
//! `block`) and `autoescape`: transformers gives a template nothing to load from.

use std::collections::HashMap;
use std::sync::Arc;

use super::ast::{Body, Const, Expr, For, Macro, Name, Node, Parameter, Step, Stmt, Target};
use super::error::{Result, raise, refuse};
use super::lexer::{self, Token};
use super::walk;

/// Deepest nesting of statements and of expressions.
const MAX_DEPTH: usize = 100;

/// A tree, and the names of its variables by number.
pub fn parse(source: &str) -> Result<(Body, Vec<Arc<str>>)> {
    let mut parser = Parser { tokens: lexer::tokens(source)?, at: 0, names: HashMap::new(), depth: 0 };
    let stmts = parser.statements(&[]).map_err(|e| e.at(parser.line()))?;
    let mut names = vec![Arc::from(""); parser.names.len()];
    for (text, name) in parser.names {
        names[name as usize] = text;
    }
    Ok((Body { stmts, hidden: Vec::new() }, names))
}

pub struct Parser {
    tokens: Vec<(Token, u32)>,
    at: usize,
    names: HashMap<Arc<str>, Name>,
    depth: usize,
}

impl Parser {
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

    fn expect(&mut self, token: &Token, what: &str) -> Result<()> {
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
            return Err(refuse("nesting so deep").at(self.line()));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Statements up to a tag of one of these words, which is left; with none of them up to the end.
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

    /// What stands between a tag, whose end is next, and one of these words, which is left.
    fn inner(&mut self, ends: &[&str]) -> Result<Vec<Stmt>> {
        self.skip_op(":");
        self.expect(&Token::BlockEnd, "the end of the tag")?;
        self.statements(ends)
    }

    fn body(&mut self, end: &str) -> Result<Body> {
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
            "generation" => Ok(Node::Generation(self.body("endgeneration")?)),
            "break" => Ok(Node::Break),
            "continue" => Ok(Node::Continue),
            "block" | "extends" | "include" | "import" | "from" | "autoescape" => {
                Err(refuse(&format!("the statement `{word}`")))
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
        Ok(Node::Call(call, Arc::new(self.macro_of("caller".into(), parameters, body)?)))
    }

    fn parse_macro(&mut self) -> Result<Node> {
        let name = self.word()?;
        self.assigned(&name)?;
        let parameters = self.signature()?;
        let body = self.body("endmacro")?;
        Ok(Node::Macro(Arc::new(self.macro_of(name, parameters, body)?)))
    }

    /// A macro with what its body asks for beside its parameters.
    fn macro_of(&mut self, name: Arc<str>, parameters: Vec<Parameter>, body: Body) -> Result<Macro> {
        let special = ["caller", "kwargs", "varargs"].map(|text| self.name(&text.into()));
        let asked = walk::undeclared(&body.stmts, &special);
        let is_parameter = |name: &Name| parameters.iter().any(|parameter| parameter.name == *name);
        let [caller, kwargs, varargs] =
            special.map(|name| Some(name).filter(|name| asked.contains(name) && !is_parameter(name)));
        if parameters.iter().any(|p| p.name == special[0] && p.default.is_none()) && asked.contains(&special[0]) {
            return Err(raise("the special `caller` argument of a macro must be omitted or have a default"));
        }
        Ok(Macro { own: self.name(&name), name, parameters, body, caller, kwargs, varargs })
    }

    fn signature(&mut self) -> Result<Vec<Parameter>> {
        self.expect_op("(")?;
        let mut parameters: Vec<Parameter> = Vec::new();
        while !self.is_op(")") {
            if !parameters.is_empty() {
                self.expect_op(",")?;
            }
            let text = self.word()?;
            let name = self.assigned(&text)?;
            let default = if self.skip_op("=") { Some(self.expression()?) } else { None };
            if default.is_none() && parameters.last().is_some_and(|last| last.default.is_some()) {
                return Err(raise("non-default argument follows default argument"));
            }
            if parameters.iter().any(|other| other.name == name) {
                return Err(raise(format!("two parameters called `{text}`")));
            }
            parameters.push(Parameter { name, text, default });
        }
        self.next();
        Ok(parameters)
    }

    fn assigned(&mut self, text: &Arc<str>) -> Result<Name> {
        if matches!(&**text, "true" | "false" | "none" | "True" | "False" | "None") {
            return Err(raise(format!("can't assign to `{text}`")));
        }
        Ok(self.name(text))
    }

    /// What is assigned to, up to a word of `ends`; attributes of namespaces where a `set` stands.
    fn target(&mut self, may_attr: bool) -> Result<Target> {
        let mut targets = Vec::new();
        let mut is_tuple = false;
        loop {
            let is_end = matches!(self.peek(), Token::BlockEnd | Token::PrintEnd) || self.is_op(")");
            if is_end {
                break;
            }
            targets.push(self.deeper(|parser| parser.one_target(may_attr))?);
            if !self.skip_op(",") {
                break;
            }
            is_tuple = true;
        }
        match targets.pop() {
            Some(one) if targets.is_empty() && !is_tuple => Ok(one),
            Some(last) => {
                targets.push(last);
                Ok(Target::Tuple(targets))
            }
            None => Err(self.unexpected("a name to assign to")),
        }
    }

    fn one_target(&mut self, may_attr: bool) -> Result<Target> {
        if self.skip_op("(") {
            let inner = self.target(false)?;
            self.expect_op(")")?;
            return Ok(inner);
        }
        let text = self.word()?;
        let name = self.assigned(&text)?;
        if may_attr && self.skip_op(".") {
            return Ok(Target::Attr(name, self.word()?));
        }
        Ok(Target::Name(name))
    }
}

/// The constant that a name is, if it is one.
pub fn constant(name: &str) -> Option<Const> {
    match name {
        "true" | "True" => Some(Const::Bool(true)),
        "false" | "False" => Some(Const::Bool(false)),
        "none" | "None" => Some(Const::None),
        _ => None,
    }
}
