//! From tokens to a tree: expressions.
//!
//! Owns the precedence of Jinja2's operators, which is not Python's: `**` is left-associative and binds less tightly
//! than a unary minus. Not here: statements.

use super::ast::{Compare, Const, Expr, If, Math};
use super::error::{Result, reject};
use super::parser::Parser;
use super::postfix::chain;
use super::token::Token;

type Operators = &'static [(&'static str, Math)];

const SUMS: Operators = &[("+", Math::Add), ("-", Math::Sub)];
const PRODUCTS: Operators = &[("*", Math::Mul), ("/", Math::Div), ("//", Math::FloorDiv), ("%", Math::Mod)];
const POWERS: Operators = &[("**", Math::Pow)];

const COMPARISONS: [(&str, Compare); 6] = [
    ("==", Compare::Eq),
    ("!=", Compare::Ne),
    ("<", Compare::Lt),
    ("<=", Compare::Le),
    (">", Compare::Gt),
    (">=", Compare::Ge),
];

impl Parser {
    pub fn expression(&mut self) -> Result<Expr> {
        self.deeper(Self::conditional)
    }

    /// An expression, or several with commas between, which ends at the end of the tag or at one of these words.
    pub fn tuple(&mut self, with_if: bool, ends: &[&str], in_parentheses: bool) -> Result<Expr> {
        let mut items = Vec::new();
        let mut is_tuple = false;
        loop {
            let is_end = matches!(self.peek(), Token::BlockEnd | Token::PrintEnd) || self.is_op(")");
            if is_end || ends.iter().any(|end| self.is_word(end)) {
                break;
            }
            items.push(if with_if { self.expression()? } else { self.deeper(Self::any)? });
            if !self.skip_op(",") {
                break;
            }
            is_tuple = true;
        }
        if !is_tuple && items.len() == 1 {
            return Ok(items.remove(0));
        }
        if items.is_empty() && !in_parentheses {
            return Err(self.unexpected("an expression"));
        }
        Ok(Expr::Tuple(items))
    }

    fn conditional(&mut self) -> Result<Expr> {
        let mut then = self.any()?;
        let mut count = 0;
        while self.skip_word("if") {
            count += 1;
            if count > 20 {
                return Err(reject("such a chain of `if`"));
            }
            let test = self.any()?;
            let other = if self.skip_word("else") { Some(self.expression()?) } else { None };
            then = Expr::If(Box::new(If { test, then, other }));
        }
        Ok(then)
    }

    /// `or`
    fn any(&mut self) -> Result<Expr> {
        self.joined("or", Self::all, Expr::Or)
    }

    fn all(&mut self) -> Result<Expr> {
        self.joined("and", Self::negation, Expr::And)
    }

    fn joined(
        &mut self,
        word: &str,
        parse: fn(&mut Self) -> Result<Expr>,
        node: fn(Vec<Expr>) -> Expr,
    ) -> Result<Expr> {
        let first = parse(self)?;
        if !self.is_word(word) {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_word(word) {
            items.push(parse(self)?);
        }
        Ok(node(items))
    }

    fn negation(&mut self) -> Result<Expr> {
        if self.skip_word("not") {
            return Ok(Expr::Not(Box::new(self.deeper(Self::negation)?)));
        }
        let first = self.sum()?;
        let mut rest = Vec::new();
        while let Some(compare) = self.comparison() {
            rest.push((compare, self.sum()?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Compare(Box::new(first), rest) })
    }

    fn comparison(&mut self) -> Option<Compare> {
        if let Some((_, compare)) = COMPARISONS.iter().find(|(op, _)| self.is_op(op)) {
            self.next();
            return Some(*compare);
        }
        if self.skip_word("in") {
            return Some(Compare::In);
        }
        if self.is_word("not") && matches!(self.peek_second(), Token::Name(word) if word == "in") {
            self.next();
            self.next();
            return Some(Compare::NotIn);
        }
        None
    }

    fn sum(&mut self) -> Result<Expr> {
        self.math(SUMS, Self::concat)
    }

    fn concat(&mut self) -> Result<Expr> {
        let first = self.product()?;
        if !self.is_op("~") {
            return Ok(first);
        }
        let mut items = vec![first];
        while self.skip_op("~") {
            items.push(self.product()?);
        }
        Ok(Expr::Concat(items))
    }

    fn product(&mut self) -> Result<Expr> {
        self.math(PRODUCTS, |parser| parser.math(POWERS, |parser| parser.unary(true)))
    }

    fn math(&mut self, operators: Operators, parse: fn(&mut Self) -> Result<Expr>) -> Result<Expr> {
        let first = parse(self)?;
        let mut rest = Vec::new();
        while let Some((_, math)) = operators.iter().find(|(op, _)| self.is_op(op)) {
            self.next();
            rest.push((*math, parse(self)?));
        }
        Ok(if rest.is_empty() { first } else { Expr::Math(Box::new(first), rest) })
    }

    fn unary(&mut self, with_filter: bool) -> Result<Expr> {
        let first = if self.skip_op("-") {
            Expr::Minus(Box::new(self.deeper(|parser| parser.unary(false))?))
        } else if self.skip_op("+") {
            Expr::Plus(Box::new(self.deeper(|parser| parser.unary(false))?))
        } else {
            self.primary()?
        };
        let mut steps = Vec::new();
        self.postfix(&mut steps)?;
        if with_filter {
            self.filters(&mut steps)?;
        }
        Ok(chain(first, steps))
    }

    pub fn primary(&mut self) -> Result<Expr> {
        match self.peek().clone() {
            Token::Name(text) => {
                self.next();
                Ok(match constant(&text) {
                    Some(constant) => Expr::Const(constant),
                    None => Expr::Name(self.name(&text.into())),
                })
            }
            Token::Str(mut text) => {
                self.next();
                while let Token::Str(more) = self.peek() {
                    text.push_str(more);
                    self.next();
                }
                Ok(Expr::Const(Const::Str(text.into())))
            }
            Token::Int(n) => {
                self.next();
                Ok(Expr::Const(Const::Int(n)))
            }
            Token::Float(x) => {
                self.next();
                Ok(Expr::Const(Const::Float(x)))
            }
            Token::Op("(") => {
                self.next();
                let inner = self.tuple(true, &[], true)?;
                self.expect_op(")")?;
                Ok(inner)
            }
            Token::Op("[") => {
                self.next();
                Ok(Expr::List(self.items("]", Self::expression)?))
            }
            Token::Op("{") => {
                self.next();
                let pair = |parser: &mut Self| {
                    let key = parser.expression()?;
                    parser.expect_op(":")?;
                    Ok((key, parser.expression()?))
                };
                Ok(Expr::Dict(self.items("}", pair)?))
            }
            _ => Err(self.unexpected("an expression")),
        }
    }

    /// Items up to a bracket, which is passed over.
    fn items<T>(&mut self, end: &str, mut parse: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        let mut items = Vec::new();
        while !self.is_op(end) {
            if !items.is_empty() {
                self.expect_op(",")?;
                if self.is_op(end) {
                    break;
                }
            }
            items.push(parse(self)?);
        }
        self.next();
        Ok(items)
    }
}

/// The constant that a name is, if it is one.
fn constant(name: &str) -> Option<Const> {
    match name {
        "true" | "True" => Some(Const::Bool(true)),
        "false" | "False" => Some(Const::Bool(false)),
        "none" | "None" => Some(Const::None),
        _ => None,
    }
}
