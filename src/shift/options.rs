//! What to compare.
//!
//! Owns the options of every comparison. Not here: which tables they select (`tables`).

/// What to compare.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// P. Default: what the response set's manifest says, see [`default_p`](crate::shift::default_p).
    pub reference: Option<String>,
    /// The model that sampled, at temperature 1, the response sets whose own name says no model that was scored.
    pub own_text: Option<String>,
    /// Tasks and generation models to look at; all if empty.
    pub tasks: Vec<String>,
    /// Only responses that these models wrote; empty: of all.
    pub generation_models: Vec<String>,
    /// Compare the shifts of two models, each on its own responses: no other response sets and pairs are then compared.
    pub between: Option<BetweenModels>,
    /// P and Q of the pairs to look at; all if empty.
    pub pairs: Vec<[String; 2]>,
    /// Compare every two models, in the contexts of the response set, instead of P with each other model only.
    pub all_pairs: bool,
    /// Models that were also scored in f32: the KL of each with its f32 version is the noise floor. Needs quantiles.
    pub noise_floor: Vec<F32Version>,
    /// Compare samples whose contexts differ (each model was given its own rendering).
    pub allow_different_context: bool,
    /// Take quantiles too, exact ones of up to this many tokens ([`EXACT`](crate::shift::EXACT)), a pass over the tables for each
    /// measure; beyond, in the same pass, from counts.
    pub quantiles: Option<u64>,
    /// Take means by region, kind, position and kept field too: one more pass over the tables.
    pub slices: bool,
    /// What importance weights are cut to; `None`: 2.
    pub weight_cap: Option<f64>,
    /// What P's recorded numbers are of, which decides what importance weights are 1 in expectation.
    pub sampled: Sampled,
    /// Give the scalars of importance weights under this framework's names too.
    pub names: Option<DashboardNames>,
    /// Compute every statistic by the lazy queries that define it, slowly; quantiles are exact for any number of
    /// tokens.
    pub plain: bool,
}

/// What the log-probabilities are of that P's engine recorded of the tokens that it sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sampled {
    /// Nothing says it.
    #[default]
    Unknown,
    /// Tokens were sampled from P's whole distribution.
    Whole,
    /// Tokens were sampled under top-p, top-k or the like, and the numbers are of what was left, renormalised.
    Cut,
    /// Tokens were sampled so, and the numbers are of the whole distribution.
    Raw,
}

impl Sampled {
    /// What the mean weight is in expectation. A is the set that a token was sampled within.
    pub fn expectation(self) -> &'static str {
        match self {
            Self::Unknown => {
                "the mean weight is 1 in expectation if P sampled from its whole distribution at the recorded temperature; if \
                 it sampled within a set A (top-p, top-k), Q(A) for recorded numbers of the cut distribution and Q(A)/P(A) for \
                 raw ones (--sampled says which)"
            }
            Self::Whole => "the mean weight is 1 in expectation",
            Self::Cut => "the mean weight is Q(A) in expectation, A being the tokens that P's sampler left",
            Self::Raw => "the mean weight is Q(A)/P(A) in expectation, A being the tokens that P's sampler left",
        }
    }
}

/// A framework whose dashboard has scalars of importance weights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DashboardNames {
    /// `rollout_corr/kl` and the like.
    Verl,
    /// `sampling/importance_sampling_ratio/mean` and the like.
    Trl,
    /// `mismatch_kl/all/mean` and the like.
    PrimeRl,
    /// `train/token_mult_prob_error` and the like.
    NemoRl,
}

/// A model, and the name under which the same weights were scored in f32.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct F32Version {
    /// The model.
    pub model: String,
    /// Name of its f32 version.
    pub in_f32: String,
}

/// Two models whose shifts from a third are compared, each on the responses that it wrote itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BetweenModels {
    /// The model whose shift is taken, and the one whose shift is subtracted from it.
    pub model: String,
    /// The model whose shift is subtracted.
    pub minus: String,
    /// What both are compared with.
    pub to: String,
}

impl BetweenModels {
    /// Whether one of the two wrote a response set.
    pub fn is_writer(&self, generation_model: &str) -> bool {
        [&self.model, &self.minus].iter().any(|model| *model == generation_model)
    }

    /// Whether a pair is one of the two, on its own text, and what both are compared with.
    pub fn is_pair(&self, generation_model: &str, p: &str, q: &str) -> bool {
        self.is_writer(generation_model) && p == generation_model && q == self.to
    }
}
