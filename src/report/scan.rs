//! The pass over all parts of a response set that makes its list.
//!
//! Owns what is kept of each sample and of the vocabulary, and what a sample costs in a page. Not here: the list's bytes
//! (`index`).

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::index::IndexRow;
use super::lists::kept;
use super::part::Part;
use super::sets::ResponseSet;
use super::tables::SampleRow;
use super::vocabulary::Seen;
use crate::error::Result;

/// What one pass gives: of every sample its row in the list, its part and place there, and its cost.
#[derive(Default)]
pub struct Scanned {
    pub rows: Vec<IndexRow>,
    pub places: Vec<(u32, usize)>,
    pub costs: Vec<u64>,
    pub seen: Seen,
}

impl Scanned {
    /// Of all parts of a set, as many at a time as there are threads; each is counted in `read`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn of_set(set: &ResponseSet, read: &AtomicUsize) -> Result<Self> {
        let parts: Vec<u32> = set.parts().collect();
        let mut all = Self::default();
        for some in parts.chunks(rayon::current_num_threads()) {
            let scanned = |&part: &u32| Self::of_part(set, part).inspect(|_| _ = read.fetch_add(1, Ordering::Relaxed));
            for found in some.par_iter().map(scanned).collect::<Result<Vec<_>>>()? {
                all.rows.extend(found.rows);
                all.places.extend(found.places);
                all.costs.extend(found.costs);
                all.seen.merge(found.seen);
            }
        }
        Ok(all)
    }

    fn of_part(set: &ResponseSet, number: u32) -> Result<Self> {
        let part = Part::read(set, number)?;
        let rows = part.samples.iter().map(|sample| IndexRow::of(&part, sample)).collect();
        let places = (0..part.samples.len()).map(|place| (number, place)).collect();
        let costs = part.samples.iter().map(|sample| cost(&part, &sample.tokens, &sample.row)).collect();
        Ok(Self { rows, places, costs, seen: Seen::of(&part) })
    }
}

/// About the bytes of a sample before compression.
fn cost(part: &Part, tokens: &Range<usize>, row: &SampleRow) -> u64 {
    let models = 1 + part.others.len();
    let exact = part.kl.iter().flatten().count();
    let entries = (0..models).flat_map(|model| {
        let scores = part.scores(model);
        tokens.clone().map(move |row| kept(scores.list(row).1))
    });
    let texts = [&row.prompt, &row.response].into_iter().flatten().map(String::len).sum::<usize>();
    (200 + texts + tokens.len() * (4 + 10 * models + 4 * exact) + 5 * entries.sum::<usize>()) as u64
}
