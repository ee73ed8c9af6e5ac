//! What two top-k lists imply at one position: bounds on KL(P‖Q), and the place of a token.
//!
//! Owns the formulas (docs/measures.md: "Bounds on KL") and the allowance for f32 columns. Not here: columns. Slices
//! and numbers in, a number out, NaN where a model lacks what it needs.

use super::math::phi;

/// Raises the upper bound by what the f32 entropy and log-probabilities may have lost: a guarantee, not an estimate.
const UPPER_SLACK: f64 = 1e-5;

/// Share of a sum that f32 log-probabilities down to −16 may have moved it by, all in one direction: half a step is
/// 2⁻²¹ there. Probabilities below e⁻¹⁶ weigh too little to matter.
const ROUNDING: f64 = 4.0 * f32::EPSILON as f64;

/// In the place of −∞ where many tokens are put together: not all of them need have no probability, and a larger one makes no
/// lower bound higher.
const LEAST_REST: f64 = -690.0;

/// Above this d = ln q − ln p the term is taken without e^d, which would overflow before p e^d = q does.
const FAR: f64 = 50.0;

/// One model at one position. What is unknown is NaN; lists are best first, empty if k = 0.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    pub ids: &'a [u32],
    pub logprobs: &'a [f32],
    /// Of the token t at this position.
    pub logprob: f64,
    /// e^`logprob`.
    pub mass: f64,
    /// Logarithm of the mass outside the list and t.
    pub rest: f64,
}

impl<'a> Side<'a> {
    /// The list without t.
    fn others(&self, t: u32) -> impl Iterator<Item = (u32, f64)> + use<'a> {
        let list = self.ids.iter().zip(self.logprobs);
        list.filter(move |(id, _)| **id != t).map(|(id, logprob)| (*id, f64::from(*logprob)))
    }

    fn find(&self, id: u32) -> Option<f64> {
        let place = self.ids.iter().position(|other| *other == id)?;
        self.logprobs.get(place).copied().map(f64::from)
    }
}

/// Both bounds of one position.
///
/// The lower one is KL(P‖Q) after tokens were put together: t, every id of both lists, and all the rest as one. By the
/// log-sum inequality it is a lower bound, to 1e-6; never negative, since Σ p φ(ln q/p) has no negative term. With empty
/// lists it is the KL of "t or not". A rest of Q that is 0 counts as e⁻⁶⁹⁰, which can but lower the bound.
///
/// The upper one is −H(P) − Σ p ln q over t and the ids of both lists − ln q's minimum · (P's mass elsewhere) + 1e-5: the
/// cross-entropy with every unknown q put at Q's least likely token. What MEASURES writes as three sums, whose p ln p cancel.
pub fn kl(t: u32, p: &Side, q: &Side, entropy_p: f64, min_q: f64) -> (f64, f64) {
    let p_rest = p.rest.exp();
    let mut sum = term(p.mass, p.logprob, q.logprob);
    let mut cross = cost(p.mass, q.logprob) + cost(p_rest, min_q);
    let mut p_more = 0.0;
    for (id, ln_p) in p.others(t) {
        let mass = ln_p.exp();
        let ln_q = q.find(id);
        match ln_q {
            Some(ln_q) => sum += term(mass, ln_p, ln_q),
            None => p_more += mass,
        }
        cross += cost(mass, ln_q.unwrap_or(min_q));
    }
    let q_more = q.others(t).filter(|(id, _)| !p.ids.contains(id)).map(|(_, ln_q)| ln_q.exp()).sum::<f64>();
    let with = |rest: f64, more: f64| if more == 0.0 { rest } else { (rest.exp() + more).ln() };
    sum += rest_term(p_rest + p_more, with(p.rest, p_more), with(q.rest, q_more));
    (sum * (1.0 - ROUNDING), cross * (1.0 + ROUNDING) - entropy_p + UPPER_SLACK)
}

/// p φ(ln q − ln p) = q − p + p ln(p/q), whose sum over distributions is KL(P‖Q); `p` is e^`ln_p`.
fn term(p: f64, ln_p: f64, ln_q: f64) -> f64 {
    let d = ln_q - ln_p;
    if p == 0.0 {
        ln_q.exp()
    } else if d > FAR {
        ln_q.exp() - p * (1.0 + d)
    } else {
        p * phi(d)
    }
}

/// [`term`] of tokens that were put together; a NaN stays one.
fn rest_term(p: f64, ln_p: f64, ln_q: f64) -> f64 {
    term(p, ln_p, if ln_q == f64::NEG_INFINITY && p > 0.0 { LEAST_REST } else { ln_q })
}

/// −p ln q; nothing where p is 0, whatever q, unless q is not known.
fn cost(p: f64, ln_q: f64) -> f64 {
    if p == 0.0 && !ln_q.is_nan() { 0.0 } else { -p * ln_q }
}

/// Place of P's most likely token in Q's list, from 1; infinite if it is not there. NaN below three places of Q.
pub fn place(p: &[u32], q: &[u32]) -> f64 {
    match p.first() {
        Some(top) if q.len() >= 3 => q.iter().position(|id| id == top).map_or(f64::INFINITY, |i| (i + 1) as f64),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests;
