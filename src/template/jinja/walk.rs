//! A walk over a tree in the order of Jinja2's nodes.
//!
//! Owns which names, filters and tests are visited, and their positions. Not here: whether they are valid.

use std::collections::HashSet;

use super::ast::{Arguments, Expr, Macro, Name, Node, Step, Stmt, Target};

/// What the walk visits. `soft`: Jinja2 looks this filter up only when it runs.
#[derive(Clone, Copy, Debug)]
pub enum Seen<'a> {
    Load(Name),
    Store(Name),
    Parameter(Name),
    Filter { name: &'a str, soft: bool },
    Test { name: &'a str, soft: bool },
}

/// Which of these names are read before they are set.
pub fn undeclared(stmts: &[Stmt], names: &[Name]) -> HashSet<Name> {
    let mut left: HashSet<Name> = names.iter().copied().collect();
    let mut found = HashSet::new();
    let mut see = |seen: Seen| match seen {
        Seen::Load(name) if left.contains(&name) => {
            found.insert(name);
        }
        Seen::Store(name) | Seen::Parameter(name) => {
            left.remove(&name);
        }
        _ => {}
    };
    Walk { see: &mut see, soft: false }.stmts(stmts);
    found
}

/// Everything in these statements.
pub fn all<'a>(stmts: &'a [Stmt], see: &mut dyn FnMut(Seen<'a>)) {
    Walk { see, soft: false }.stmts(stmts);
}

/// Everything in an expression.
pub fn expression<'a>(expr: &'a Expr, see: &mut dyn FnMut(Seen<'a>)) {
    Walk { see, soft: false }.expr(expr);
}

/// Everything in the filters, tests, calls and look-ups that are applied to a value.
pub fn steps<'a>(steps: &'a [Step], see: &mut dyn FnMut(Seen<'a>)) {
    Walk { see, soft: false }.steps(steps);
}

struct Walk<'s, 'a> {
    see: &'s mut dyn FnMut(Seen<'a>),
    soft: bool,
}

impl<'a> Walk<'_, 'a> {
    fn with_soft(&mut self, soft: bool, walk: impl FnOnce(&mut Self)) {
        let was = std::mem::replace(&mut self.soft, soft);
        walk(self);
        self.soft = was;
    }

    fn stmts(&mut self, stmts: &'a [Stmt]) {
        for stmt in stmts {
            self.node(&stmt.node);
        }
    }

    fn frame(&mut self, stmts: &'a [Stmt]) {
        self.with_soft(false, |walk| walk.stmts(stmts));
    }

    fn node(&mut self, node: &'a Node) {
        match node {
            Node::Data(_) | Node::Break | Node::Continue => {}
            Node::Print(exprs) => exprs.iter().for_each(|expr| self.expr(expr)),
            Node::If(branches, other) => self.with_soft(true, |walk| {
                for (test, stmts) in branches {
                    walk.expr(test);
                    walk.stmts(stmts);
                }
                walk.stmts(other);
            }),
            Node::For(inner) => {
                self.target(&inner.target, Seen::Store);
                self.expr(&inner.iter);
                self.frame(&inner.body.stmts);
                if let Some(other) = &inner.other {
                    self.frame(&other.stmts);
                }
                self.with_soft(false, |walk| inner.test.iter().for_each(|test| walk.expr(test)));
            }
            Node::Set(target, value) => {
                self.target(target, Seen::Store);
                self.expr(value);
            }
            Node::SetBlock(target, steps, body) => {
                self.target(target, Seen::Store);
                self.with_soft(false, |walk| walk.steps(steps));
                self.frame(&body.stmts);
            }
            Node::With(values, body) => {
                for (target, _) in values {
                    self.target(target, Seen::Parameter);
                }
                for (_, value) in values {
                    self.expr(value);
                }
                self.frame(&body.stmts);
            }
            Node::Macro(_, inner) | Node::Generation(inner) => self.parts(inner),
            Node::Call(call, inner) => {
                self.expr(call);
                self.parts(inner);
            }
            Node::Filter(steps, body) => {
                self.frame(&body.stmts);
                self.with_soft(false, |walk| walk.steps(steps));
            }
        }
    }

    fn parts(&mut self, inner: &'a Macro) {
        inner.parameters.iter().for_each(|parameter| (self.see)(Seen::Parameter(parameter.name)));
        self.with_soft(false, |walk| {
            inner.parameters.iter().filter_map(|p| p.default.as_ref()).for_each(|default| walk.expr(default));
            walk.stmts(&inner.body.stmts);
        });
    }

    fn target(&mut self, target: &Target, seen: fn(Name) -> Seen<'a>) {
        match target {
            Target::Name(name) => (self.see)(seen(*name)),
            Target::Tuple(targets) => targets.iter().for_each(|target| self.target(target, seen)),
            // Setting an attribute reads the namespace, which Jinja2 counts as no store.
            Target::Attr(..) => {}
        }
    }

    fn expr(&mut self, expr: &'a Expr) {
        match expr {
            Expr::Const(_) => {}
            Expr::Name(name) => (self.see)(Seen::Load(*name)),
            Expr::List(items) | Expr::Tuple(items) | Expr::Concat(items) | Expr::And(items) | Expr::Or(items) => {
                for item in items {
                    self.expr(item);
                }
            }
            Expr::Dict(pairs) => pairs.iter().for_each(|(key, value)| {
                self.expr(key);
                self.expr(value);
            }),
            Expr::Not(inner) | Expr::Minus(inner) | Expr::Plus(inner) => self.expr(inner),
            Expr::Math(first, rest) => {
                self.expr(first);
                for (_, item) in rest {
                    self.expr(item);
                }
            }
            Expr::Compare(first, rest) => {
                self.expr(first);
                for (_, item) in rest {
                    self.expr(item);
                }
            }
            Expr::If(inner) => self.with_soft(true, |walk| {
                walk.expr(&inner.test);
                walk.expr(&inner.then);
                inner.other.iter().for_each(|other| walk.expr(other));
            }),
            Expr::Chain(first, steps) => {
                self.expr(first);
                self.steps(steps);
            }
        }
    }

    fn steps(&mut self, steps: &'a [Step]) {
        let soft = self.soft;
        for step in steps {
            match step {
                Step::Attr(_) => {}
                Step::Item(index) => self.expr(index),
                Step::Slice(bounds) => bounds.iter().flatten().for_each(|bound| self.expr(bound)),
                Step::Call(arguments) => self.arguments(arguments),
                Step::Filter(name, arguments) => {
                    (self.see)(Seen::Filter { name, soft });
                    self.arguments(arguments);
                }
                Step::Test { name, arguments, .. } => {
                    (self.see)(Seen::Test { name, soft });
                    self.arguments(arguments);
                }
            }
        }
    }

    fn arguments(&mut self, arguments: &'a Arguments) {
        arguments.positional.iter().for_each(|item| self.expr(item));
        arguments.named.iter().for_each(|(_, item)| self.expr(item));
        arguments.list.iter().chain(&arguments.dict).for_each(|item| self.expr(item));
    }
}
