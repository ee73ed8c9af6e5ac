//! The tokens that templates are made of.
//!
//! Owns which there are. Refuses to find them: the lexer does.

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
