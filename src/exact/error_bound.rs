//! Whether a row that was measured partly in f32 reaches the error target: 1e-9 + 1e-5 of each value.
//!
//! Owns the estimated bounds on the effect of rounding in the logits of unlikely ids: on divergences, on ranks
//! and on which id is the most likely. If a row is flat and the models are nearly equal, the effect exceeds the
//! target; `position` then recomputes more ids in f64. Not here: the measures (`measures`).

use super::divergences::{self, OfEach, Reach};
use super::rest::Sums;
use crate::schema::Divergence;

/// What a value may be off: this, and this much of it.
const ABSOLUTE: f64 = 1e-9;
const RELATIVE: f64 = 1e-5;
/// Standard deviations of what single errors add up to, which are of either sign.
const DEVIATIONS: f64 = 4.0;
/// What evaluation in f32 takes off an exponential, as an error of its logit: two units in the last place.
const EVALUATION: f64 = 2.4e-7;

/// Root mean square of how far the f32 product of a logit is off, of both models together: what it is at the ids that are
/// known in f64 too. A soft cap c tanh(x / c) makes it smaller there than at unlikely ids, which is taken back.
pub fn noise(all: [&[f32]; 2], likely: &[u32], exact: [&[f64]; 2], caps: [Option<f64>; 2]) -> f64 {
    let of_model = |side: usize| -> f64 {
        let slope = |x: f64| caps[side].map_or(1.0, |cap| 1.0 - (x / cap).powi(2));
        let off = |(&id, &x): (&u32, &f64)| ((f64::from(all[side][id as usize]) - x) / slope(x)).powi(2);
        likely.iter().zip(exact[side]).map(off).sum::<f64>() / likely.len().max(1) as f64
    };
    (of_model(0) + of_model(1)).sqrt()
}

/// The effect of a row's rounding errors.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Accuracy {
    /// It is as it should be.
    Reached,
    /// But for a rank: whether Q's logits within `tolerance` of `bound` lie above it.
    Open {
        bound: f64,
        tolerance: f64,
    },
    Missed,
}

/// A row's estimated rounding errors.
#[derive(Clone, Copy, Debug)]
pub struct ErrorBound {
    /// Standard deviation of the error of a logit, and of a log-ratio d: what logits are divided by is between them.
    of_logits: f64,
    of_ratios: f64,
}

impl ErrorBound {
    /// Of logits whose [`noise`] is known and that are multiplied by `scale`.
    pub fn new(noise: f64, scale: f64) -> Self {
        Self { of_logits: noise, of_ratios: (noise * scale).hypot(EVALUATION) }
    }

    /// If |d| is below this (three standard deviations), rounding can flip its sign.
    #[expect(clippy::cast_possible_truncation, reason = "a bound")]
    pub fn near(self) -> f32 {
        (3.0 * self.of_ratios) as f32
    }

    /// How far apart two logits may be and yet change places.
    pub fn tolerance(self) -> f64 {
        DEVIATIONS * self.of_logits
    }

    /// Whether the largest of all logits is among the likely ones: it is if one of the `largest` of them is well below.
    pub fn is_top_known(self, likely: &[f64], max: f64, largest: usize) -> bool {
        likely.iter().filter(|x| **x > max - 2.0 * self.tolerance()).count() < largest
    }

    /// Whether the divergences' `values` reach the error target, if `rest` of their sums comes from ids with the share
    /// `others` of the probability.
    ///
    /// With errors e of d, of the standard deviation σ: ½ Σ w |d + e| is off by ½ Σ w e (s − s̄), s = ± 1 the sign of d and s̄
    /// its mean, since the sum of all exponentials is off too: at most of the variance σ² Σ w². Where d is near 0 it is off by
    /// ½ w (|d + e| − |d|), whose expectation w (σ φ(d/σ) − |d| Φ(−|d|/σ)) is below 0.4 σ w (1 − |d| / 3σ) or, beyond 3 σ, 4e-4 σ w.
    /// Σ w (d + e)² / 2 by Σ w d e and by Σ w e² / 2. JS moves a quarter as much as KL may: its slope in a
    /// log-probability is ½ p ln(p/m) but for a constant, at most ¼ w |d|. Measures of rows that are equal bit by bit are
    /// exactly 0, and right.
    pub fn allows(self, values: OfEach<f64>, rest: &Sums, others: f64) -> bool {
        if values.iter().all(|value| *value == 0.0) {
            return true;
        }
        let noise = self.of_ratios;
        let [of_w, of_wd] = rest.squares.map(f64::sqrt);
        let reach = Reach {
            of_sizes: noise * (DEVIATIONS * of_w + 0.4 * rest.near),
            of_squares: DEVIATIONS * noise * of_wd + 0.5 * others * noise * noise,
        };
        Divergence::ALL
            .into_iter()
            .all(|divergence| divergences::off(divergence, reach) <= ABSOLUTE + RELATIVE * values[divergence as usize])
    }
}
