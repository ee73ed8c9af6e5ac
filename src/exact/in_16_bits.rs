//! Distributions of a logits file against others, all in f64.
//!
//! Owns what is computed where a file does not say everything: of ids below a row's range it says only how likely they are
//! at most. They count as one outcome, whose probability is what the other ids leave of 1: then KL(P‖Q) of a file P is a
//! lower bound of what the whole distributions give, but for the rounding of the 16 bits (docs/measures.md). In KL from
//! another model to such a file the outcome's logarithm would be of what is hardly known: that is NaN. Not here: rows of
//! two heads (`position`).

use super::measures::{Options, Row};
use crate::error::Result;
use crate::llama_logits;
use crate::schema::Divergence;

/// One model's log-probabilities of every id, nats; −∞ for those that a file leaves out.
pub struct Distribution {
    logprobs: Vec<f64>,
    /// What is added to a log-probability to have the file's own.
    own: f64,
    /// Probability of all ids that are left out; 0 if none is.
    left_out: f64,
    is_cut: bool,
}

impl Distribution {
    /// Of logits; `None` if they are not finite.
    pub fn of_logits(logits: &[f32], temperature: f64) -> Option<Self> {
        let mut logprobs: Vec<f64> = logits.iter().map(|&x| f64::from(x) / temperature).collect();
        let log_sum = log_sum(&logprobs);
        for x in &mut logprobs {
            *x -= log_sum;
        }
        log_sum.is_finite().then_some(Self { logprobs, own: 0.0, left_out: 0.0, is_cut: false })
    }

    /// Of a row of a file. Rounding may make its probabilities add up to more than 1: they are divided by their sum then, as
    /// they are where nothing is left out, and at another temperature than 1, of which the file does not say what is left out.
    ///
    /// # Errors
    /// The row is no distribution.
    pub fn of_file(file: &llama_logits::File, row: usize, temperature: f64) -> Result<Self> {
        let row = file.row(row)?;
        let mut logprobs = vec![f64::NEG_INFINITY; file.vocab()];
        row.known().for_each(|(id, logprob)| logprobs[id as usize] = logprob / temperature);
        let is_cut = row.is_cut() && row.steps().contains(&0);
        let is_less = is_cut && temperature == 1.0 && row.sum() < 1.0;
        let log_sum = if is_less { 0.0 } else { log_sum(&logprobs) };
        for x in &mut logprobs {
            *x -= log_sum;
        }
        let left_out = if is_less { 1.0 - row.sum() } else { 0.0 };
        Ok(Self { logprobs, own: if temperature == 1.0 { log_sum } else { 0.0 }, left_out, is_cut })
    }

    /// In nats, of the ids that are not left out.
    fn entropy(&self) -> f64 {
        let term = |&x: &f64| if x > f64::NEG_INFINITY { -x.exp() * x } else { 0.0 };
        self.logprobs.iter().map(term).sum::<f64>().max(0.0)
    }

    fn top(&self) -> u32 {
        let above = |best: usize, id: usize| if self.logprobs[id] > self.logprobs[best] { id } else { best };
        (1..self.logprobs.len()).fold(0, above) as u32
    }

    /// As the model's own table has it; `None` for an id that is left out.
    fn logprob(&self, id: u32) -> Option<f64> {
        self.logprobs.get(id as usize).map(|x| x + self.own).filter(|x| x.is_finite())
    }

    /// Logarithm of the probability of some ids; `None` if one of them is left out.
    fn logprob_of_any(&self, ids: &[u32]) -> Option<f64> {
        let each: Option<Vec<f64>> = ids.iter().map(|&id| self.logprob(id).map(f64::exp)).collect();
        each.filter(|each| !each.is_empty()).map(|each| each.iter().sum::<f64>().ln())
    }
}

/// The KLD that llama.cpp counts of a file `p` at one position, nats: ids of at most e⁻¹⁶ are left out, and nothing is divided
/// by what is left.
pub fn kld_of_llama_cpp(p: &Distribution, q: &Distribution) -> f64 {
    let terms = p.logprobs.iter().zip(&q.logprobs).map(|(ln_p, ln_q)| (ln_p + p.own, ln_q));
    terms.filter(|(ln_p, _)| *ln_p > -16.0).map(|(ln_p, ln_q)| ln_p.exp() * (ln_p - ln_q)).sum()
}

/// ln Σ eˣ.
fn log_sum(values: &[f64]) -> f64 {
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    max + values.iter().map(|x| (x - max).exp()).sum::<f64>().ln()
}

/// What the outcomes of equal ids add to each divergence: the probabilities of P and Q, and their logarithms.
fn add(divergences: &mut [f64; Divergence::ALL.len()], [p, q]: [f64; 2], [ln_p, ln_q]: [f64; 2]) {
    let mean = f64::midpoint(p, q).ln();
    let term = |p: f64, ln_p: f64, ln_q: f64| if p > 0.0 { p * (ln_p - ln_q) } else { 0.0 };
    divergences[Divergence::Kl as usize] += term(p, ln_p, ln_q);
    divergences[Divergence::KlReverse as usize] += term(q, ln_q, ln_p);
    divergences[Divergence::Js as usize] += 0.5 * (term(p, ln_p, mean) + term(q, ln_q, mean));
    divergences[Divergence::Tv as usize] += 0.5 * (p - q).abs();
}

/// Compares two of the same ids.
pub fn measure([p, q]: [&Distribution; 2], target: Option<u32>, options: Options) -> Row {
    let mut divergences = [0.0; Divergence::ALL.len()];
    let mut left_out = [p.left_out, q.left_out];
    for (&a, &b) in p.logprobs.iter().zip(&q.logprobs) {
        let (of_p, of_q) = (a.exp(), b.exp());
        if of_p == 0.0 && p.is_cut || of_q == 0.0 && q.is_cut {
            // One of the ids that are one outcome.
            left_out = [left_out[0] + of_p, left_out[1] + of_q];
        } else {
            add(&mut divergences, [of_p, of_q], [a, b]);
        }
    }
    add(&mut divergences, left_out, left_out.map(f64::ln));
    for value in &mut divergences {
        *value = value.max(0.0);
    }
    for (divergence, second) in [(Divergence::Kl, q), (Divergence::KlReverse, p)] {
        if second.is_cut || divergences[divergence as usize] == f64::INFINITY {
            divergences[divergence as usize] = f64::NAN;
        }
    }
    let top = [p.top(), q.top()];
    let bound = q.logprobs[top[0] as usize];
    let both = |of: [Option<f64>; 2]| of[0].zip(of[1]).map(|(p, q)| [p, q]);
    Row {
        divergences,
        entropy: [p.entropy(), q.entropy()],
        top,
        rank_of_top_p: 1 + q.logprobs.iter().map(|&x| u32::from(x > bound)).sum::<u32>(),
        logprob: target.and_then(|id| both([p.logprob(id), q.logprob(id)])),
        stop: both([p.logprob_of_any(options.stop), q.logprob_of_any(options.stop)]),
        removed: [0.0, 0.0],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llama_logits::Writer;

    /// Two rows of logits and a file of the first: the measures agree but for the 16 bits and what is left out.
    #[test]
    fn a_file_gives_what_its_logits_give_but_for_rounding() {
        let p: Vec<f32> =
            (0..300).map(|id| ((id * 37) % 101) as f32 * 0.13 - if id % 7 == 0 { 20.0 } else { 0.0 }).collect();
        let q: Vec<f32> = p.iter().zip(0..).map(|(x, id)| x + ((id * 11) % 13) as f32 * 0.05).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        let mut writer = Writer::new(std::fs::File::create(&path).unwrap(), 4, p.len(), &[0, 1, 2, 3]).unwrap();
        writer.row(&p).unwrap();
        writer.finish().unwrap();
        let file = llama_logits::File::open(&path).unwrap();
        let options = Options { temperature: 1.0, stop: &[] };
        let of_q = Distribution::of_logits(&q, 1.0).unwrap();
        let whole = Distribution::of_logits(&p, 1.0).unwrap();
        let in_16_bits = Distribution::of_file(&file, 0, 1.0).unwrap();
        assert!(in_16_bits.is_cut && !whole.is_cut);
        let [exact, found] = [&whole, &in_16_bits].map(|p| measure([p, &of_q], Some(5), options));
        for divergence in [Divergence::Kl, Divergence::Js, Divergence::Tv] {
            let (exact, found) = (exact.divergence(divergence), found.divergence(divergence));
            assert!(exact > 1e-3 && (exact - found).abs() < 5e-5, "{divergence:?}: {exact} {found}");
        }
        assert!(exact.divergence(Divergence::KlReverse) > 0.0 && found.divergence(Divergence::KlReverse).is_nan());
        assert_eq!((exact.top, exact.rank_of_top_p), (found.top, found.rank_of_top_p));
        let (exact, found) = (exact.logprob.unwrap(), found.logprob.unwrap());
        assert!((exact[0] - found[0]).abs() < 1.3e-4 && exact[1].to_bits() == found[1].to_bits());
        // An id that is left out has no log-probability, and nothing is known of KL against the file.
        assert!(measure([&in_16_bits, &of_q], Some(0), options).logprob.is_none());
        assert!(measure([&of_q, &in_16_bits], None, options).divergence(Divergence::Kl).is_nan());
    }

    /// Ids that are all left out and as likely as one another are one outcome without loss: KL is that of all, but for the f32 of the lowest number.
    #[test]
    fn what_is_left_out_counts_as_one_outcome() {
        let of = |others: f32| -> Vec<f32> { (0..4001).map(|id| if id == 0 { 0.0 } else { others }).collect() };
        let (p, q) = (of(-17.0), of(-13.0));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        let mut writer = Writer::new(std::fs::File::create(&path).unwrap(), 4, p.len(), &[0, 1, 2, 3]).unwrap();
        writer.row(&p).unwrap();
        writer.finish().unwrap();
        let file = llama_logits::File::open(&path).unwrap();
        let found = Distribution::of_file(&file, 0, 1.0).unwrap();
        let [whole, of_q] = [&p, &q].map(|logits| Distribution::of_logits(logits, 1.0).unwrap());
        let options = Options { temperature: 1.0, stop: &[] };
        for divergence in [Divergence::Kl, Divergence::Js, Divergence::Tv] {
            let [exact, found] = [&whole, &found].map(|p| measure([p, &of_q], None, options).divergence(divergence));
            assert!((exact - found).abs() < 2e-5, "{divergence:?}: {exact} {found}");
        }
        // llama.cpp leaves them out.
        let apart =
            kld_of_llama_cpp(&found, &of_q) - measure([&whole, &of_q], None, options).divergence(Divergence::Kl);
        assert!(apart > 5e-4, "{apart}");
    }
}
