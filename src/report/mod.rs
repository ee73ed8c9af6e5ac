//! A comparison for people: a page with an overview, a list of samples and a reader; figures; one sample by itself.
//!
//! Owns the blocks in which a page carries the tables, and the page. One function makes any block ([`Contents::block`]);
//! `report` writes them into a file or a folder, and `view` sends those that are requested. Not here: statistics
//! (`shift`), a terminal and a server's sockets (`cli`).

mod block;
mod choose;
mod columns;
mod contents;
pub mod figure;
mod html;
mod index;
mod lists;
mod one;
mod overview;
mod page;
mod part;
mod scan;
mod sets;
mod tables;
mod texts;
mod tokens;
mod vocabulary;
mod write;

pub use contents::{Block, Contents, Options, compared};
pub use index::level;
pub use one::{Candidate, OfModel, OfPair, OneSample, OneToken, one};
pub use overview::html as overview;
pub use page::{Carrier, END, beginning, waiting};
pub use part::Class;
pub use sets::parts;
pub use write::{file, folder};

#[cfg(test)]
mod tests;
