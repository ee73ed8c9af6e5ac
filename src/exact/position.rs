//! One position of a tile: which ids are recomputed in f64.
//!
//! Owns the steps from a few such ids to more, where f32 is not accurate enough. Not here: products of whole heads
//! (`tile`).

use super::error_bound::Accuracy;
use super::failure::Failure;
use super::kernel::CHUNK;
use super::measures::{Logits, Options, Row, measure};
use crate::decoder::Head;

/// Ids of each model whose logits are computed again in f64: what the others lose is small and of either sign. Where it is
/// not small enough the next number of them is taken, and in the end all.
pub(super) const LIKELY: [usize; 3] = [16, 256, 1024];

/// Two models at one position.
pub struct Position<'a> {
    /// Of the tile.
    pub row: usize,
    pub heads: [&'a Head; 2],
    /// What the heads read.
    pub hidden: [&'a [f32]; 2],
    /// Of every id, as f32 products give them.
    pub logits: [&'a mut [f32]; 2],
    pub target: Option<u32>,
    pub options: Options<'a>,
}

impl Position<'_> {
    /// Measures with ever more ids in f64 until it is sure; what it is not, in the end, takes all ids. `likely` is room.
    ///
    /// # Errors
    /// Logits that are not finite.
    pub fn measure(&mut self, likely: &mut Vec<u32>) -> Result<(Row, Accuracy), Failure> {
        let [few, more @ ..] = LIKELY;
        let mut measured = self.measure_with(few, likely)?;
        for of_each in more {
            if measured.1 != Accuracy::Reached {
                measured = self.measure_with(of_each, likely)?;
            }
        }
        Ok(measured)
    }

    /// With the `of_each` most likely ids of each model in f64, and where a rank alone is open, those that it is open of.
    fn measure_with(&mut self, of_each: usize, likely: &mut Vec<u32>) -> Result<(Row, Accuracy), Failure> {
        self.collect_likely(of_each, likely);
        let measured = self.measure_once(of_each, likely)?;
        let Accuracy::Open { bound, tolerance } = measured.1 else { return Ok(measured) };
        let is_near = |x: f32| (f64::from(x) - bound).abs() <= tolerance;
        let ids = (0..).zip(&*self.logits[1]).take(self.common());
        likely.extend(ids.filter(|(_, x)| is_near(**x)).map(|(id, _): (u32, _)| id));
        likely.sort_unstable();
        likely.dedup();
        self.measure_once(of_each, likely)
    }

    fn measure_once(&mut self, of_each: usize, likely: &[u32]) -> Result<(Row, Accuracy), Failure> {
        let Self { heads, hidden, logits: [p, q], target, options, row } = self;
        let exact = [heads[0].exact_logits(hidden[0], likely)?, heads[1].exact_logits(hidden[1], likely)?];
        let masked: Vec<[f32; 2]> = likely.iter().map(|&id| [p[id as usize], q[id as usize]]).collect();
        let (exact, caps) = ([&*exact[0], &exact[1]], heads.map(Head::cap));
        let measured = measure(Logits { all: [p, q], likely, exact, of_each, caps }, *target, *options);
        for (&id, was) in likely.iter().zip(masked) {
            [p[id as usize], q[id as usize]] = was;
        }
        measured.map_err(Failure::of(*row))
    }

    /// The `of_each` most likely ids of each model, the target and the end tokens. They carry most of the probability, and
    /// with it most of what f32 products lose.
    fn collect_likely(&self, of_each: usize, likely: &mut Vec<u32>) {
        let n = self.common();
        likely.clear();
        likely.extend(self.target.iter().chain(self.options.stop));
        likely.extend(self.logits.iter().flat_map(|logits| most_likely(&logits[..n], of_each)));
        likely.retain(|id| (*id as usize) < n);
        likely.sort_unstable();
        likely.dedup();
    }

    /// Ids that both models have.
    fn common(&self) -> usize {
        self.logits[0].len().min(self.logits[1].len())
    }
}

/// The `count` largest, in any order.
fn most_likely(logits: &[f32], count: usize) -> Vec<u32> {
    let mut best: Vec<(f32, u32)> = Vec::with_capacity(4 * count);
    let keep_best = |best: &mut Vec<(f32, u32)>| {
        if best.len() <= count {
            return f32::NEG_INFINITY;
        }
        let (_, last, _) = best.select_nth_unstable_by(count - 1, |a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let lowest = last.0;
        best.truncate(count);
        lowest
    };
    let mut lowest = f32::NEG_INFINITY;
    for (first, chunk) in (0..).step_by(CHUNK).zip(logits.chunks(CHUNK)) {
        // Few chunks contain any, and one vector operation decides whether a chunk does.
        if chunk.iter().map(|x| u32::from(*x > lowest)).sum::<u32>() == 0 {
            continue;
        }
        for (id, &x) in (first..).zip(chunk) {
            if x > lowest {
                best.push((x, id));
                // Rarely: the more are known, the fewer are above them.
                if best.len() == 4 * count {
                    lowest = keep_best(&mut best);
                }
            }
        }
    }
    keep_best(&mut best);
    best.into_iter().map(|(_, id)| id).collect()
}
