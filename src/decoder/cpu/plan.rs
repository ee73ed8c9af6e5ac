//! How a forest is cut for the CPU: chunks of rows that go through a layer together, blocks of keys.
//!
//! Owns the cuts. Chunks decide who computes a row, never its numbers; blocks of keys begin at fixed positions of a path,
//! so that a sum's order is a function of the path. Refuses numbers.

use std::ops::Range;

use crate::forest::Forest;
use crate::kernel::TILE;

/// Keys of a block, at path positions that are multiples of it.
pub const KEY_BLOCK: usize = 128;
/// Most rows of a chunk: its operands stay in second-level cache, and weights are read once for all of them.
pub const MAX_CHUNK: usize = 256;
/// Chunks a thread, so that threads end together.
const CHUNKS_PER_THREAD: usize = 4;

/// The cuts of one forest.
pub struct Plan {
    /// Rows of every chunk but the last.
    pub chunk: usize,
    /// Of each chunk.
    pub runs: Vec<Vec<Run>>,
    /// `[segments]`: the key blocks along its path.
    pub paths: Vec<Vec<usize>>,
    /// Of each key block, the rows of its positions in order; the last of a path may be short.
    pub blocks: Vec<Vec<u32>>,
}

/// Neighbouring rows of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub segment: usize,
    pub rows: Range<usize>,
    /// Path position of its first row.
    pub first: usize,
}

impl Plan {
    /// For `threads` threads.
    pub fn new(forest: &Forest, threads: usize) -> Self {
        let rows = forest.tokens.len();
        let chunk = rows.div_ceil(threads * CHUNKS_PER_THREAD).next_multiple_of(TILE).clamp(TILE, MAX_CHUNK);
        let mut runs = vec![Vec::new(); rows.div_ceil(chunk)];
        for (segment, of) in forest.segments.iter().enumerate() {
            let mut start = of.rows.start;
            while start < of.rows.end {
                let end = of.rows.end.min((start / chunk + 1) * chunk);
                runs[start / chunk].push(Run { segment, rows: start..end, first: of.depth + start - of.rows.start });
                start = end;
            }
        }
        let (paths, blocks) = key_blocks(forest);
        Self { chunk, runs, paths, blocks }
    }
}

/// A block that lies within a parent's path whole is the parent's; the one that a segment begins in is its own, with the
/// keys before it.
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
        for threads in [1, 2, 7, 64] {
            let plan = Plan::new(&forest(), threads);
            let mut next = 0;
            for (index, run) in plan.runs.iter().enumerate().flat_map(|(i, runs)| runs.iter().map(move |run| (i, run)))
            {
                assert_eq!(run.rows.start, next);
                assert!(run.rows.end <= (index + 1) * plan.chunk && run.rows.start >= index * plan.chunk);
                let of = &forest().segments[run.segment];
                assert_eq!(run.first - of.depth, run.rows.start - of.rows.start);
                next = run.rows.end;
            }
            assert_eq!(next, 400, "{threads} threads");
        }
    }

    #[test]
    fn blocks_hold_the_path_and_whole_ones_are_shared() {
        let plan = Plan::new(&forest(), 2);
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
