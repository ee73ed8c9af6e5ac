//! Why a template was not rendered.
//!
//! Owns the kinds of failure, so that what Jinja2 raises is distinguished from what is not supported here. Not here:
//! the sentence around the message, which the caller writes.

use std::fmt;

/// What went wrong, and in which line of the template if that is known.
#[derive(Clone, Debug)]
pub struct Error(Box<Inner>);

#[derive(Clone, Debug)]
struct Inner {
    kind: Kind,
    what: String,
    line: u32,
}

/// Whose failure it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Jinja2 fails there too.
    Raised,
    /// Jinja2 goes on there, which is not supported here.
    Rejected,
    /// The work that a rendering may do is done.
    Endless,
    /// Longer than a text may become.
    TooLong,
}

pub type Result<T> = std::result::Result<T, Error>;

/// What Jinja2 raises as well.
pub fn raise(what: impl Into<String>) -> Error {
    Error::new(Kind::Raised, what.into())
}

/// What Jinja2 would render.
pub fn reject(what: &str) -> Error {
    Error::new(Kind::Rejected, format!("{what} is not supported"))
}

impl Error {
    pub fn new(kind: Kind, what: String) -> Self {
        Self(Box::new(Inner { kind, what, line: 0 }))
    }

    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The same error with the innermost known line.
    #[must_use]
    pub fn at(mut self, line: u32) -> Self {
        if self.0.line == 0 {
            self.0.line = line;
        }
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(&self.0.what)?;
        match self.0.line {
            0 => Ok(()),
            line => write!(f, " (line {line})"),
        }
    }
}
