//! Variables and assignments.
//!
//! Owns the lookup of names, and the attributes of namespaces. A value that a namespace cannot contain is an error.

use super::ast::{Name, Target};
use super::error::{Result, raise, reject};
use super::interpreter::Interpreter;
use super::value::{Object, Scope, Value};

const FUNCTIONS: [&str; 8] =
    ["range", "dict", "lipsum", "cycler", "joiner", "namespace", "raise_exception", "strftime_now"];

/// The function of this name that every template sees.
fn global(name: &str) -> Option<Value> {
    let function = FUNCTIONS.iter().find(|function| **function == name)?;
    Some(Value::object(Object::Function(function)))
}

impl Interpreter<'_> {
    /// Whether what is assigned to by attribute is a namespace, before the value is evaluated.
    pub fn check(&self, target: &Target, scope: &Scope) -> Result<()> {
        match target {
            Target::Name(_) => Ok(()),
            Target::Tuple(targets) => targets.iter().try_for_each(|target| self.check(target, scope)),
            Target::Attr(name, _) => match self.variable(*name, scope) {
                Value::Namespace(_) => Ok(()),
                _ => Err(raise("cannot assign attribute on non-namespace object")),
            },
        }
    }

    pub fn assign(&self, target: &Target, value: Value, scope: &Scope) -> Result<()> {
        match target {
            Target::Name(name) => scope.set(*name, Some(value)),
            Target::Tuple(targets) => {
                let items = self.items(&value)?;
                if items.len() != targets.len() {
                    return Err(raise(format!("{} values to unpack to {} names", items.len(), targets.len())));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item, scope)?;
                }
            }
            Target::Attr(name, attribute) => {
                let Value::Namespace(attributes) = self.variable(*name, scope) else {
                    return Err(raise("cannot assign attribute on non-namespace object"));
                };
                may_be_named(attribute)?;
                if !value.may_be_held() {
                    return Err(reject(&format!("a {} inside of a namespace", value.kind())));
                }
                let mut attributes = attributes.borrow_mut();
                self.charge(attributes.len() as u64 / 16)?;
                match attributes.iter_mut().find(|(own, _)| own == attribute) {
                    Some((_, old)) => *old = value,
                    None => attributes.push((attribute.clone(), value)),
                }
            }
        }
        Ok(())
    }

    /// What a name stands for.
    pub fn variable(&self, name: Name, scope: &Scope) -> Value {
        let text = &self.names[name as usize];
        match scope.get(name) {
            Some(Some(value)) => value,
            Some(None) => Value::Undefined(text.clone()),
            None => match &self.context[name as usize] {
                Some(value) => value.clone(),
                None => global(text).unwrap_or_else(|| Value::Undefined(text.clone())),
            },
        }
    }
}

/// transformers keeps such names to itself.
pub fn may_be_named(attribute: &str) -> Result<()> {
    if attribute.starts_with('_') {
        return Err(raise(format!("a namespace cannot have an attribute `{attribute}`")));
    }
    Ok(())
}
