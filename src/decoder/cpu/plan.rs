//! How a forest is divided for the CPU: chunks of rows that go through a layer together, and blocks of keys.
//!
//! Owns these divisions. Chunks decide which thread computes a row, never its values. Key blocks begin at fixed
//! positions of a path, so that the order of a sum depends only on the path. Not here: arithmetic.

use std::ops::Range;

use crate::forest::{Forest, KEY_BLOCK};
use crate::kernel::TILE;

/// Most rows of a chunk: its operands stay in second-level cache, and weights are read once for all of them.
pub const MAX_CHUNK: usize = 256;

/// The keys of one forest.
pub struct Plan {
    /// `[segments]`: the key blocks along its path.
    pub paths: Vec<Vec<usize>>,
    /// Of each key block, the rows of its positions in order; the last of a path may be short.
    pub blocks: Vec<Vec<u32>>,
}

/// Some rows of a forest, one after another, in pieces that go through a layer together.
pub struct Cut {
    pub chunks: Vec<Chunk>,
}

/// Whole tiles, but for the last of all chunks.
pub struct Chunk {
    /// Its rows' places among all that are cut.
    pub rows: Range<usize>,
    pub runs: Vec<Run>,
}

/// Neighbours in one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub segment: usize,
    /// Their places among all rows that are cut.
    pub rows: Range<usize>,
    /// Path position of the first.
    pub first: usize,
}

impl Plan {
    pub fn new(forest: &Forest) -> Self {
        let (paths, blocks) = key_blocks(forest);
        Self { paths, blocks }
    }
}

impl Cut {
    /// Of `rows` of `forest`, which ascend, for `threads` threads that take one chunk after another. Chunks become smaller
    /// towards the end, so that threads end together (guided self-scheduling, Polychronopoulos & Kuck 1987).
    pub fn new(forest: &Forest, rows: &[usize], threads: usize) -> Self {
        let mut chunks = Vec::new();
        let mut start = 0;
        while start < rows.len() {
            let left = (rows.len() - start).div_ceil(TILE);
            let tiles = left.div_ceil(2 * threads).min(MAX_CHUNK / TILE);
            let places = start..rows.len().min(start + tiles * TILE);
            start = places.end;
            chunks.push(Chunk { runs: runs(forest, rows, places.clone()), rows: places });
        }
        Self { chunks }
    }
}

/// What is neighbouring among the rows at `places`.
fn runs(forest: &Forest, rows: &[usize], places: Range<usize>) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut segment = forest.segments.partition_point(|segment| segment.rows.end <= rows[places.start]);
    for place in places {
        while rows[place] >= forest.segments[segment].rows.end {
            segment += 1;
        }
        let of = &forest.segments[segment];
        let first = of.depth + rows[place] - of.rows.start;
        match runs.last_mut() {
            Some(run) if run.segment == segment && run.first + run.rows.len() == first => run.rows.end += 1,
            _ => runs.push(Run { segment, rows: place..place + 1, first }),
        }
    }
    runs
}

/// A key block entirely within the parent's path is shared with the parent. The block in which a segment begins is its own
/// copy, including the earlier keys.
fn key_blocks(forest: &Forest) -> (Vec<Vec<usize>>, Vec<Vec<u32>>) {
    let mut paths: Vec<Vec<usize>> = Vec::with_capacity(forest.segments.len());
    let mut blocks = Vec::new();
    for (index, segment) in forest.segments.iter().enumerate() {
        let whole = segment.depth / KEY_BLOCK;
        let mut path = segment.parent.map(|parent| paths[parent][..whole].to_vec()).unwrap_or_default();
        let end = segment.depth + segment.rows.len();
        for first in (whole * KEY_BLOCK..end).step_by(KEY_BLOCK) {
            path.push(blocks.len());
            blocks.push(rows_of(forest, index, first..end.min(first + KEY_BLOCK)));
        }
        paths.push(path);
    }
    (paths, blocks)
}

/// The rows of path `positions` that end in `segment`.
fn rows_of(forest: &Forest, segment: usize, positions: Range<usize>) -> Vec<u32> {
    let mut rows: Vec<u32> = Vec::with_capacity(positions.len());
    let mut end = positions.end;
    for index in std::iter::successors(Some(segment), |&s| forest.segments[s].parent) {
        let of = &forest.segments[index];
        let start = of.depth.max(positions.start);
        if start < end {
            rows.extend((start..end).rev().map(|position| (of.rows.start + position - of.depth) as u32));
            end = start;
        }
    }
    rows.reverse();
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::Segment;

    /// A prompt of 200, two answers of 150 and 20, one of which goes on twice.
    fn forest() -> Forest {
        let segment = |parent, rows: Range<usize>, depth| Segment { parent, rows, depth };
        let segments = vec![
            segment(None, 0..200, 0),
            segment(Some(0), 200..350, 200),
            segment(Some(0), 350..370, 200),
            segment(Some(2), 370..400, 220),
        ];
        Forest { tokens: vec![0; 400], segments, ..Forest::default() }
    }

    #[test]
    fn runs_cover_every_row_once_in_order() {
        let (forest, all) = (forest(), (0..400).collect::<Vec<_>>());
        let some: Vec<usize> = all.iter().copied().filter(|row| row % 7 != 0 && !(100..380).contains(row)).collect();
        for (rows, threads) in [(&all, 1), (&all, 2), (&all, 7), (&all, 64), (&some, 1), (&some, 2), (&some, 64)] {
            let mut next = 0;
            for chunk in Cut::new(&forest, rows, threads).chunks {
                assert_eq!(chunk.rows.start, next, "{threads} threads");
                for run in chunk.runs {
                    assert_eq!(run.rows.start, next);
                    let of = &forest.segments[run.segment];
                    for (place, position) in run.rows.clone().zip(run.first..) {
                        assert_eq!(rows[place], of.rows.start + position - of.depth);
                        assert!(of.rows.contains(&rows[place]));
                    }
                    next = run.rows.end;
                }
                assert_eq!(chunk.rows.end, next);
            }
            assert_eq!(next, rows.len(), "{threads} threads");
        }
    }

    #[test]
    fn chunks_are_whole_tiles_that_become_smaller() {
        for (rows, threads) in [(5_812, 2), (10_414, 2), (4_097, 2), (8_000, 16), (300, 2), (33, 2), (1, 64), (32, 3)] {
            let segments = vec![Segment { parent: None, rows: 0..rows, depth: 0 }];
            let forest = Forest { segments, ..Forest::default() };
            let chunks = Cut::new(&forest, &(0..rows).collect::<Vec<_>>(), threads).chunks;
            assert!(chunks.iter().all(|chunk| chunk.rows.start.is_multiple_of(TILE)));
            assert!(chunks.is_sorted_by_key(|chunk| std::cmp::Reverse(chunk.rows.len())));
            assert!(chunks[0].rows.len() <= MAX_CHUNK && chunks[0].rows.len() >= rows.min(TILE));
            assert!(chunks.iter().rev().take(threads).all(|chunk| (1..=TILE).contains(&chunk.rows.len())));
        }
    }

    #[test]
    fn blocks_hold_the_path_and_whole_ones_are_shared() {
        let plan = Plan::new(&forest());
        let rows = |segment: usize| -> Vec<u32> {
            plan.paths[segment].iter().flat_map(|&block| plan.blocks[block].iter().copied()).collect()
        };
        assert_eq!(rows(0), (0..200).collect::<Vec<_>>());
        assert_eq!(rows(1), (0..350).collect::<Vec<_>>());
        assert_eq!(rows(2), (0..200).chain(350..370).collect::<Vec<_>>());
        assert_eq!(rows(3), (0..200).chain(350..400).collect::<Vec<_>>());
        assert_eq!(plan.paths.iter().map(|path| path[0]).collect::<Vec<_>>(), [0; 4]);
        assert!(plan.paths[3].iter().all(|&block| plan.blocks[block].len() <= KEY_BLOCK));
    }
}
