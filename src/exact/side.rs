//! Where a model's full distributions come from.
//!
//! Owns the two ways: a head and final hidden states, or a logits file of llama.cpp. Not here: comparing them.

use crate::decoder::Head;
use crate::llama_logits;

/// What gives one model's distributions, with a row of its file of hidden states.
#[derive(Clone, Copy)]
pub enum Side<'a> {
    /// The row is the head's input.
    Head(&'a Head),
    /// The row is one number: that of the file's row. Below 0: the file has none.
    File(&'a llama_logits::File),
}

impl<'a> Side<'a> {
    /// Ids that it has distributions over.
    pub fn vocab(self) -> usize {
        match self {
            Self::Head(head) => head.vocab(),
            Self::File(file) => file.vocab(),
        }
    }

    /// Both heads, if both sides are heads.
    pub(super) fn heads([p, q]: [Self; 2]) -> Option<[&'a Head; 2]> {
        match (p, q) {
            (Self::Head(p), Self::Head(q)) => Some([p, q]),
            _ => None,
        }
    }
}
