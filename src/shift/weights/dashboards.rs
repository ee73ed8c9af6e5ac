//! The scalars of RL frameworks' dashboards, under their own keys and by their own formulas.
//!
//! Owns these formulas, which differ from framework to framework: what is cut, bounded or averaged first. Read from
//! `verl/trainer/ppo/rollout_corr_helper.py` (token-level weights cut at 2, the default), `trl/trainer/grpo_trainer.py`
//! (`sequence_mask` with a cap of 3, the default), `prime_rl/trainer/rl/{train,loss}.py` and
//! NeMo-RL's clipped policy gradient loss (k3, the default). Sums are in f64, where they add up f32. What needs more than both
//! log-probabilities (clip ratios, rewards, KL to a reference model) is left out.

use std::collections::BTreeMap;

use super::figures::correlation;
use super::sequence::{BOUND, FAR, Sequence};
use crate::shift::options::DashboardNames;

/// verl's threshold, whose reciprocal is the lower one, and TRL's cap.
const VERL_CAP: f64 = FAR[1];
const TRL_CAP: f64 = 3.0;

/// The scalars of some samples; those without a finite number are left out.
pub fn scalars(names: DashboardNames, sequences: &[Sequence]) -> BTreeMap<String, f64> {
    let of = Means::new(sequences);
    let found = match names {
        DashboardNames::Verl => [verl(&of), verl_weights(&of)].concat(),
        DashboardNames::Trl => trl(&of),
        DashboardNames::PrimeRl => prime_rl(&of),
        DashboardNames::NemoRl => nemo_rl(&of),
    };
    found.into_iter().filter(|(_, value)| value.is_finite()).map(|(key, value)| (key.to_owned(), value)).collect()
}

type Scalars = Vec<(&'static str, f64)>;

/// Means over tokens and over samples. Samples with a token of probability 0 count without it.
struct Means<'a> {
    all: &'a [Sequence],
    samples: Vec<&'a Sequence>,
    tokens: f64,
}

impl<'a> Means<'a> {
    fn new(all: &'a [Sequence]) -> Self {
        let samples: Vec<&Sequence> = all.iter().filter(|one| one.n > 0).collect();
        let tokens = samples.iter().map(|one| one.n).sum::<u64>() as f64;
        Self { all, samples, tokens }
    }

    fn tokens(&self, of: fn(&Sequence) -> f64) -> f64 {
        self.samples.iter().map(|one| of(one)).sum::<f64>() / self.tokens
    }

    fn each(&self, of: impl Fn(&Sequence) -> f64) -> Vec<f64> {
        self.samples.iter().map(|one| of(one)).collect()
    }

    fn samples(&self, of: impl Fn(&Sequence) -> f64) -> f64 {
        mean(&self.each(of))
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn highest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

fn lowest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

/// Torch's `std` of a tensor: with n − 1, and 0 of one value as verl writes it.
fn deviation(values: &[f64]) -> f64 {
    let center = mean(values);
    let squares: f64 = values.iter().map(|value| (value - center).powi(2)).sum();
    if values.len() < 2 { 0.0 } else { (squares / (values.len() - 1) as f64).sqrt() }
}

/// Of the divergence of the two engines.
fn verl(of: &Means) -> Scalars {
    let perplexity = |sum: f64, one: &Sequence| (-sum / one.n as f64).exp();
    let differences = of.each(|one| -one.mean_d());
    let abs: Vec<f64> = differences.iter().map(|difference| difference.abs()).collect();
    let deltas = of.tokens(|one| one.abs_delta_p);
    let spread = of.tokens(|one| one.abs_delta_p_squared) - deltas * deltas;
    vec![
        ("rollout_corr/kl", of.tokens(|one| -one.d)),
        ("rollout_corr/k3_kl", of.tokens(|one| one.k3)),
        ("rollout_corr/training_ppl", of.samples(|one| perplexity(one.b, one))),
        ("rollout_corr/training_log_ppl", of.samples(|one| -one.b / one.n as f64)),
        ("rollout_corr/rollout_ppl", of.samples(|one| perplexity(one.a, one))),
        ("rollout_corr/rollout_log_ppl", of.samples(|one| -one.a / one.n as f64)),
        ("rollout_corr/log_ppl_diff", mean(&differences)),
        ("rollout_corr/log_ppl_abs_diff", mean(&abs)),
        ("rollout_corr/log_ppl_diff_max", highest(&differences)),
        ("rollout_corr/log_ppl_diff_min", lowest(&differences)),
        ("rollout_corr/ppl_ratio", of.samples(|one| (-one.mean_d()).exp())),
        ("rollout_corr/chi2_token", of.tokens(|one| one.w_squared_bounded) - 1.0),
        ("rollout_corr/chi2_seq", of.samples(|one| (2.0 * one.d.clamp(-BOUND, BOUND)).exp()) - 1.0),
        ("training/rollout_probs_diff_mean", deltas),
        ("training/rollout_probs_diff_max", highest(&of.each(|one| one.abs_delta_p_max))),
        ("training/rollout_probs_diff_std", (spread.max(0.0) * of.tokens / (of.tokens - 1.0)).sqrt()),
        ("training/rollout_actor_probs_pearson_corr", correlation(of.all).unwrap_or(f64::NAN)),
    ]
}

/// Of the weights of tokens, cut at verl's threshold.
fn verl_weights(of: &Means) -> Scalars {
    let cut = |one: &Sequence| one.verl_capped / one.n as f64;
    let (capped, squares) = (of.tokens(|one| one.verl_capped), of.tokens(|one| one.verl_capped_squared));
    let (of_samples, raw) = (of.each(cut), of.each(|one| one.w / one.n as f64));
    let from_one: Vec<f64> = of_samples.iter().map(|weight| (weight - 1.0).abs()).collect();
    let share = |is: fn(f64) -> bool| raw.iter().filter(|weight| is(**weight)).count() as f64 / raw.len() as f64;
    vec![
        ("rollout_corr/rollout_is_mean", capped),
        ("rollout_corr/rollout_is_std", (squares - capped * capped).max(0.0).sqrt()),
        ("rollout_corr/rollout_is_max", highest(&of.each(|one| one.d_max.exp().min(VERL_CAP)))),
        ("rollout_corr/rollout_is_min", lowest(&of.each(|one| one.d_min.exp()))),
        ("rollout_corr/rollout_is_eff_sample_size", (capped + 1e-8).powi(2) / squares),
        ("rollout_corr/rollout_is_ratio_fraction_high", of.tokens(|one| one.high as f64)),
        ("rollout_corr/rollout_is_ratio_fraction_low", of.tokens(|one| one.low as f64)),
        ("rollout_corr/rollout_is_seq_mean", mean(&of_samples)),
        ("rollout_corr/rollout_is_seq_std", deviation(&of_samples)),
        ("rollout_corr/rollout_is_seq_max", highest(&of_samples)),
        ("rollout_corr/rollout_is_seq_min", lowest(&of_samples)),
        ("rollout_corr/rollout_is_seq_max_deviation", highest(&from_one)),
        ("rollout_corr/rollout_is_seq_fraction_high", share(|weight| weight > VERL_CAP)),
        ("rollout_corr/rollout_is_seq_fraction_low", share(|weight| weight < 1.0 / VERL_CAP)),
    ]
}

/// Of the weights of samples, with those above the cap set to 0.
fn trl(of: &Means) -> Scalars {
    let masked = of.each(|one| Some(one.d.exp()).filter(|weight| *weight <= TRL_CAP).unwrap_or(0.0));
    vec![
        ("sampling/sampling_logp_difference/mean", of.tokens(|one| one.abs)),
        ("sampling/sampling_logp_difference/max", highest(&of.each(|one| one.d_max.max(-one.d_min)))),
        ("sampling/importance_sampling_ratio/min", lowest(&masked)),
        ("sampling/importance_sampling_ratio/mean", mean(&masked)),
        ("sampling/importance_sampling_ratio/max", highest(&masked)),
    ]
}

fn prime_rl(of: &Means) -> Scalars {
    let k3 = of.tokens(|one| one.k3);
    let spread = of.tokens(|one| one.k3_squared) - k3 * k3;
    let (sum, known) = of.samples.iter().fold((0.0, 0), |(sum, n), one| (sum + one.entropy, n + one.entropies));
    let entropy = if known as f64 == of.tokens { sum / known as f64 } else { f64::NAN };
    vec![
        ("mismatch_kl/all/mean", k3),
        ("mismatch_kl/all/std", (spread.max(0.0) * of.tokens / (of.tokens - 1.0)).sqrt()),
        ("mismatch_kl/all/max", highest(&of.each(|one| one.k3_max))),
        ("entropy/all/mean", entropy),
        ("kl_ent_ratio/mean", if entropy > 0.0 { k3 / entropy } else { f64::NAN }),
    ]
}

fn nemo_rl(of: &Means) -> Scalars {
    vec![
        ("train/token_mult_prob_error", of.tokens(|one| one.exp_abs)),
        ("train/gen_kl_error", of.tokens(|one| one.k3)),
        ("train/policy_kl_error", of.tokens(|one| one.k3_reverse)),
        ("train/js_divergence_error", of.tokens(|one| one.js)),
        ("train/sampling_importance_ratio", of.tokens(|one| one.w)),
        ("train/approx_entropy", of.tokens(|one| -one.wb)),
    ]
}
