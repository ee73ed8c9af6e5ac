//! Whether a row that was measured partly in f32 holds the promised digits: 1e-9 + 1e-5 of each value.
//!
//! Owns the bounds on what the rounding of unlikely ids' logits does to the four measures. Where they are flat and two
//! models hardly apart it is more than that; such rows are measured again in f64 throughout. Refuses to measure.

use super::rest::Sums;

/// What a value may be off: this, and this much of it.
const ABSOLUTE: f64 = 1e-9;
const RELATIVE: f64 = 1e-5;
/// Standard deviations of what single errors add up to, which are of either sign.
const DEVIATIONS: f64 = 4.0;
/// What evaluation in f32 takes off an exponential, as an error of its logit: two units in the last place.
const EVALUATION: f64 = 2.4e-7;

/// Root mean square of how far the f32 product of a logit is off, of both models together: what it is at the ids that are
/// known in f64 too.
pub fn noise(all: [&[f32]; 2], likely: &[u32], exact: [&[f64]; 2]) -> f64 {
    let of_model = |side: usize| -> f64 {
        let off = |(&id, &x): (&u32, &f64)| (f64::from(all[side][id as usize]) - x).powi(2);
        likely.iter().zip(exact[side]).map(off).sum::<f64>() / likely.len().max(1) as f64
    };
    (of_model(0) + of_model(1)).sqrt()
}

/// Whether `sums` (KL, reversed KL, JS and twice the total variation) are within what is promised, at `rest` of them from
/// ids that hold the share `others` and whose log-ratios d have errors of `noise`.
///
/// With errors e of d: Σ w |d + e| is off by Σ ± w e, of the variance e² Σ w², and by e² times the density of d at 0, about
/// e² / mean |d| (never more than Σ w e); Σ w (d + e)² / 2 by Σ w d e and by Σ w e² / 2. JS moves a quarter as much as KL may:
/// its slope in a log-probability is ½ p ln(p/m) but for a constant, at most ¼ w |d|. Measures of rows that are equal bit by
/// bit are exactly 0, and right.
pub fn is_sure(sums: [f64; 4], rest: Sums, others: f64, noise: f64) -> bool {
    let [kl, reverse, js, apart] = sums;
    if kl == 0.0 && reverse == 0.0 && apart == 0.0 {
        return true;
    }
    let noise = noise.hypot(EVALUATION);
    let [of_w, of_wd] = rest.squares.map(f64::sqrt);
    let rectified = (others * noise).min((others * noise).powi(2) / rest.terms[3]);
    let of_tv = 0.5 * (DEVIATIONS * noise * of_w + rectified);
    let of_kl = DEVIATIONS * noise * of_wd + 0.5 * others * noise * noise;
    let is_within = |off: f64, value: f64| off <= ABSOLUTE + RELATIVE * value;
    is_within(of_tv, apart / 2.0) && is_within(of_kl, kl.min(reverse)) && is_within(of_kl / 4.0, js)
}
