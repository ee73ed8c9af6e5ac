//! The syntax tree of a template.
//!
//! Owns its nodes. Chains of operators, calls and filters are flat, so that a long chain does not nest deeply. Not
//! here: values other than constants.

use std::sync::Arc;

/// The number of a variable's name in a template.
pub type Name = u32;

#[derive(Clone, Debug)]
pub enum Const {
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<str>),
}

#[derive(Debug)]
pub enum Expr {
    Const(Const),
    Name(Name),
    List(Vec<Self>),
    Tuple(Vec<Self>),
    Dict(Vec<(Self, Self)>),
    Not(Box<Self>),
    Minus(Box<Self>),
    Plus(Box<Self>),
    /// From left to right, all of one precedence.
    Math(Box<Self>, Vec<(Math, Self)>),
    /// `~`
    Concat(Vec<Self>),
    Compare(Box<Self>, Vec<(Compare, Self)>),
    And(Vec<Self>),
    Or(Vec<Self>),
    /// `then if test else other`
    If(Box<If>),
    /// A value, and what is done to it one after another.
    Chain(Box<Self>, Vec<Step>),
}

#[derive(Debug)]
pub struct If {
    pub test: Expr,
    pub then: Expr,
    pub other: Option<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Math {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Mod,
    Pow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compare {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

#[derive(Debug)]
pub enum Step {
    Attr(Arc<str>),
    Item(Expr),
    Slice(Box<[Option<Expr>; 3]>),
    Call(Arguments),
    Filter(Arc<str>, Arguments),
    /// `is`, or `is not`.
    Test {
        name: Arc<str>,
        arguments: Arguments,
        is_not: bool,
    },
}

#[derive(Debug, Default)]
pub struct Arguments {
    pub positional: Vec<Expr>,
    pub named: Vec<(Arc<str>, Expr)>,
    /// `*list`
    pub list: Option<Expr>,
    /// `**dict`
    pub dict: Option<Expr>,
}

/// What is assigned to.
#[derive(Debug)]
pub enum Target {
    Name(Name),
    Tuple(Vec<Self>),
    /// An attribute of a namespace.
    Attr(Name, Arc<str>),
}

/// Statements with variables of their own.
#[derive(Debug, Default)]
pub struct Body {
    pub stmts: Vec<Stmt>,
    /// Variables that hide others of their name before they are set.
    pub hidden: Vec<Name>,
}

#[derive(Debug)]
pub struct Stmt {
    pub line: u32,
    pub node: Node,
}

#[derive(Debug)]
pub enum Node {
    Data(Arc<str>),
    Print(Vec<Expr>),
    If(Vec<(Expr, Vec<Stmt>)>, Vec<Stmt>),
    For(Arc<For>),
    Set(Target, Expr),
    /// `{% set x | filter %}`
    SetBlock(Target, Vec<Step>, Body),
    With(Vec<(Target, Expr)>, Body),
    /// The variable that a macro is, and the macro.
    Macro(Name, Arc<Macro>),
    /// `{% call %}`: the called expression, its last step a call, and what `caller` is.
    Call(Expr, Arc<Macro>),
    /// `{% filter %}`
    Filter(Vec<Step>, Body),
    /// `{% generation %}`: what transformers trains on, a macro without a name that is called on the spot.
    Generation(Arc<Macro>),
    Break,
    Continue,
}

#[derive(Debug)]
pub struct For {
    pub target: Target,
    pub iter: Expr,
    pub test: Option<Expr>,
    pub is_recursive: bool,
    /// Whether the body uses `loop`.
    pub has_loop: bool,
    pub body: Body,
    pub other: Option<Body>,
}

#[derive(Debug)]
pub struct Macro {
    /// What a block calls has none.
    pub name: Option<Arc<str>>,
    pub parameters: Vec<Parameter>,
    pub body: Body,
    /// Whether the body uses `caller`, `kwargs`, `varargs`.
    pub caller: Option<Name>,
    pub kwargs: Option<Name>,
    pub varargs: Option<Name>,
}

#[derive(Debug)]
pub struct Parameter {
    pub name: Name,
    pub text: Arc<str>,
    pub default: Option<Expr>,
}
