//! Reassembles parts from the slices in which they were scored.
//!
//! Owns the scores of incomplete parts. Not here: writing (`store`).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::slices::Piece;
use crate::store::HiddenPart;
use crate::table::ScoredSample;

/// A part's samples, or some of them.
#[derive(Default)]
pub struct Scored {
    pub samples: Vec<ScoredSample>,
    /// Of a whole part alone.
    pub hidden: Option<HiddenPart>,
}

/// Rows of a part that are here, and their samples.
type Open = (u32, Vec<ScoredSample>);

/// The parts of which some rows are scored: one or two a dataset at a time.
#[derive(Default)]
pub struct Assembly {
    /// By dataset and part.
    open: Mutex<BTreeMap<(usize, u32), Open>>,
}

impl Assembly {
    /// Adds scored rows of a part that has `rows`. Returns the part, its samples in order, once all of them are here.
    pub fn add(&self, piece: &Piece, rows: u32, scored: Scored) -> Option<Scored> {
        let place = (piece.dataset, piece.part);
        // Nothing panics while it is locked.
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let (found, mut samples) = open.remove(&place).unwrap_or_default();
        let found = found + piece.rows.len() as u32;
        samples.extend(scored.samples);
        if found < rows {
            open.insert(place, (found, samples));
            return None;
        }
        samples.sort_by_key(|scored| scored.sample.sample_id);
        Some(Scored { samples, hidden: scored.hidden })
    }
}
