//! Which file imports from which: the modules of a crate, and every path in them led to the file that defines what it names.
//!
//! Owns reading `mod`, `use`, items and paths, and following re-exports. Not here: what counts as a circle (`circles.rs`).

use std::collections::{BTreeMap, BTreeSet};

use crate::tokens::{Token, code, starts_with};

/// A module: a file, or a block `mod name { … }` in one.
#[derive(Default)]
struct Module {
    file: String,
    parent: usize,
    children: BTreeMap<String, usize>,
    items: BTreeSet<String>,
    /// Names that `use` brings in, and the paths that they stand for.
    uses: Vec<(String, Path)>,
    globs: Vec<Path>,
    /// Paths in code.
    paths: Vec<Path>,
}

#[derive(Clone)]
struct Path {
    segments: Vec<String>,
    line: usize,
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

/// A file imports from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub from: String,
    /// The file that defines what is imported.
    pub to: String,
    pub line: usize,
    pub path: String,
}

/// The modules of a crate.
pub struct Modules(Vec<Module>);

/// Names that are being followed, each in its module: `use a::a` leads back to itself.
type Requested = Vec<(usize, String)>;

impl Modules {
    /// The crate whose sources are these, by their paths below `src`.
    pub fn read(sources: &BTreeMap<String, String>) -> Self {
        let mut modules = Self(Vec::new());
        modules.file("lib.rs", 0, sources);
        modules
    }

    fn file(&mut self, file: &str, parent: usize, sources: &BTreeMap<String, String>) -> usize {
        let (tokens, of_tests) = code(&sources[file]);
        let module = self.0.len();
        self.0.push(Module { file: file.to_owned(), parent, ..Module::default() });
        let mut reader = Reader { modules: self, tokens: &tokens, at: 0, declared: Vec::new() };
        reader.module(module);
        let folder = match file.strip_suffix("mod.rs").or(file.strip_suffix("lib.rs")) {
            Some(folder) => folder.to_owned(),
            None => file.trim_end_matches(".rs").to_owned() + "/",
        };
        for name in std::mem::take(&mut reader.declared).iter().filter(|name| !of_tests.contains(name)) {
            let (leaf, branch) = (format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs"));
            let child = if sources.contains_key(&leaf) { leaf } else { branch };
            let child = self.file(&child, module, sources);
            self.0[module].children.insert(name.clone(), child);
        }
        module
    }

    /// Every import of a file from another.
    pub fn imports(&self) -> BTreeSet<Import> {
        let mut found = BTreeSet::new();
        for (at, module) in self.0.iter().enumerate() {
            let mut import = |path: &Path, to: usize| {
                let (from, to) = (module.file.clone(), self.0[to].file.clone());
                if from != to {
                    found.insert(Import { from, to, line: path.line, path: path.segments.join("::") });
                }
            };
            for path in module.uses.iter().map(|(_, path)| path).chain(&module.paths) {
                for place in self.resolve(at, &path.segments, &mut Vec::new()) {
                    if let Place::Item(to) = place {
                        import(path, to);
                    }
                }
            }
            for path in &module.globs {
                for place in self.resolve(at, &path.segments, &mut Vec::new()) {
                    let (Place::Module(to) | Place::Item(to)) = place;
                    import(path, to);
                }
            }
        }
        found
    }

    /// Where a path leads from a module; nowhere, if it is of another crate.
    fn resolve(&self, from: usize, path: &[String], requested: &mut Requested) -> Vec<Place> {
        let (first, mut rest) = path.split_first().expect("a path has a name");
        let mut places = match first.as_str() {
            "crate" => vec![Place::Module(0)],
            "self" => vec![Place::Module(from)],
            "super" => {
                let mut at = self.0[from].parent;
                while let Some(("super", more)) = rest.split_first().map(|(name, more)| (name.as_str(), more)) {
                    (at, rest) = (self.0[at].parent, more);
                }
                vec![Place::Module(at)]
            }
            name => self.named(from, name, requested),
        };
        for name in rest {
            places = places.into_iter().flat_map(|place| self.within(place, name, requested)).collect();
        }
        places
    }

    /// What `name` is in a place. Variants and associated items belong to what they are of; what is not found, as what a macro
    /// makes, to the module.
    fn within(&self, place: Place, name: &str, requested: &mut Requested) -> Vec<Place> {
        let Place::Module(module) = place else { return vec![place] };
        let named = self.named(module, name, requested);
        if named.is_empty() && requested.is_empty() { vec![Place::Item(module)] } else { named }
    }

    /// What a module knows by `name`: of its own, or of what it imports. A name may be a module's and an item's.
    fn named(&self, module: usize, name: &str, requested: &mut Requested) -> Vec<Place> {
        let here = &self.0[module];
        let mut places: Vec<Place> = here.children.get(name).map(|child| Place::Module(*child)).into_iter().collect();
        if here.items.contains(name) {
            places.push(Place::Item(module));
        }
        if requested.iter().any(|(at, of)| *at == module && of == name) {
            return places;
        }
        requested.push((module, name.to_owned()));
        for (_, path) in here.uses.iter().filter(|(as_name, _)| as_name == name) {
            places.extend(self.resolve(module, &path.segments, requested));
        }
        if places.is_empty() {
            for path in &here.globs {
                let of_glob = self.resolve(module, &path.segments, requested);
                places.extend(of_glob.into_iter().flat_map(|place| self.within(place, name, requested)));
            }
        }
        requested.pop();
        places
    }
}

struct Reader<'a> {
    modules: &'a mut Modules,
    tokens: &'a [Token],
    at: usize,
    /// Children with files of their own.
    declared: Vec<String>,
}

impl Reader<'_> {
    fn text(&self, ahead: usize) -> &str {
        self.tokens.get(self.at + ahead).map_or("", |token| &token.text)
    }

    fn name(&self, ahead: usize) -> Option<String> {
        self.tokens.get(self.at + ahead).filter(|token| token.is_name()).map(|token| token.text.clone())
    }

    /// Reads to the end of a module: of the file, or of the block that it is.
    fn module(&mut self, module: usize) {
        let mut depth = 0;
        while self.at < self.tokens.len() {
            match (self.text(0), self.name(1)) {
                ("}", _) if depth == 0 => break,
                ("{", _) => depth += 1,
                ("}", _) => depth -= 1,
                ("mod", Some(name)) if self.text(2) == ";" => self.declared.push(name),
                ("mod", Some(name)) if self.text(2) == "{" => {
                    self.at += 3;
                    let file = self.modules.0[module].file.clone();
                    let child = self.modules.0.len();
                    self.modules.0.push(Module { file, parent: module, ..Module::default() });
                    self.modules.0[module].children.insert(name, child);
                    self.module(child);
                }
                ("use", _) => {
                    self.at += 1;
                    self.tree(module, &[]);
                }
                ("fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union", Some(name))
                    if depth == 0 =>
                {
                    self.modules.0[module].items.insert(name);
                }
                ("macro_rules", _) if depth == 0 => {
                    let name = self.name(2);
                    self.modules.0[module].items.extend(name);
                }
                _ => self.path(module),
            }
            self.at += 1;
        }
    }

    /// A path in code, up to its last name; alone, a name is none.
    fn path(&mut self, module: usize) {
        let Some(first) = self.name(0).filter(|_| self.at == 0 || self.tokens[self.at - 1].text != "::") else {
            return;
        };
        let (mut segments, line) = (vec![first], self.tokens[self.at].line);
        while let ("::", Some(name)) = (self.text(1), self.name(2)) {
            segments.push(name);
            self.at += 2;
        }
        if segments.len() > 1 {
            self.modules.0[module].paths.push(Path { segments, line });
        }
    }

    /// One branch of a `use`, of which `prefix` was read: `a::b`, `a as b`, `a::*`, `a::{…}`. Ends before `,`, `}` or `;`.
    fn tree(&mut self, module: usize, prefix: &[String]) {
        let (mut segments, line) = (prefix.to_vec(), self.tokens[self.at].line);
        while self.at < self.tokens.len() {
            match self.text(0) {
                "::" => {}
                "*" => {
                    self.modules.0[module].globs.push(Path { segments, line });
                    self.at += 1;
                    return;
                }
                "{" => {
                    while self.text(0) != "}" && self.at < self.tokens.len() {
                        self.at += 1;
                        if self.text(0) != "}" {
                            self.tree(module, &segments);
                        }
                    }
                    self.at += 1;
                    return;
                }
                name => segments.push(name.to_owned()),
            }
            self.at += 1;
            if matches!(self.text(0), "," | "}" | ";" | "as") {
                break;
            }
        }
        if segments.len() > 1 && segments.last().is_some_and(|last| last == "self") {
            segments.pop();
        }
        let mut name = segments.last().cloned().unwrap_or_default();
        if starts_with(&self.tokens[self.at..], &["as"]) {
            name = self.name(1).unwrap_or_default();
            self.at += 2;
        }
        self.modules.0[module].uses.push((name, Path { segments, line }));
    }
}
