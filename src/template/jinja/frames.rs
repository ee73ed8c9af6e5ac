//! Which variables shadow others before they are set: Jinja2 decides this before it renders.
//!
//! Owns the passes over a parsed tree: frames, loops that overwrite `loop`, and unknown filters and tests. A frame that
//! sets a variable before reading it never sees the conversation's variable of that name, not even in a macro or a loop
//! before the `set`. Not here: values.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::ast::{Body, Expr, For, Macro, Name, Node, Stmt, Target};
use super::error::{Result, raise, reject};
use super::known;
use super::walk::{self, Seen};

/// Fills in what the bodies of a template hide.
///
/// # Errors
/// What Jinja2 does not compile.
pub fn fix(root: &mut Body, names: &[Arc<str>]) -> Result<()> {
    let mut wrong = None;
    walk::all(&root.stmts, &mut |seen| match seen {
        Seen::Filter { name, soft: false } if !known::is_filter(name) => {
            wrong.get_or_insert_with(|| raise(format!("No filter named '{name}'")));
        }
        Seen::Test { name, soft: false } if !known::is_test(name) => {
            wrong.get_or_insert_with(|| raise(format!("No test named '{name}'")));
        }
        _ => {}
    });
    if let Some(wrong) = wrong {
        return Err(wrong);
    }
    let of = |text: &str| names.iter().position(|name| &**name == text).map(|name| name as Name);
    let own: Vec<Name> = of("self").into_iter().collect();
    if !walk::undeclared(&root.stmts, &own).is_empty() {
        return Err(reject("the variable `self`, the template itself,"));
    }
    Frames { special: of("loop") }.frame(root, &Frame::default(), None)
}

/// What a name stands for when a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Load {
    Parameter,
    /// What it is outside.
    Outer,
    /// Nothing, though it may be something outside.
    Undefined,
}

struct Symbols<'p> {
    parent: Option<&'p Symbols<'p>>,
    loads: HashMap<Name, Load>,
    stores: HashSet<Name>,
    /// What was added to both, in order, for a branch to take back.
    loaded: Vec<Name>,
    stored: Vec<Name>,
}

impl Symbols<'_> {
    fn knows(&self, name: Name) -> bool {
        self.loads.contains_key(&name) || self.parent.is_some_and(|parent| parent.knows(name))
    }

    fn add(&mut self, name: Name, load: Load) {
        self.loads.entry(name).or_insert_with(|| {
            self.loaded.push(name);
            load
        });
    }

    fn load(&mut self, name: Name) {
        if !self.knows(name) {
            self.add(name, Load::Outer);
        }
    }

    fn store(&mut self, name: Name) {
        if self.stores.insert(name) {
            self.stored.push(name);
        }
        let is_outer = self.parent.is_some_and(|parent| parent.knows(name));
        self.add(name, if is_outer { Load::Outer } else { Load::Undefined });
    }

    fn expr(&mut self, expr: &Expr) {
        walk::expression(expr, &mut |seen| {
            if let Seen::Load(name) = seen {
                self.load(name);
            }
        });
    }

    fn target(&mut self, target: &Target) {
        match target {
            Target::Name(name) => self.store(*name),
            Target::Tuple(targets) => targets.iter().for_each(|target| self.target(target)),
            Target::Attr(name, _) => self.load(*name),
        }
    }

    fn stmts(&mut self, stmts: &[Stmt]) {
        for stmt in stmts {
            match &stmt.node {
                Node::Print(exprs) => exprs.iter().for_each(|expr| self.expr(expr)),
                Node::If(branches, other) => {
                    if let Some(((test, stmts), rest)) = branches.split_first() {
                        self.branches(test, stmts, rest, other);
                    }
                }
                Node::For(inner) => self.expr(&inner.iter),
                Node::Set(target, value) => {
                    self.expr(value);
                    self.target(target);
                }
                Node::SetBlock(target, ..) => self.target(target),
                Node::With(values, _) => values.iter().for_each(|(_, value)| self.expr(value)),
                Node::Call(call, _) => self.expr(call),
                Node::Filter(steps, _) => walk::steps(steps, &mut |seen| {
                    if let Seen::Load(name) = seen {
                        self.load(name);
                    }
                }),
                Node::Macro(own, _) => self.store(*own),
                Node::Data(_) | Node::Generation(_) | Node::Break | Node::Continue => {}
            }
        }
    }

    /// A variable that one branch alone sets is in the others what it is outside; so is one that all of them set.
    fn branches(&mut self, test: &Expr, stmts: &[Stmt], rest: &[(Expr, Vec<Stmt>)], other: &[Stmt]) {
        self.expr(test);
        let mut new = (Vec::new(), Vec::new());
        self.branch(&mut new, |own| own.stmts(stmts));
        self.branch(&mut new, |own| rest.iter().for_each(|(test, stmts)| own.branches(test, stmts, &[], &[])));
        self.branch(&mut new, |own| own.stmts(other));
        let (loaded, stored) = new;
        for name in loaded {
            self.add(name, Load::Outer);
        }
        self.stored.extend(stored.into_iter().filter(|name| self.stores.insert(*name)));
    }

    /// Sees a branch, and takes back what it added, to `new`: no branch sees another.
    fn branch(&mut self, new: &mut (Vec<Name>, Vec<Name>), see: impl FnOnce(&mut Self)) {
        let (loaded, stored) = (self.loaded.len(), self.stored.len());
        see(self);
        for name in self.loaded.drain(loaded..) {
            self.loads.remove(&name);
            new.0.push(name);
        }
        for name in self.stored.drain(stored..) {
            self.stores.remove(&name);
            new.1.push(name);
        }
    }

    fn hidden(&self) -> Vec<Name> {
        let hidden = self.loads.iter().filter(|(_, load)| **load == Load::Undefined);
        hidden.map(|(name, _)| *name).collect()
    }
}

/// What a body is given.
#[derive(Default)]
struct Frame<'a> {
    parameters: Vec<Name>,
    /// Names that are evaluated before the body.
    defaults: Vec<&'a Expr>,
    is_in_loop: bool,
}

struct Frames {
    /// The name `loop`.
    special: Option<Name>,
}

impl Frames {
    fn frame(&self, body: &mut Body, frame: &Frame, parent: Option<&Symbols>) -> Result<()> {
        let loads = frame.parameters.iter().map(|name| (*name, Load::Parameter)).collect();
        let stores = frame.parameters.iter().copied().collect();
        let mut symbols = Symbols { parent, loads, stores, loaded: Vec::new(), stored: Vec::new() };
        frame.defaults.iter().for_each(|default| symbols.expr(default));
        symbols.stmts(&body.stmts);
        body.hidden = symbols.hidden();
        self.inner(&mut body.stmts, &symbols, frame.is_in_loop)
    }

    /// The bodies inside of a frame.
    fn inner(&self, stmts: &mut [Stmt], symbols: &Symbols, is_in_loop: bool) -> Result<()> {
        for stmt in stmts {
            let line = stmt.line;
            match &mut stmt.node {
                Node::If(branches, other) => {
                    for (_, stmts) in branches {
                        self.inner(stmts, symbols, is_in_loop)?;
                    }
                    self.inner(other, symbols, is_in_loop)?;
                }
                Node::For(inner) => self.for_loop(inner, symbols, is_in_loop).map_err(|e| e.at(line))?,
                Node::With(values, body) => {
                    let parameters = values.iter().flat_map(|(target, _)| names(target)).collect();
                    self.frame(body, &Frame { parameters, is_in_loop, ..Frame::default() }, Some(symbols))?;
                }
                Node::Macro(_, inner) | Node::Call(_, inner) | Node::Generation(inner) => {
                    self.macro_body(inner, symbols)?;
                }
                Node::SetBlock(_, _, body) | Node::Filter(_, body) => {
                    self.frame(body, &Frame { is_in_loop, ..Frame::default() }, Some(symbols))?;
                }
                Node::Break | Node::Continue if !is_in_loop => {
                    return Err(raise("`break` or `continue` outside of a loop").at(line));
                }
                Node::Data(_) | Node::Print(_) | Node::Set(..) | Node::Break | Node::Continue => {}
            }
        }
        Ok(())
    }

    fn for_loop(&self, inner: &mut Arc<For>, symbols: &Symbols, is_in_loop: bool) -> Result<()> {
        let Some(inner) = Arc::get_mut(inner) else { return Ok(()) };
        let mut parameters = names(&inner.target);
        let mut is_overwritten = self.special.is_some_and(|special| parameters.contains(&special));
        let bodies = [Some(&inner.body), inner.other.as_ref()];
        for body in bodies.into_iter().flatten() {
            walk::all(&body.stmts, &mut |seen| {
                is_overwritten |= matches!(seen, Seen::Store(name) if self.special == Some(name));
            });
        }
        if is_overwritten {
            return Err(raise("Can't assign to special loop variable in for-loop target"));
        }
        let special: Vec<Name> = self.special.into_iter().collect();
        inner.has_loop |= !walk::undeclared(&inner.body.stmts, &special).is_empty();
        parameters.extend(self.special.filter(|_| inner.has_loop));
        self.frame(&mut inner.body, &Frame { parameters, is_in_loop: true, ..Frame::default() }, Some(symbols))?;
        let is_in_loop = is_in_loop && !inner.is_recursive;
        match &mut inner.other {
            Some(other) => self.frame(other, &Frame { is_in_loop, ..Frame::default() }, Some(symbols)),
            None => Ok(()),
        }
    }

    fn macro_body(&self, inner: &mut Arc<Macro>, symbols: &Symbols) -> Result<()> {
        let Some(Macro { parameters: own, body, caller, kwargs, varargs, .. }) = Arc::get_mut(inner) else {
            return Ok(());
        };
        let mut parameters: Vec<Name> = own.iter().map(|parameter| parameter.name).collect();
        parameters.extend([*caller, *kwargs, *varargs].into_iter().flatten());
        let defaults = own.iter().filter_map(|parameter| parameter.default.as_ref()).collect();
        self.frame(body, &Frame { parameters, defaults, is_in_loop: false }, Some(symbols))
    }
}

fn names(target: &Target) -> Vec<Name> {
    match target {
        Target::Name(name) => vec![*name],
        Target::Tuple(targets) => targets.iter().flat_map(names).collect(),
        Target::Attr(..) => Vec::new(),
    }
}
