//! Which rows of which datasets form one job.
//!
//! Owns the alignment of datasets with different part boundaries: responses by several models answer the same prompts
//! in the same order, but parts are split by size, so part i of one dataset contains other rows than part i of
//! another. Not here: reading rows (`dataset`).

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use crate::dataset::Part;

/// Rows that go through the pipeline together: prompts that they share are computed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slice {
    /// At least one, of a dataset each.
    pub pieces: Vec<Piece>,
}

/// Rows of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub dataset: usize,
    pub part: u32,
    /// Of the dataset.
    pub rows: Range<u32>,
}

/// The parts of each dataset that are left, ascending, with their numbers.
pub type Left<'a> = [Vec<(u32, &'a Part)>];

/// Slices with the same rows of every dataset that lacks them, in order. Each begins where a part of some dataset
/// does, so that a part is complete after a few of them. A single dataset is sliced at its part boundaries.
pub fn by_rows(left: &Left) -> Vec<Slice> {
    let bounds: BTreeSet<u32> = left.iter().flatten().flat_map(|(_, part)| [part.first_row, rows(part).end]).collect();
    let bounds: Vec<u32> = bounds.into_iter().collect();
    let slice = |window: &[u32]| {
        let piece = |(dataset, parts): (usize, &Vec<(u32, &Part)>)| {
            let next = parts.partition_point(|(_, part)| rows(part).end <= window[0]);
            let (part, _) = parts.get(next).filter(|(_, part)| part.first_row <= window[0])?;
            Some(Piece { dataset, part: *part, rows: window[0]..window[1] })
        };
        Slice { pieces: left.iter().enumerate().filter_map(piece).collect() }
    };
    bounds.windows(2).map(slice).filter(|slice| !slice.pieces.is_empty()).collect()
}

/// Slices of whole parts, those of the same number together, for use where all of a part must be known before it is
/// scored.
pub fn by_parts(left: &Left) -> Vec<Slice> {
    let mut slices: BTreeMap<u32, Vec<Piece>> = BTreeMap::new();
    for (dataset, parts) in left.iter().enumerate() {
        for &(part, cut) in parts {
            slices.entry(part).or_default().push(Piece { dataset, part, rows: rows(cut) });
        }
    }
    slices.into_values().map(|pieces| Slice { pieces }).collect()
}

fn rows(part: &Part) -> Range<u32> {
    part.first_row..part.first_row + part.rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parts of these numbers of rows.
    fn parts(rows: &[u32]) -> Vec<Part> {
        let mut first_row = 0;
        let part = |&rows: &u32| {
            let part =
                Part { first_row, rows, first_sample: first_row, samples: rows, offset: 0, bytes: 0, first_line: 0 };
            first_row += rows;
            part
        };
        rows.iter().map(part).collect()
    }

    fn piece(dataset: usize, part: u32, rows: Range<u32>) -> Piece {
        Piece { dataset, part, rows }
    }

    #[test]
    fn datasets_are_cut_where_any_of_them_is() {
        let (a, b) = (parts(&[3, 2]), parts(&[4]));
        let left = [vec![(0, &a[0]), (1, &a[1])], vec![(0, &b[0])]];
        let pieces: Vec<_> = by_rows(&left).into_iter().map(|slice| slice.pieces).collect();
        let expected = [
            vec![piece(0, 0, 0..3), piece(1, 0, 0..3)],
            vec![piece(0, 1, 3..4), piece(1, 0, 3..4)],
            vec![piece(0, 1, 4..5)],
        ];
        assert_eq!(pieces, expected);
        let whole: Vec<_> = by_parts(&left).into_iter().map(|slice| slice.pieces).collect();
        assert_eq!(whole, [vec![piece(0, 0, 0..3), piece(1, 0, 0..4)], vec![piece(0, 1, 3..5)]]);
    }

    proptest! {
        /// Every row of every part that is left is in one slice, with the same rows of all others that lack them.
        #[test]
        fn nothing_is_lost_and_rows_stay_together(
            cuts in proptest::collection::vec(proptest::collection::vec((1_u32..9, any::<bool>()), 1..7), 1..4)
        ) {
            let all: Vec<Vec<Part>> = cuts.iter().map(|cuts| parts(&cuts.iter().map(|(n, _)| *n).collect::<Vec<_>>())).collect();
            let is_left = |(dataset, part): (usize, u32)| cuts[dataset][part as usize].1;
            let left: Vec<Vec<(u32, &Part)>> = all.iter().enumerate().map(|(dataset, parts)| {
                (0..).zip(parts).filter(|(part, _)| is_left((dataset, *part))).collect()
            }).collect();
            let expected: BTreeSet<(usize, u32, u32)> = left.iter().enumerate().flat_map(|(dataset, parts)| {
                parts.iter().flat_map(move |(part, cut)| rows(cut).map(move |row| (dataset, *part, row)))
            }).collect();
            for slices in [by_rows(&left), by_parts(&left)] {
                let pieces = slices.iter().flat_map(|slice| &slice.pieces);
                let found: Vec<_> = pieces.flat_map(|p| p.rows.clone().map(|row| (p.dataset, p.part, row))).collect();
                prop_assert_eq!(found.len(), expected.len());
                prop_assert_eq!(&found.into_iter().collect::<BTreeSet<_>>(), &expected);
            }
            let mut end = 0;
            for Slice { pieces } in by_rows(&left) {
                prop_assert!(pieces.iter().all(|piece| piece.rows == pieces[0].rows) && pieces[0].rows.start >= end);
                end = pieces[0].rows.end;
            }
        }
    }
}
