//! From tokens to a tree: macros and assignment targets.
//!
//! Owns parameters, targets, and a macro's extra arguments. Assigning to a constant is an error, as in Jinja2.

use std::sync::Arc;

use super::ast::{Body, Macro, Name, Node, Parameter, Target};
use super::error::{Result, raise};
use super::parser::Parser;
use super::token::Token;
use super::walk;

impl Parser {
    pub fn parse_macro(&mut self) -> Result<Node> {
        let name = self.word()?;
        self.assigned(&name)?;
        let parameters = self.signature()?;
        let body = self.body("endmacro")?;
        let own = self.name(&name);
        Ok(Node::Macro(own, Arc::new(self.macro_of(Some(name), parameters, body)?)))
    }

    /// A macro, and which variables its body uses besides its parameters.
    pub fn macro_of(&mut self, name: Option<Arc<str>>, parameters: Vec<Parameter>, body: Body) -> Result<Macro> {
        let special = ["caller", "kwargs", "varargs"].map(|text| self.name(&text.into()));
        let used = walk::undeclared(&body.stmts, &special);
        let is_parameter = |name: &Name| parameters.iter().any(|parameter| parameter.name == *name);
        let [caller, kwargs, varargs] =
            special.map(|name| Some(name).filter(|name| used.contains(name) && !is_parameter(name)));
        if parameters.iter().any(|p| p.name == special[0] && p.default.is_none()) && used.contains(&special[0]) {
            return Err(raise("the special `caller` argument of a macro must be omitted or have a default"));
        }
        Ok(Macro { name, parameters, body, caller, kwargs, varargs })
    }

    pub fn signature(&mut self) -> Result<Vec<Parameter>> {
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
    pub fn target(&mut self, may_attr: bool) -> Result<Target> {
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
