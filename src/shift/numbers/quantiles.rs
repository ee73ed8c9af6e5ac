//! Quantiles with intervals that are clustered, because rows of one cluster are not independent.
//!
//! Owns which quantiles there are, how values are kept until they are known, and their intervals. Not here: tables and
//! names. Numbers in, numbers out.

use rayon::slice::ParallelSliceMut;

use super::stats::{Estimate, Share, clustered_mean};
use super::student::t95;

/// Every quantile that is given, by name and fraction. The ends have no interval.
pub const QUANTILES: [(&str, f64); 13] = [
    ("min", 0.0),
    ("q0.001", 0.001),
    ("q0.01", 0.01),
    ("q0.05", 0.05),
    ("q0.10", 0.10),
    ("q0.25", 0.25),
    ("median", 0.5),
    ("q0.75", 0.75),
    ("q0.90", 0.90),
    ("q0.95", 0.95),
    ("q0.99", 0.99),
    ("q0.999", 0.999),
    ("max", 1.0),
];

/// Up to this many values quantiles are exact (12 bytes a value); beyond, they come from a histogram.
pub const EXACT: u64 = 10_000_000;

/// One quantile of a measure's values over tokens.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Quantile {
    /// Name, such as `q0.99`.
    pub name: String,
    /// Value with its interval.
    #[serde(flatten)]
    pub estimate: Estimate,
}

/// Values in ascending order, whole or binned, as far as quantiles have to know them.
trait Ascending {
    fn len(&self) -> u64;

    /// The value at `place`, from 0.
    fn at(&self, place: u64) -> f64;

    /// Linear between the two values around f·(n − 1); `None` outside the values.
    fn quantile(&self, fraction: f64) -> Option<f64> {
        if self.len() == 0 || !(0.0..=1.0).contains(&fraction) {
            return None;
        }
        let place = fraction * (self.len() - 1) as f64;
        let weight = place.fract();
        let low = self.at(place as u64);
        let high = if weight > 0.0 { self.at(place as u64 + 1) } else { low };
        // Infinite neighbours would make a NaN of the step between them.
        Some(if low == high { low } else { low + (high - low) * weight })
    }
}

/// All values with their clusters: a sortable key in two halves, and the cluster, 12 bytes.
pub struct Values {
    entries: Vec<[u32; 3]>,
}

impl Values {
    /// Room for `n` values.
    pub fn with_capacity(n: u64) -> Self {
        Self { entries: Vec::with_capacity(n as usize) }
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: Self) {
        self.entries.extend(other.entries);
    }

    /// Values that are not numbers have no place in an order: they are left out.
    pub fn push(&mut self, cluster: u32, value: f64) {
        if !value.is_nan() {
            let key = key(value);
            self.entries.push([(key >> 32) as u32, key as u32, cluster]);
        }
    }

    /// Every quantile with its interval; none if there is no value. Clusters are numbered below `clusters`.
    pub fn quantiles(mut self, clusters: usize) -> Vec<Quantile> {
        self.entries.par_sort_unstable();
        let mut below = vec![Share::default(); clusters];
        self.entries.iter().for_each(|[_, _, cluster]| below[*cluster as usize].n += 1);
        let mut next = 0;
        let entries = &self.entries;
        estimates(&self, |value| {
            // Quantiles ascend: the count goes on where the last one ended.
            while next < entries.len() && entry_value(&entries[next]) <= value {
                below[entries[next][2] as usize].sum += 1.0;
                next += 1;
            }
            clustered_mean(&below)
        })
    }
}

impl Ascending for Values {
    fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    fn at(&self, place: u64) -> f64 {
        entry_value(&self.entries[place as usize])
    }
}

fn entry_value([high, low, _]: &[u32; 3]) -> f64 {
    value(u64::from(*high) << 32 | u64::from(*low))
}

/// Counts of values in bins that are 1/256 of a power of two wide, of both signs: 8 MB, whatever the values. Values
/// are taken to lie evenly in a bin: each is within 0.4% of where it is put. Zero has a bin to itself but for subnormal
/// numbers.
pub struct Histogram {
    counts: Vec<u64>,
    n: u64,
    low: f64,
    high: f64,
}

/// Low bits of a key that a bin ignores: an f64's 52 minus the first 8.
const WITHIN: u32 = 44;

impl Default for Histogram {
    fn default() -> Self {
        let counts = vec![0; 1 << (u64::BITS - WITHIN)];
        Self { counts, n: 0, low: f64::INFINITY, high: f64::NEG_INFINITY }
    }
}

impl Histogram {
    /// Values that are not numbers are left out.
    pub fn push(&mut self, value: f64) {
        if !value.is_nan() {
            self.counts[bin(value)] += 1;
            self.n += 1;
            self.low = self.low.min(value);
            self.high = self.high.max(value);
        }
    }

    /// Adds those of another.
    pub fn merge(&mut self, other: &Self) {
        self.counts.iter_mut().zip(&other.counts).for_each(|(count, more)| *count += more);
        self.n += other.n;
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
    }

    /// Where the quantiles lie.
    pub fn cuts(&self) -> CutPoints {
        QUANTILES.map(|(_, f)| self.quantile(f).map_or(0, bin))
    }

    /// Every quantile with its interval; none if there is no value. Where no cut point is next to a quantile, the error
    /// of F at the cut is taken to that at the quantile by the ratio of √(F (1 − F)), what independent values would
    /// have.
    pub fn quantiles(&self, below: &Below) -> Vec<Quantile> {
        let mut each = 0..QUANTILES.len();
        estimates(self, |value| {
            let place = each.next()?;
            let at_cut = clustered_mean(&below.shares(place))?;
            let [there, here] = [below.cuts[place], bin(value)].map(|bin| self.at_most(bin));
            let spread = |share: f64| share * (1.0 - share);
            let ratio = if there == here { 1.0 } else { (spread(here) / spread(there)).sqrt() };
            let stderr = at_cut.stderr.map(|se| se * ratio).filter(|se| se.is_finite());
            Some(Estimate { stderr, ..at_cut })
        })
    }

    /// Share of the values in bins up to this one.
    fn at_most(&self, bin: usize) -> f64 {
        self.counts[..=bin].iter().sum::<u64>() as f64 / self.n as f64
    }
}

impl Ascending for Histogram {
    fn len(&self) -> u64 {
        self.n
    }

    fn at(&self, place: u64) -> f64 {
        let mut past = 0;
        for (bin, count) in self.counts.iter().enumerate() {
            if place < past + count {
                let share = ((place - past) as f64 + 0.5) / *count as f64;
                return inside(bin, share).clamp(self.low, self.high);
            }
            past += count;
        }
        self.high
    }
}

/// A bin for every quantile: that of the quantile itself, or of one that was taken of some of the values.
pub type CutPoints = [usize; QUANTILES.len()];

/// How many values of each cluster lie at or below each cut.
pub struct Below {
    cuts: CutPoints,
    /// Values by the first cut they are not above; those above all come last.
    by_cluster: Vec<[u32; QUANTILES.len() + 1]>,
}

impl Below {
    pub fn new(cuts: CutPoints, clusters: usize) -> Self {
        Self { cuts, by_cluster: vec![[0; QUANTILES.len() + 1]; clusters] }
    }

    /// Adds those of another, of the same histogram.
    pub fn merge(&mut self, other: &Self) {
        let counts = self.by_cluster.iter_mut().zip(&other.by_cluster);
        counts.for_each(|(counts, more)| counts.iter_mut().zip(more).for_each(|(count, more)| *count += more));
    }

    pub fn push(&mut self, cluster: u32, value: f64) {
        if !value.is_nan() {
            let value = bin(value);
            self.by_cluster[cluster as usize][self.cuts.partition_point(|cut| *cut < value)] += 1;
        }
    }

    fn shares(&self, quantile: usize) -> Vec<Share> {
        let share = |counts: &[u32; QUANTILES.len() + 1]| Share {
            sum: counts[..=quantile].iter().map(|&n| u64::from(n)).sum::<u64>() as f64,
            n: counts.iter().map(|&n| u64::from(n)).sum(),
        };
        self.by_cluster.iter().map(share).collect()
    }
}

/// Each quantile x with the interval that F gives it: `at_most` is the clustered mean of "the value is at most x", and
/// the ends are the quantiles at f ± t·se of it (Woodruff 1952). An end outside the values is unknown, not the last
/// value; the error is the interval's width in units of 2t.
fn estimates(values: &impl Ascending, mut at_most: impl FnMut(f64) -> Option<Estimate>) -> Vec<Quantile> {
    let estimate = |(name, fraction): (&'static str, f64)| {
        let value = values.quantile(fraction)?;
        let share = at_most(value)?;
        let (clusters, n) = (share.clusters, share.n);
        let t = t95(clusters - 1);
        let inside = fraction > 0.0 && fraction < 1.0;
        let reach = share.stderr.filter(|_| inside).map(|se| t * se);
        let low = reach.and_then(|r| values.quantile(fraction - r));
        let high = reach.and_then(|r| values.quantile(fraction + r));
        let stderr = low.zip(high).map(|(low, high)| if low == high { 0.0 } else { (high - low) / (2.0 * t) });
        Some(Quantile { name: name.to_owned(), estimate: Estimate { value, stderr, low, high, clusters, n } })
    };
    QUANTILES.into_iter().filter_map(estimate).collect()
}

/// Maps an f64 to a u64 that sorts the same: positive values get the sign bit, negative ones are inverted.
fn key(value: f64) -> u64 {
    // −0 becomes 0.
    let bits = (value + 0.0).to_bits();
    if bits >> 63 == 0 { bits | 1 << 63 } else { !bits }
}

fn value(key: u64) -> f64 {
    f64::from_bits(if key >> 63 == 1 { key & !(1 << 63) } else { !key })
}

fn bin(value: f64) -> usize {
    (key(value) >> WITHIN) as usize
}

/// The place in a bin that has `share` of its values below it, if they lie evenly; infinity's own is infinity, the one
/// around zero is zero.
fn inside(bin: usize, share: f64) -> f64 {
    let first = (bin as u64) << WITHIN;
    let (a, b) = (value(first), value(first | ((1 << WITHIN) - 1)));
    if a.is_nan() || b.is_nan() {
        return if a.is_nan() { b } else { a };
    }
    let x = a + (b - a) * share;
    if x.is_normal() { x } else { 0.0 }
}

#[cfg(test)]
mod tests;
