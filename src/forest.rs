//! Samples as token trees: what they share is computed once.
//!
//! Owns the packing of samples into forests within a token budget. A *segment* is a run of tokens with a parent
//! segment; a sample is the path from a root to the segment where it ends. Not here: tensors and models (`decoder`).

use std::ops::Range;

use crate::sample::Sample;

/// Samples whose common prefix is shorter than this beyond their parent's end are not split there: a segment costs
/// an attention task of its own, and a few tokens are cheaper computed twice.
pub const MIN_SHARED: usize = 16;

/// Attention takes keys in blocks of this many, at path positions that are multiples of it. A segment has blocks of its
/// own, filled up with zeros.
pub const KEY_BLOCK: usize = 128;

/// What a block of keys counts as against a budget of tokens: its keys and values are about as large as the activations
/// of so many tokens.
const TOKENS_A_BLOCK: usize = 16;

/// A run of tokens that one or several samples pass through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Index of the segment that ends where this one begins; parents stand before their children.
    pub parent: Option<usize>,
    /// Its tokens among the forest's rows.
    pub rows: Range<usize>,
    /// Position of its first token in the path, from 0.
    pub depth: usize,
}

/// A next token whose logits are read at `row`. A row that ends a shared segment has several.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// The row *before* the token.
    pub row: usize,
    /// Token id whose scores are computed.
    pub token: u32,
}

/// One batch: trees that go through the layers together.
#[derive(Clone, Debug, Default)]
pub struct Forest {
    /// `[rows]`: the token ids, segment after segment.
    pub tokens: Vec<u32>,
    /// `[rows]`: each token's position in its path.
    pub positions: Vec<u32>,
    /// Segments, parents before children.
    pub segments: Vec<Segment>,
    /// All targets, sample after sample in `samples`' order, in response order within one.
    pub targets: Vec<Target>,
    /// Which sample the targets `range` belong to, as its index in the slice that was packed.
    pub samples: Vec<(usize, Range<usize>)>,
    /// The row of each sample's last response token, if it has one: what would come next is read there.
    pub ends: Vec<Option<usize>>,
    /// The rows that something is read at, targets or ends, ascending: all that the last layer has to compute.
    pub read: Vec<usize>,
    /// Tokens of the samples before sharing.
    pub given: usize,
    /// Its samples are longer than the limit they were packed apart by.
    pub long: bool,
}

impl Forest {
    /// The path of `segment`: its ancestors from the root down, itself last.
    pub fn path(&self, segment: usize) -> Vec<usize> {
        let mut path: Vec<_> = std::iter::successors(Some(segment), |&s| self.segments[s].parent).collect();
        path.reverse();
        path
    }

    /// The place among [`Forest::read`] of `row`, a target's or an end.
    ///
    /// # Panics
    /// For another row.
    pub fn place(&self, row: usize) -> usize {
        self.read.binary_search(&row).expect("targets and ends are read")
    }
}

/// Packs `samples` into forests of at most `budget` computed tokens each, and of at most one block of keys for every
/// [`TOKENS_A_BLOCK`] of them, so that short branches do not fill memory with blocks. A sample that exceeds the budget
/// is a forest alone.
///
/// Samples are sorted by their token ids, so that samples with a common prefix share a forest if they fit. A forest
/// ends where the following sample shares the shortest prefix, provided that it is at least half full.
pub fn pack(samples: &[&Sample], budget: usize) -> Vec<Forest> {
    pack_apart(samples, budget, None)
}

/// As [`pack`], with samples of more than `limit` tokens in forests of their own: to a model whose rotary frequencies
/// depend on a text's length, a common prefix is not the same in both.
pub fn pack_apart(samples: &[&Sample], budget: usize, limit: Option<usize>) -> Vec<Forest> {
    let is_long = |index: usize| limit.is_some_and(|limit| samples[index].ids.len() > limit);
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|&index| (is_long(index), &samples[index].ids, index));
    let mut forests = Vec::new();
    for order in order.chunk_by(|&a, &b| is_long(a) == is_long(b)) {
        let batches = Batches::new(samples, order, budget, is_long(order[0]));
        let mut start = 0;
        while start < order.len() {
            let (forest, end) = batches.next(start);
            forests.push(forest);
            start = end;
        }
    }
    forests
}

/// Samples sorted by ids, on their way into forests.
struct Batches<'a> {
    samples: &'a [&'a Sample],
    order: &'a [usize],
    /// What each shares with the one before it.
    shared: Vec<usize>,
    budget: usize,
    long: bool,
}

impl<'a> Batches<'a> {
    fn new(samples: &'a [&'a Sample], order: &'a [usize], budget: usize, long: bool) -> Self {
        let ids = |place: usize| samples[order[place]].ids.as_slice();
        let with_last = |place| if place == 0 { 0 } else { common_prefix(ids(place - 1), ids(place)) };
        Self { samples, order, shared: (0..order.len()).map(with_last).collect(), budget, long }
    }

    /// The forest that begins with the sample at `start`, and where the next one begins.
    fn next(&self, start: usize) -> (Forest, usize) {
        let end = self.end(start, self.order.len());
        let forest = self.build(start, end);
        if end == start + 1 || self.fits(&forest) {
            return (forest, end);
        }
        // Prefixes that are too short to be split off are computed again, which `end` does not see. More samples never
        // compute fewer tokens, so the forests that fit come first.
        let (mut fitting, mut too_many) = (start + 1, end);
        while fitting + 1 < too_many {
            let middle = usize::midpoint(fitting, too_many);
            let side = if self.fits(&self.build(start, middle)) { &mut fitting } else { &mut too_many };
            *side = middle;
        }
        let end = self.end(start, fitting);
        (self.build(start, end), end)
    }

    fn build(&self, start: usize, end: usize) -> Forest {
        Builder::build(self.samples, &self.order[start..end], self.long)
    }

    fn fits(&self, forest: &Forest) -> bool {
        let blocks: usize = forest.segments.iter().map(|s| key_blocks(s.depth, s.depth + s.rows.len())).sum();
        forest.tokens.len().max(blocks * TOKENS_A_BLOCK) <= self.budget
    }

    /// Where the batch that begins at `start` ends at best, and at `most` at the latest, if whatever is shared were
    /// computed once.
    fn end(&self, start: usize, most: usize) -> usize {
        let (mut tokens, mut blocks) = self.adds(start, 0);
        let (mut best, mut is_half_full) = (start + 1, false);
        for place in start + 1..=most {
            let Some(&shared) = self.shared.get(place) else { return place };
            // Ending here recomputes the prefix shared with the next sample; among equals, later is better.
            if !is_half_full || shared <= self.shared[best] {
                best = place;
                is_half_full = tokens.max(blocks * TOKENS_A_BLOCK) >= self.budget / 2;
            }
            let (more, more_blocks) = self.adds(place, shared);
            (tokens, blocks) = (tokens + more, blocks + more_blocks);
            if tokens.max(blocks * TOKENS_A_BLOCK) > self.budget {
                break;
            }
        }
        best
    }

    /// Tokens and blocks of keys that a sample adds beyond its first `shared` tokens.
    fn adds(&self, place: usize, shared: usize) -> (usize, usize) {
        let length = self.samples[self.order[place]].ids.len();
        (length - shared, key_blocks(shared, length))
    }
}

/// Blocks of keys that a segment of the positions `from..to` of a path has of its own.
fn key_blocks(from: usize, to: usize) -> usize {
    if from == to { 0 } else { to.div_ceil(KEY_BLOCK) - from / KEY_BLOCK }
}

fn common_prefix(a: &[u32], b: &[u32]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Builds one forest from samples sorted by ids.
struct Builder<'a> {
    samples: &'a [&'a Sample],
    forest: Forest,
}

impl<'a> Builder<'a> {
    fn build(samples: &'a [&'a Sample], sorted: &[usize], long: bool) -> Forest {
        let mut builder = Self { samples, forest: Forest { long, ..Forest::default() } };
        builder.grow(sorted, None, 0);
        let mut forest = builder.forest;
        forest.read =
            forest.targets.iter().map(|target| target.row).chain(forest.ends.iter().copied().flatten()).collect();
        forest.read.sort_unstable();
        forest.read.dedup();
        forest
    }

    /// Adds `group`, whose ids agree up to `depth`, where `parent` ends.
    fn grow(&mut self, group: &[usize], parent: Option<usize>, depth: usize) {
        let (Some(&first), Some(&last)) = (group.first(), group.last()) else { return };
        let ids = &self.samples[first].ids;
        // The group is sorted: what its first and last member share, all share.
        let shared = if group.len() == 1 { ids.len() } else { common_prefix(ids, &self.samples[last].ids) };
        let splits = shared - depth >= MIN_SHARED || shared == self.samples[last].ids.len();
        let (parent, depth) = if splits && shared > depth {
            (Some(self.add_segment(parent, depth, shared, first)), shared)
        } else {
            (parent, depth)
        };
        let mut rest = group;
        while let Some(&head) = rest.first() {
            let Some(&next) = self.samples[head].ids.get(shared) else {
                // The sample ends with the shared run: in the segment just made, or in one of its own.
                let end = if depth == shared { parent } else { Some(self.add_segment(parent, depth, shared, head)) };
                self.add_sample(head, end);
                rest = &rest[1..];
                continue;
            };
            let same = rest.partition_point(|&i| self.samples[i].ids[shared] == next);
            let (child, others) = rest.split_at(same);
            self.grow(child, parent, depth);
            rest = others;
        }
    }

    fn add_segment(&mut self, parent: Option<usize>, from: usize, to: usize, sample: usize) -> usize {
        let forest = &mut self.forest;
        let start = forest.tokens.len();
        forest.tokens.extend_from_slice(&self.samples[sample].ids[from..to]);
        forest.positions.extend(from as u32..to as u32);
        forest.segments.push(Segment { parent, rows: start..start + to - from, depth: from });
        forest.segments.len() - 1
    }

    /// Notes the targets of a sample whose path ends with segment `end`.
    fn add_sample(&mut self, index: usize, end: Option<usize>) {
        let sample = self.samples[index];
        self.forest.given += sample.ids.len();
        let path = end.map(|end| self.forest.path(end)).unwrap_or_default();
        let mut runs = path.iter().map(|&s| &self.forest.segments[s]).peekable();
        // Called with ascending positions of the path.
        let mut row_at = |position: usize| {
            while runs.next_if(|s| position >= s.depth + s.rows.len()).is_some() {}
            runs.peek().map(|s| s.rows.start + position - s.depth)
        };
        let start = self.forest.targets.len();
        let mut targets = Vec::new();
        for token in sample.scored_tokens() {
            let row = row_at(token.index as usize - 1);
            targets.extend(row.map(|row| Target { row, token: sample.ids[token.index as usize] }));
        }
        let end = sample.tokens.last().and_then(|token| row_at(token.index as usize));
        self.forest.targets.extend(targets);
        self.forest.samples.push((index, start..self.forest.targets.len()));
        self.forest.ends.push(end);
    }
}

#[cfg(test)]
mod tests;
