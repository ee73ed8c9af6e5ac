//! One row of a logits file: the log-probabilities of all ids at one position.
//!
//! Owns what the 16-bit numbers stand for. Not here: where rows are.

use std::cmp::Reverse;

/// llama.cpp leaves out of a row what lies this far below its largest logit: these ids have the lowest number, as has
/// the one that lies there.
pub(super) const RANGE: f64 = 16.0;
/// Rounding of the f32 step may leave a full range this much smaller.
const NEARLY: f64 = 1e-3;
/// How far the probabilities of a row may add up to something else than 1: steps of at most 16/65535 nats are rounded,
/// and up to 300,000 ids of less than e⁻¹⁶ are left out.
const SUMS: std::ops::RangeInclusive<f64> = 0.9..=1.001;

/// The log-probabilities at one position.
#[derive(Clone, Debug)]
pub struct Row {
    step: f32,
    lowest: f32,
    /// Behind four numbers that are the step and the lowest.
    values: Vec<u16>,
    vocab: usize,
    sum: f64,
}

impl Row {
    /// Of a row's numbers.
    ///
    /// # Errors
    /// How they continue "the row": they are no distribution.
    pub(super) fn new(values: Vec<u16>, vocab: usize) -> Result<Self, String> {
        let pair = |at: usize| f32::from_bits(u32::from(values[at]) | u32::from(values[at + 1]) << 16);
        let (step, lowest) = (pair(0), pair(2));
        if !(step.is_finite() && step >= 0.0 && lowest.is_finite() && lowest <= 0.0) {
            return Err(format!("has the step {step} and the lowest log-probability {lowest}"));
        }
        let mut row = Self { step, lowest, values, vocab, sum: 1.0 };
        row.sum = row.known().map(|(_, logprob)| logprob.exp()).sum();
        if SUMS.contains(&row.sum) { Ok(row) } else { Err(format!("has probabilities that add up to {:.4}", row.sum)) }
    }

    /// For each id how many steps it lies above the lowest.
    pub fn steps(&self) -> &[u16] {
        &self.values[4..4 + self.vocab]
    }

    /// The log-probability of an id as the file has it, nats: its probabilities add up to [`Row::sum`].
    pub fn logprob(&self, id: u32) -> f64 {
        self.of_steps(self.steps()[id as usize])
    }

    fn of_steps(&self, steps: u16) -> f64 {
        f64::from(steps).mul_add(f64::from(self.step), f64::from(self.lowest))
    }

    /// Whether ids with the lowest number may have any probability up to that: the row's range is the whole
    /// [`RANGE`].
    pub fn is_cut(&self) -> bool {
        f64::from(self.step) * 65535.0 > RANGE - NEARLY
    }

    /// Whether an id's probability is known, and not only that it is no larger than the lowest.
    pub fn is_known(&self, id: u32) -> bool {
        !self.is_cut() || self.steps()[id as usize] > 0
    }

    /// The ids whose probability is known, and its logarithm.
    pub fn known(&self) -> impl Iterator<Item = (u32, f64)> + '_ {
        let is_cut = self.is_cut();
        let known = (0_u32..).zip(self.steps()).filter(move |(_, steps)| !is_cut || **steps > 0);
        known.map(|(id, &steps)| (id, self.of_steps(steps)))
    }

    /// Σ of the known probabilities: 1 but for rounding and what was left out.
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// What the known ids give of the entropy, nats.
    pub fn entropy(&self) -> f64 {
        -self.known().map(|(_, logprob)| logprob.exp() * logprob).sum::<f64>()
    }

    /// 1 + the number of ids above `id`, and the number of others that have the same 16 bits.
    pub fn rank(&self, id: u32) -> (u32, u32) {
        let own = self.steps()[id as usize];
        let count = |is: fn(u16, u16) -> bool| self.steps().iter().map(|&other| u32::from(is(other, own))).sum::<u32>();
        (1 + count(|other, own| other > own), count(|other, own| other == own) - 1)
    }

    /// The `k` most likely ids, equal ones by lower id.
    pub fn top(&self, k: usize) -> Vec<u32> {
        let mut ids: Vec<u32> = (0..self.vocab as u32).collect();
        let order = |&id: &u32| (Reverse(self.steps()[id as usize]), id);
        let k = k.min(ids.len());
        if k < ids.len() && k > 0 {
            ids.select_nth_unstable_by_key(k - 1, order);
        }
        ids.truncate(k);
        ids.sort_unstable_by_key(order);
        ids
    }
}
