//! One sample's tokens, added up.
//!
//! Owns the sums that every statistic of weights is made of, token by token. Not here: where tokens come from.

use crate::shift::numbers::math::phi;

/// Outside these, a weight is far from 1 (verl's and TRL's documentation call it so).
pub const FAR: [f64; 2] = [0.5, 2.0];

/// verl and others bound a difference of log-probabilities to this before e is raised to it.
pub const BOUND: f64 = 20.0;

/// Sums over the tokens of one sample of which both log-probabilities are finite. d = ln q − ln p, w = e^d.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sequence {
    pub id: u32,
    /// Number of its cluster.
    pub cluster: u32,
    /// Tokens that are added up.
    pub n: u64,
    /// Tokens with an infinite d, which are not.
    pub left_out: u64,
    /// Σ d, and the lowest and highest.
    pub d: f64,
    pub d_min: f64,
    pub d_max: f64,
    /// Σ ½d², Σ (e^d − 1 − d), its squares and the highest of it; Σ (e^−d − 1 + d).
    pub k2: f64,
    pub k3: f64,
    pub k3_squared: f64,
    pub k3_max: f64,
    pub k3_reverse: f64,
    /// Σ of the estimate of the Jensen-Shannon divergence that NeMo-RL prints.
    pub js: f64,
    /// Σ |d|, Σ e^|d|.
    pub abs: f64,
    pub exp_abs: f64,
    /// Σ w, Σ w², the same of min(w, cap), and Σ w² with |d| bounded.
    pub w: f64,
    pub w_squared: f64,
    pub capped: f64,
    pub capped_squared: f64,
    pub w_squared_bounded: f64,
    /// Σ min(w, 2) and of its squares, as verl cuts weights whatever the cap.
    pub verl_capped: f64,
    pub verl_capped_squared: f64,
    /// Weights below and above [`FAR`], and above the cap.
    pub low: u64,
    pub high: u64,
    pub above_cap: u64,
    /// Σ ln p, Σ ln q, Σ w ln q.
    pub a: f64,
    pub b: f64,
    pub wb: f64,
    /// Σ p, Σ q, Σ p², Σ q², Σ p q.
    pub p: f64,
    pub q: f64,
    pub p_squared: f64,
    pub q_squared: f64,
    pub product: f64,
    /// Σ |q − p|, its squares and the highest of it.
    pub abs_delta_p: f64,
    pub abs_delta_p_squared: f64,
    pub abs_delta_p_max: f64,
    /// Σ of Q's entropy, and of how many tokens it is known.
    pub entropy: f64,
    pub entropies: u64,
}

impl Sequence {
    /// A sample without tokens.
    pub fn new(id: u32, cluster: u32) -> Self {
        let (d_min, d_max, k3_max) = (f64::INFINITY, f64::NEG_INFINITY, f64::NEG_INFINITY);
        Self { id, cluster, d_min, d_max, k3_max, ..Self::default() }
    }

    /// Adds a token with ln p = `a` and ln q = `b`; `entropy` is Q's, if it is known.
    pub fn add(&mut self, a: f64, b: f64, entropy: Option<f64>, cap: f64) {
        let d = b - a;
        if !d.is_finite() {
            self.left_out += 1;
            return;
        }
        self.n += 1;
        self.d += d;
        (self.d_min, self.d_max) = (self.d_min.min(d), self.d_max.max(d));
        self.divergences(d);
        self.weight(d.exp(), cap);
        self.w_squared_bounded += (2.0 * d.clamp(-BOUND, BOUND)).exp();
        self.probabilities(a, b, d.exp());
        if let Some(entropy) = entropy {
            self.entropy += entropy;
            self.entropies += 1;
        }
    }

    fn divergences(&mut self, d: f64) {
        let k3 = phi(d);
        self.k2 += 0.5 * d * d;
        self.k3 += k3;
        self.k3_squared += k3 * k3;
        self.k3_max = self.k3_max.max(k3);
        self.k3_reverse += phi(-d);
        // Each side's k3 against the mixture: ln m − ln p = ln((1 + e^d)/2), and −d more for q.
        let to_mixture = (0.5 * d.exp_m1()).ln_1p();
        self.js += 0.5 * (phi(-to_mixture) + phi(d - to_mixture));
        self.abs += d.abs();
        self.exp_abs += d.abs().exp();
    }

    fn weight(&mut self, w: f64, cap: f64) {
        let capped = w.min(cap);
        self.w += w;
        self.w_squared += w * w;
        self.capped += capped;
        self.capped_squared += capped * capped;
        let capped = w.min(FAR[1]);
        self.verl_capped += capped;
        self.verl_capped_squared += capped * capped;
        self.low += u64::from(w < FAR[0]);
        self.high += u64::from(w > FAR[1]);
        self.above_cap += u64::from(w > cap);
    }

    fn probabilities(&mut self, a: f64, b: f64, w: f64) {
        let (p, q) = (a.exp(), b.exp());
        self.a += a;
        self.b += b;
        self.wb += w * b;
        self.p += p;
        self.q += q;
        self.p_squared += p * p;
        self.q_squared += q * q;
        self.product += p * q;
        let delta = (q - p).abs();
        self.abs_delta_p += delta;
        self.abs_delta_p_squared += delta * delta;
        self.abs_delta_p_max = self.abs_delta_p_max.max(delta);
    }

    /// Whether every token is added up, of which there is at least one: then the sample has a sequence weight.
    pub fn is_whole(&self) -> bool {
        self.n > 0 && self.left_out == 0
    }

    /// Mean of d.
    pub fn mean_d(&self) -> f64 {
        self.d / self.n as f64
    }
}
