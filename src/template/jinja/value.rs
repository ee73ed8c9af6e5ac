//! Python's values, as far as templates use them.
//!
//! Owns the kinds of values, including the frames and cursors that values contain. Not here: making, looking up and
//! iterating them (`make`, `scope`, `iterate`).

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use super::ast::{For, Macro, Name};
use super::error::Result;

#[derive(Clone, Debug)]
pub enum Value {
    /// With what it was called.
    Undefined(Arc<str>),
    None,
    Bool(bool),
    Int(i128),
    Float(f64),
    Str(Arc<str>),
    /// What `safe` and `escape` make of a text.
    Markup(Arc<str>),
    List(Rc<Items>),
    Tuple(Rc<Items>),
    Dict(Rc<Dict>),
    Range(Rc<Range>),
    /// What `keys`, `values` and `items` return.
    View(View, Rc<Dict>),
    /// What is read once: Python's generators.
    Iter(Rc<RefCell<Queue>>),
    Namespace(Rc<RefCell<Attributes>>),
    Object(Rc<Object>),
}

/// What is left to read.
pub type Queue = VecDeque<Result<Value>>;

/// What a namespace has, by name.
pub type Attributes = Vec<(Arc<str>, Value)>;

#[derive(Debug, Default)]
#[expect(clippy::struct_field_names, reason = "lists and tuples have items")]
pub struct Items {
    pub items: Vec<Value>,
    pub(super) depth: u16,
    /// Whether it is a group of `groupby`, whose items have names.
    pub is_group: bool,
}

/// In the order of insertion.
#[derive(Debug, Default)]
pub struct Dict {
    pub pairs: Vec<(Value, Value)>,
    pub(super) depth: u16,
}

#[derive(Clone, Copy, Debug)]
pub struct Range {
    pub start: i128,
    pub step: i128,
    pub length: usize,
}

impl Range {
    pub fn get(&self, index: usize) -> Option<Value> {
        (index < self.length).then(|| Value::Int(self.start + self.step * index as i128))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Keys,
    Values,
    Items,
}

/// What has behaviour.
#[derive(Debug)]
pub enum Object {
    Macro(Arc<Macro>, Rc<Scope>),
    Loop(Loop),
    Method(Value, Arc<str>),
    Function(&'static str),
    Cycler(Vec<Value>, Cell<usize>),
    Joiner(Value, Cell<bool>),
}

/// A loop that runs.
#[derive(Debug)]
pub struct Loop {
    pub statement: Arc<For>,
    /// Where the loop stands.
    pub scope: Rc<Scope>,
    pub state: RefCell<LoopState>,
    pub depth: usize,
}

#[derive(Debug)]
pub struct LoopState {
    pub cursor: Cursor,
    /// Whether its items passed the loop's own test.
    pub is_tested: bool,
    /// The item after the current one, once it was read.
    pub ahead: Option<Value>,
    /// Known from the start, or once it was computed.
    pub length: Option<usize>,
    /// Number of the current item, from 1.
    pub index: usize,
    pub before: Option<Value>,
    pub current: Option<Value>,
    /// What `changed` was called with.
    pub changed: Option<Value>,
}

/// The items of a value, one after another.
#[derive(Debug)]
pub enum Cursor {
    Items(Rc<Items>, usize),
    Range(Rc<Range>, usize),
    Chars(Arc<str>, usize),
    View(View, Rc<Dict>, usize),
    Once(Rc<RefCell<VecDeque<Result<Value>>>>),
    Empty,
}

/// A frame: its own variables, and what is around it.
#[derive(Debug, Default)]
pub struct Scope {
    pub(super) variables: RefCell<Variables>,
    pub(super) parent: Option<Rc<Self>>,
}

/// Variables by name; `None`: not set yet, and what is outside is hidden.
#[derive(Debug, Default)]
pub(super) struct Variables {
    pub list: Vec<(Name, Option<Value>)>,
    /// Where each of them stands, if they are more than a few.
    pub places: HashMap<Name, usize>,
}
