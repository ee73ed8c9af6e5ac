//! Variables and where they are visible.
//!
//! Owns the chain of frames. Refuses values that frames hold on to forever: a rendering clears them.

use std::cell::RefCell;
use std::rc::Rc;

use super::ast::Name;
use super::value::Value;

/// A frame: its own variables (`None`: not set yet, and what is outside is hidden), and what is around it.
#[derive(Debug, Default)]
pub struct Scope {
    variables: RefCell<Vec<(Name, Option<Value>)>>,
    parent: Option<Rc<Self>>,
}

impl Scope {
    pub fn new(parent: Option<Rc<Self>>, hidden: &[Name]) -> Rc<Self> {
        let variables = RefCell::new(hidden.iter().map(|name| (*name, None)).collect());
        Rc::new(Self { variables, parent })
    }

    pub fn set(&self, name: Name, value: Option<Value>) {
        let mut variables = self.variables.borrow_mut();
        match variables.iter_mut().find(|(own, _)| *own == name) {
            Some((_, old)) => *old = value,
            None => variables.push((name, value)),
        }
    }

    /// What a name is in this frame or around it; `Some(None)` if it hides what is outside of all frames.
    #[expect(clippy::option_option, reason = "not there, hidden, or set")]
    pub fn get(&self, name: Name) -> Option<Option<Value>> {
        let mut scope = self;
        loop {
            let variables = scope.variables.borrow();
            if let Some((_, value)) = variables.iter().find(|(own, _)| *own == name) {
                return Some(value.clone());
            }
            scope = scope.parent.as_deref()?;
        }
    }

    pub fn clear(&self) {
        let variables = self.variables.take();
        drop(variables);
    }
}
