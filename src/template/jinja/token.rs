//! The tokens of a template.
//!
//! Owns their kinds. Not here: finding them (`lexer`).

#[derive(Clone, Debug, PartialEq)]
pub enum Token {
    Data(String),
    PrintBegin,
    PrintEnd,
    BlockBegin,
    BlockEnd,
    Name(String),
    Str(String),
    Int(i128),
    Float(f64),
    Op(&'static str),
    End,
}
