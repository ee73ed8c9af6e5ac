//! Jinja2 templates as transformers renders them: the language, and the Python values that it works on.
//!
//! Owns what a template writes, to the letter: CRLF, how none and floats are written, which tests hold for none, when a
//! filter's result is read once. The reference is Jinja2 3.1.6 in the environment of transformers 5.24 (`trim_blocks`,
//! `lstrip_blocks`, loop controls, `{% generation %}`, `tojson`, `raise_exception`, `strftime_now`, the immutable
//! sandbox). A construct that would behave differently is an error that names it. Every rendering is limited in steps,
//! length and depth; a step that takes long or makes much counts by its size, before it is taken.

mod access;
mod arguments;
mod ast;
mod calls;
mod compare;
mod error;
mod eval;
mod expressions;
mod filters;
mod format;
mod frames;
mod interpreter;
mod iterate;
mod json;
mod known;
mod lexer;
mod literals;
mod loops;
mod macros;
mod make;
mod methods;
mod numbers;
mod operators;
mod parser;
mod postfix;
mod scope;
mod show;
mod slices;
mod sorting;
mod statements;
mod steps;
mod tests;
mod token;
mod value;
mod variables;
mod walk;
mod width;

use std::sync::Arc;

use chrono::NaiveDate;

pub use error::{Error, Kind};
pub use value::Value;

/// A template that was read.
#[derive(Debug)]
pub struct Template {
    root: ast::Body,
    names: Vec<Arc<str>>,
}

impl Template {
    /// # Errors
    /// What is no template, and statements that are not supported.
    pub fn parse(source: &str) -> Result<Self, Error> {
        let (mut root, names) = statements::parse(source)?;
        frames::fix(&mut root, &names)?;
        Ok(Self { root, names })
    }

    /// The text that the template writes with these variables, of which later ones take the place of earlier ones, and the
    /// fuel that it took: as much as `fuel`, if it failed for that.
    ///
    /// # Errors
    /// What Jinja2 raises, what is not supported, and too much work.
    pub fn render(&self, context: &[(&str, Value)], fuel: u64, date: NaiveDate) -> (Result<String, Error>, u64) {
        let interpreter = interpreter::Interpreter::new(&self.names, context, fuel, date);
        let rendered = interpreter.render(&self.root);
        let used = interpreter.used();
        (rendered, used)
    }
}
