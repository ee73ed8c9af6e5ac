//! What the reader of imports makes of small sources.

use std::collections::BTreeMap;

use crate::circles::circles;
use crate::modules::Modules;

/// Imports as `FROM -> TO`, of sources as `(path, source)`.
fn imports(sources: &[(&str, &str)]) -> Vec<String> {
    let mut found: Vec<String> =
        read(sources).imports().iter().map(|import| format!("{} -> {}", import.from, import.to)).collect();
    found.dedup();
    found
}

fn read(sources: &[(&str, &str)]) -> Modules {
    let sources: BTreeMap<String, String> =
        sources.iter().map(|(path, source)| ((*path).to_owned(), (*source).to_owned())).collect();
    Modules::read(&sources)
}

/// Circles as `FOLDER: PARTS`.
fn found(sources: &[(&str, &str)]) -> Vec<String> {
    let circles = circles(&read(sources).imports());
    circles.iter().map(|c| format!("{}: {}", c.folder, c.parts.iter().cloned().collect::<Vec<_>>().join(" "))).collect()
}

/// A crate of `a`, with children `b` and `c`, and `d`; `a/mod.rs` hands on what `b` defines.
fn with(c: &str) -> Vec<String> {
    imports(&[
        ("lib.rs", "pub mod a;\npub mod d;"),
        ("a/mod.rs", "mod b;\nmod c;\npub use b::{B, make as made};\npub const A: u8 = 1;"),
        ("a/b.rs", "pub struct B;\npub fn make() {}\npub enum E { X }"),
        ("a/c.rs", c),
        ("d.rs", "pub fn d() {}"),
    ])
}

#[test]
fn what_is_handed_on_is_led_to_its_file() {
    let facade = "a/mod.rs -> a/b.rs";
    for (source, to) in [
        ("use super::B;", "a/b.rs"),
        ("use crate::a::B as Other;", "a/b.rs"),
        ("fn f() { crate::a::made() }", "a/b.rs"),
        ("use super::b::E;", "a/b.rs"),
        ("use super::A;", "a/mod.rs"),
        ("use crate::d;\nfn f() { d::d() }", "d.rs"),
        ("use crate::{a::{self}, d::{d as other}};", "d.rs"),
        ("fn f<T: Into<super::B>>() {}", "a/b.rs"),
        ("mod inner { use super::super::B; }", "a/b.rs"),
        ("use super::made_by_a_macro;", "a/mod.rs"),
        ("use super::*;", "a/mod.rs"),
    ] {
        let expected = [format!("a/c.rs -> {to}"), facade.to_owned()];
        let mut found = with(source);
        found.sort();
        assert_eq!(found, expected, "{source}");
    }
}

#[test]
fn what_is_no_import_is_none() {
    for source in [
        "use std::fs;\nfn f() { fs::read(); }",
        "use crate::d;",
        "// use super::B;\n/* use super::B; /* nested */ use super::A; */",
        "fn f() { \"crate::a::B\"; r#\"\" super::A \"#; 'x'; '\\''; b'\"'; }",
        "#[cfg(test)]\nmod tests { use super::super::B; }",
        "#[cfg(test)]\nuse super::{A, B};",
        "struct S { #[cfg(test)] b: super::B, c: u8 }",
        "#[cfg(test)]\n#[allow(unused)]\nfn f(b: super::B) -> [u8; 2] { super::A }",
        "mod inner { pub fn f() {} }\nfn g() { inner::f() }",
        "fn f<'a>(x: &'a str) {}",
    ] {
        assert_eq!(with(source), ["a/mod.rs -> a/b.rs"], "{source}");
    }
}

#[test]
fn code_behind_what_only_tests_see_counts() {
    let source = "#[cfg(test)]\nuse std::fs;\nfn f() -> super::B {}";
    assert_eq!(with(source), ["a/c.rs -> a/b.rs", "a/mod.rs -> a/b.rs"]);
}

#[test]
fn globs_are_followed() {
    let sources = [("lib.rs", "mod a;\nmod b;"), ("a.rs", "pub use crate::b::*;"), ("b.rs", "pub struct B;")];
    assert_eq!(imports(&sources), ["a.rs -> b.rs"]);
    let more = [sources[0], sources[1], sources[2], ("a/c.rs", "use super::B;")];
    let more =
        more.map(|(path, source)| if path == "a.rs" { (path, "mod c; pub use crate::b::*;") } else { (path, source) });
    assert_eq!(imports(&more), ["a.rs -> b.rs", "a/c.rs -> b.rs"]);
}

#[test]
fn files_that_import_each_other_are_a_circle() {
    let b = ("b.rs", "pub struct B;\nfn f() { crate::c::g() }");
    let sources = [("lib.rs", "mod a;\nmod b;\nmod c;"), ("a.rs", "use crate::b::B;\npub struct A;"), b];
    let of = |c: &'static str| found(&[sources[0], sources[1], sources[2], ("c.rs", c)]);
    assert_eq!(of("pub fn g() {}"), Vec::<String>::new());
    assert_eq!(of("pub fn g() {}\nuse crate::a::A;"), [": a b c"]);
}

/// No two files are in a circle here, but neither folder can be read before the other.
#[test]
fn folders_that_import_each_other_are_a_circle() {
    let sources = [
        ("lib.rs", "mod x;\nmod y;"),
        ("x/mod.rs", "mod a;\nmod b;"),
        ("x/a.rs", "use crate::y::c::C;"),
        ("x/b.rs", "pub struct B;"),
        ("y/mod.rs", "mod c;\nmod d;"),
        ("y/c.rs", "pub struct C;"),
        ("y/d.rs", "use crate::x::b::B;"),
    ];
    assert_eq!(found(&sources), [": x y"]);
}

#[test]
fn a_folders_file_is_a_part_of_it() {
    let of = |cell: &'static str, part: &'static str| {
        found(&[
            ("lib.rs", "mod store;"),
            ("store/mod.rs", "mod cell;"),
            ("store/cell.rs", cell),
            ("store/cell/part.rs", part),
        ])
    };
    assert_eq!(of("mod part;\nuse part::Part;", "pub struct Part;"), Vec::<String>::new());
    assert_eq!(
        of("mod part;\nuse part::Part;\npub struct Cell;", "pub struct Part(super::Cell);"),
        ["store/cell: mod part"]
    );
}
