//! The texts of token ids.
//!
//! Owns which ids a page can show as text: those that stand somewhere in the tables, and all of a tokenizer's if one is
//! given. Not here: tokenizers (`tokenize`).

use std::collections::HashMap;

use super::block::Kind;
use super::columns::Columns;
use super::lists::kept;
use super::part::Part;
use super::tables::UNKNOWN;
use crate::tokenize::TextTokenizer;

/// What is known of the ids of one tokenizer, over all parts that were seen.
#[derive(Default)]
pub struct Seen {
    counts: HashMap<u32, u64>,
    texts: HashMap<u32, Box<str>>,
}

impl Seen {
    /// Counts the ids of a part and takes the texts of its tokens.
    pub fn of(part: &Part) -> Self {
        let mut seen = Self::default();
        let rows = &part.rows;
        for (row, &id) in rows.ids.iter().enumerate().filter(|(_, id)| **id != UNKNOWN) {
            *seen.counts.entry(id).or_default() += 1;
            // A text that shares a character with its neighbours is not the token's own.
            let text = rows.texts[row].as_ref().filter(|text| !rows.straddles[row] && is_whole(text));
            if let Some(text) = text.filter(|_| !seen.texts.contains_key(&id)) {
                seen.texts.insert(id, text.clone());
            }
        }
        for model in 0..=part.others.len() {
            let scores = part.scores(model);
            let lists = (0..rows.ids.len()).flat_map(|row| {
                let (ids, logprobs) = scores.list(row);
                &ids[..kept(logprobs)]
            });
            lists.for_each(|&id| *seen.counts.entry(id).or_default() += 1);
        }
        seen
    }

    /// Adds what a later part has; the first text of an id stays.
    pub fn merge(&mut self, other: Self) {
        other.counts.into_iter().for_each(|(id, count)| *self.counts.entry(id).or_default() += count);
        for (id, text) in other.texts {
            self.texts.entry(id).or_insert(text);
        }
    }
}

fn is_whole(text: &str) -> bool {
    !text.is_empty() && !text.contains(char::REPLACEMENT_CHARACTER)
}

/// The ids of a page, the most frequent first, with their texts where these are known.
#[derive(Default)]
pub struct Vocabulary {
    pub ids: Vec<u32>,
    texts: Vec<Box<str>>,
    places: HashMap<u32, u32>,
    /// A tokenizer gave the texts: what has none is in no tokenizer's vocabulary.
    pub is_of_tokenizer: bool,
}

impl Vocabulary {
    /// All ids that were seen. A tokenizer has the text of any of them.
    pub fn new(seen: Seen, tokenizer: Option<&TextTokenizer>) -> Self {
        let mut ids: Vec<(u32, u64)> = seen.counts.into_iter().collect();
        ids.sort_unstable_by_key(|(id, count)| (std::cmp::Reverse(*count), *id));
        let ids: Vec<u32> = ids.into_iter().map(|(id, _)| id).collect();
        let own = |id| tokenizer.map(|tokenizer| tokenizer.text_of(id)).filter(|text| !text.is_empty());
        let text = |id: &u32| own(*id).map(String::into_boxed_str).or_else(|| seen.texts.get(id).cloned());
        let texts = ids.iter().map(|id| text(id).unwrap_or_default()).collect();
        let places = (1_u32..).zip(&ids).map(|(place, id)| (*id, place)).collect();
        Self { ids, texts, places, is_of_tokenizer: tokenizer.is_some() }
    }

    /// The place of an id from 1; 0 if it is unknown.
    pub fn place(&self, id: u32) -> u32 {
        self.places.get(&id).copied().unwrap_or_default()
    }

    /// The text of an id; empty if it is unknown.
    pub fn text(&self, id: u32) -> &str {
        self.place(id).checked_sub(1).map_or("", |place| &self.texts[place as usize])
    }

    /// How many ids have no text.
    pub fn without_text(&self) -> usize {
        self.texts.iter().filter(|text| text.is_empty()).count()
    }

    /// Its block: number of ids, ids, texts.
    pub fn columns(&self) -> Vec<u8> {
        let mut columns = Columns::new(Kind::Vocabulary as u8);
        columns.count(self.ids.len());
        columns.numbers::<4>(&self.ids);
        columns.texts(self.texts.iter().map(AsRef::as_ref));
        columns.finish()
    }
}
