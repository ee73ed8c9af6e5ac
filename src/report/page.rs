//! The page around the blocks.
//!
//! Owns the document, its content security policy, and what the script must know before the first block: names, the
//! directory of blocks and where they are. Not here: the front end itself (`assets/report`), and writing (`write`).

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::block::{Kind, base64};
use super::contents::Contents;
use super::index::{BINS, COLOURS};
use super::lists::{MOST_ENTRIES, STEPS};
use super::{html, overview};
use crate::error::{Error, Result};
use crate::store::FoundCell;

const STYLE: &str = include_str!("../../assets/report/report.css");

/// The front end, in the order in which it runs: classic scripts of one closure.
const SCRIPTS: [&str; 8] = [
    include_str!("../../assets/report/decode.js"),
    include_str!("../../assets/report/blocks.js"),
    include_str!("../../assets/report/state.js"),
    include_str!("../../assets/report/colour.js"),
    include_str!("../../assets/report/list.js"),
    include_str!("../../assets/report/panel.js"),
    include_str!("../../assets/report/reader.js"),
    include_str!("../../assets/report/main.js"),
];

/// Where the script finds a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// In an element of the page.
    Page,
    /// In a script next to the page.
    Folder,
    /// At an address of the server that sent the page.
    Http,
}

/// What the script reads first.
#[derive(Serialize)]
struct Head<'a> {
    carrier: Carrier,
    /// The number of the first block in addresses of a server, and whether its statistics are still to come.
    first: usize,
    pending: bool,
    sets: Vec<Set<'a>>,
    /// Kind, set or vocabulary, first sample, number of samples.
    blocks: Vec<[usize; 4]>,
    bins: usize,
    colours: [f64; 5],
    steps: f32,
    most_entries: usize,
}

#[derive(Serialize)]
struct Set<'a> {
    generation_model: &'a str,
    task: &'a str,
    models: Vec<&'a str>,
    top_k: Vec<usize>,
    /// Whether each Q has exact measures.
    exact: Vec<bool>,
    fields: &'a [String],
    vocabulary: usize,
    /// Samples in the page, and all.
    samples: usize,
    all: usize,
}

fn head(contents: &Contents, carrier: Carrier) -> Head<'_> {
    let blocks = contents.directory.iter().map(|block| {
        let n = if block.kind == Kind::Index { contents.rows[block.of].len() } else { block.places.len() };
        [block.kind as usize, block.of, block.first, n]
    });
    Head {
        carrier,
        first: contents.first,
        pending: contents.comparison.get().is_none(),
        sets: contents.sets.iter().enumerate().map(|(number, set)| self::set(contents, number, set)).collect(),
        blocks: blocks.collect(),
        bins: BINS,
        colours: COLOURS,
        steps: STEPS,
        most_entries: MOST_ENTRIES,
    }
}

fn set<'a>(contents: &'a Contents, number: usize, set: &'a super::sets::ResponseSet) -> Set<'a> {
    Set {
        generation_model: &set.key.generation_model,
        task: &set.key.task,
        models: set.models.iter().map(|model| model.name.as_str()).collect(),
        top_k: set.models.iter().map(|model| model.top_k).collect(),
        exact: set.exact.iter().map(|files| !files.is_empty()).collect(),
        fields: &set.kept,
        vocabulary: contents.vocabulary_of[number],
        samples: contents.chosen[number].iter().filter(|is| **is).count(),
        all: contents.rows[number].len(),
    }
}

/// The document up to its first block.
///
/// # Errors
/// None but a bug's: names that are no JSON.
pub fn beginning(contents: &Contents, cells: &[FoundCell], carrier: Carrier) -> Result<String> {
    let script = format!("(() => {{\n\"use strict\";\n{}}})();\n", SCRIPTS.concat());
    let head = html::json(&head(contents, carrier)).map_err(|e| Error::usage(e.to_string()))?;
    let policy = policy(&script, carrier);
    let overview = overview::html(contents, cells);
    Ok(format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{policy}\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>tokshift report</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#main\">Skip to the content</a>\n\
         <header><strong>tokshift</strong><nav aria-label=\"Views\"><a href=\"#\" data-view=\"overview\">Overview</a>\
         <a href=\"#samples\" data-view=\"samples\">Samples</a></nav></header>\n\
         <main id=\"main\" tabindex=\"-1\">\n<div id=\"overview\">\n{overview}\
         <noscript><p>The list of samples and the reader need JavaScript.</p></noscript>\n</div>\n\
         <div id=\"samples\" hidden></div>\n<div id=\"reader\" hidden></div>\n</main>\n\
         <script type=\"application/json\" id=\"head\">{head}</script>\n<script>{script}</script>\n"
    ))
}

/// The page of a server that still reads its tables: it asks again by itself.
pub fn waiting(read: usize, parts: usize) -> String {
    let hash = base64(&Sha256::digest(STYLE.as_bytes()));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta http-equiv=\"refresh\" content=\"1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{hash}'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>tokshift reads the tables</title>\n<style>{STYLE}</style>\n</head>\n<body>\n\
         <header><strong>tokshift</strong></header>\n<main>\n<h1>Reading the tables</h1>\n\
         <p role=\"status\">{read} of {parts} parts are read. The list of samples and the reader come next; then the \
         statistics of the overview are computed.</p>\n<progress max=\"{parts}\" value=\"{read}\"></progress>\n</main>\n{END}"
    )
}

/// What the page may load: itself, and blocks from where they are.
fn policy(script: &str, carrier: Carrier) -> String {
    let hash = |content: &str| format!("'sha256-{}'", base64(&Sha256::digest(content.as_bytes())));
    let (more, connect) = match carrier {
        Carrier::Page => ("", "'none'"),
        // Scripts that the page's own script adds.
        Carrier::Folder => (" 'strict-dynamic'", "'none'"),
        Carrier::Http => ("", "'self'"),
    };
    format!(
        "default-src 'none'; script-src {}{more}; style-src {}; connect-src {connect}; img-src data:; base-uri 'none'; \
         form-action 'none'",
        hash(script),
        hash(STYLE)
    )
}

/// A block as an element of the page.
pub fn element(number: usize, block: &[u8]) -> String {
    format!("<script type=\"application/octet-stream\" id=\"b{number}\">{}</script>\n", base64(block))
}

/// A block as a script next to the page.
pub fn script(number: usize, block: &[u8]) -> String {
    format!("tokshift({number},\"{}\")\n", base64(block))
}

/// The end of the document.
pub const END: &str = "</body>\n</html>\n";
