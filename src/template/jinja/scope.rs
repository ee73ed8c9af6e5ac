//! Variables and where they are visible.
//!
//! Owns the chain of frames. A rendering clears its frames at the end, because values in them may refer to the frames
//! themselves.

use std::cell::RefCell;
use std::rc::Rc;

use super::ast::Name;
use super::value::{Scope, Value, Variables};

/// So many variables are looked through one by one: most frames have no more.
const FEW: usize = 16;

impl Variables {
    fn place(&self, name: Name) -> Option<usize> {
        if self.list.len() <= FEW {
            self.list.iter().position(|(own, _)| *own == name)
        } else {
            self.places.get(&name).copied()
        }
    }

    fn set(&mut self, name: Name, value: Option<Value>) {
        if let Some(place) = self.place(name) {
            self.list[place].1 = value;
            return;
        }
        self.list.push((name, value));
        // Those that are not in it yet: all of them the first time, then the new one.
        if self.list.len() > FEW {
            let missing = self.list.iter().enumerate().skip(self.places.len());
            self.places.extend(missing.map(|(place, (name, _))| (*name, place)));
        }
    }
}

impl Scope {
    pub fn new(parent: Option<Rc<Self>>, hidden: &[Name]) -> Rc<Self> {
        let mut variables = Variables::default();
        for name in hidden {
            variables.set(*name, None);
        }
        Rc::new(Self { variables: RefCell::new(variables), parent })
    }

    pub fn set(&self, name: Name, value: Option<Value>) {
        self.variables.borrow_mut().set(name, value);
    }

    /// What a name is in this frame or around it; `Some(None)` if it hides what is outside of all frames.
    #[expect(clippy::option_option, reason = "not there, hidden, or set")]
    pub fn get(&self, name: Name) -> Option<Option<Value>> {
        let mut scope = self;
        loop {
            let variables = scope.variables.borrow();
            if let Some(place) = variables.place(name) {
                return Some(variables.list[place].1.clone());
            }
            scope = scope.parent.as_deref()?;
        }
    }

    pub fn clear(&self) {
        let variables = self.variables.take();
        drop(variables);
    }
}
