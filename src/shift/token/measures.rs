//! The measures of one joined token: the list of measures and terms, and each as a function of the token's values.
//!
//! Owns each measure's name, unit and formula (docs/measures.md). Not here: the reference as column expressions
//! (`expressions`), sums (`query`) and means (`stats`).

use polars::prelude::Expr;
use polars_plan::utils::expr_to_leaf_column_names;

use super::columns::{P, Q, TOP_ID, x};
use super::expressions::{
    a, b, change, d, delta_p, followed, log2_rank_ratio, map, marginal, own_text, place, same_top, shifted, unclassed,
    unshifted,
};
use super::lists::{self, LISTS};
use super::seen::Token;
use crate::schema::{Divergence, token};
use crate::shift::numbers::math::{log2_of_rank, phi, study_log_of};

/// The measure that a pairs table has of a divergence.
macro_rules! divergence {
    ($name:ident, $unit:expr) => {
        measure(
            Divergence::$name.column(),
            $unit,
            || x(Divergence::$name.column()),
            |token| token.divergence(Divergence::$name),
        )
    };
}

/// A number of each joined token, null where a side lacks what it needs.
pub struct Measure {
    pub name: &'static str,
    /// Of both means; a sum over a response is in nats/response.
    pub unit: &'static str,
    /// Of the joined columns: the definition.
    pub value: fn() -> Expr,
    /// Of a token's values: the same, bit by bit, where a pass goes over whole tables.
    pub of: fn(&Token) -> Option<f64>,
    /// Its sum over a response means something (nats a response).
    pub is_per_response: bool,
    /// Quantiles of it over tokens are given.
    pub has_quantiles: bool,
    /// Slices have its means.
    pub is_in_slices: bool,
    /// Two Qs are compared by it.
    pub is_in_differences: bool,
}

const fn measure(
    name: &'static str,
    unit: &'static str,
    value: fn() -> Expr,
    of: fn(&Token) -> Option<f64>,
) -> Measure {
    let (is_per_response, has_quantiles, is_in_slices, is_in_differences) = (false, false, false, false);
    Measure { name, unit, value, of, is_per_response, has_quantiles, is_in_slices, is_in_differences }
}

impl Measure {
    const fn per_response(self) -> Self {
        Self { is_per_response: true, ..self }
    }

    const fn with_quantiles(self) -> Self {
        Self { has_quantiles: true, ..self }
    }

    const fn in_slices(self) -> Self {
        Self { is_in_slices: true, ..self }
    }

    const fn in_differences(self) -> Self {
        Self { is_in_differences: true, ..self }
    }

    /// Whether it is computed of a column of the tokens tables.
    pub fn needs(&self, column: &str) -> bool {
        let leaves = expr_to_leaf_column_names(&(self.value)());
        leaves.iter().any(|leaf| leaf.strip_prefix(P).or(leaf.strip_prefix(Q)) == Some(column))
    }

    /// Whether the lists of most likely tokens are needed.
    pub fn needs_lists(&self) -> bool {
        self.needs(TOP_ID) || expr_to_leaf_column_names(&(self.value)()).iter().any(|leaf| leaf == LISTS)
    }
}

const NATS: &str = "nats/token";
/// The unit of a share.
pub const SHARE: &str = "share";

/// Every measure, in the order in which summaries list them. a = ln p(t), b = ln q(t), d = b − a.
pub const ALL: &[Measure] = &[
    divergence!(Kl, NATS).per_response().with_quantiles().in_slices().in_differences(),
    divergence!(KlReverse, NATS).per_response().with_quantiles().in_slices(),
    divergence!(Js, NATS).with_quantiles().in_slices(),
    divergence!(Tv, "probability").with_quantiles().in_slices(),
    measure("kl_k1", NATS, || a() - b(), |t| Some(t.a()? - t.b()?))
        .per_response()
        .with_quantiles()
        .in_slices()
        .in_differences(),
    measure("kl_k3", NATS, || map(d(), "phi", phi), |t| t.d().map(phi)).with_quantiles().in_slices().in_differences(),
    measure("kl_lower", NATS, || lists::number(lists::KL_LOWER), |t| t.list(lists::KL_LOWER)).in_slices(),
    measure("kl_upper", NATS, || lists::number(lists::KL_UPPER), |t| t.list(lists::KL_UPPER)).in_slices(),
    measure("ratio", "q/p", || map(d(), "exp", f64::exp), |t| t.d().map(f64::exp)),
    measure("delta_logprob", NATS, d, |t| Some(t.b()? - t.a()?)).with_quantiles().in_differences(),
    measure("delta_entropy", NATS, || change(token::ENTROPY), |t| Some(t.q.entropy? - t.p.entropy?)).in_slices(),
    measure("delta_p", "probability", delta_p, |t| Some(t.q.probability? - t.p.probability?))
        .with_quantiles()
        .in_slices(),
    measure("rank_shift", "ranks", || change(token::RANK), |t| Some(f64::from(t.q.rank?) - f64::from(t.p.rank?)))
        .with_quantiles(),
    measure("log2_rank_ratio", "doublings", log2_rank_ratio, |t| {
        Some(log2_of_rank(t.q.rank?) - log2_of_rank(t.p.rank?))
    })
    .in_slices(),
    measure("same_top", SHARE, same_top, |t| Some(share(t.p.top_id? == t.q.top_id?))).in_slices(),
    measure("overlap", SHARE, || lists::number(lists::OVERLAP), |t| t.list(lists::OVERLAP)),
    measure("shift_class.unshifted", SHARE, || unshifted(place()), |t| t.list(lists::PLACE).map(is_unshifted)),
    measure("shift_class.marginal", SHARE, || marginal(place()), |t| t.list(lists::PLACE).map(is_marginal)),
    measure("shift_class.shifted", SHARE, || shifted(place()), |t| t.list(lists::PLACE).map(is_shifted)).in_slices(),
    measure("shift_class_token.unshifted", SHARE, || unshifted(followed()), |t| t.followed().map(is_unshifted)),
    measure("shift_class_token.marginal", SHARE, || marginal(followed()), |t| t.followed().map(is_marginal)),
    measure("shift_class_token.shifted", SHARE, || shifted(followed()), |t| t.followed().map(is_shifted)),
    measure("shift_class_token.unclassed", SHARE, unclassed, |t| t.p.rank.map(|rank| share(rank != 1))),
    measure(OWN_TEXT, NATS, own_text, |t| Some(t.a()? + t.p.entropy?)),
];

/// What is added up for every token in addition to the measures.
#[derive(Clone, Copy)]
pub struct Term {
    pub name: &'static str,
    pub of: fn(&Token) -> Option<f64>,
}

/// The study's term; each side's log-probability; a², b², a·b and (e^b − e^a)², which correlations and root mean squares
/// add up.
pub const TERMS: [Term; 7] = [
    Term { name: STUDY, of: study_of },
    Term { name: LOGPROBS[0], of: |t| t.a() },
    Term { name: LOGPROBS[1], of: |t| t.b() },
    Term { name: SQUARES[0], of: |t| t.a().map(|a| a * a) },
    Term { name: SQUARES[1], of: |t| t.b().map(|b| b * b) },
    Term { name: SQUARES[2], of: |t| Some(t.a()? * t.b()?) },
    Term { name: SQUARES[3], of: |t| t.delta_p().map(|d| d * d) },
];

/// Everything that is added up for a token whose tables are without or with exact measures.
pub fn terms(has_exact: bool) -> Vec<Term> {
    let measures = ALL.iter().filter(|measure| has_exact || !is_of_pairs(measure.name));
    measures.map(|measure| Term { name: measure.name, of: measure.of }).chain(TERMS).collect()
}

/// Names of [`TERMS`].
pub const STUDY: &str = "study";
pub const LOGPROBS: [&str; 2] = ["p_logprob", "q_logprob"];
pub const SQUARES: [&str; 4] = ["p_logprob_squared", "q_logprob_squared", "logprob_product", "delta_p_squared"];

/// [`study`](super::expressions::study) of a token.
fn study_of(token: &Token) -> Option<f64> {
    if token.position < token.study_from || token.p.is_end {
        return None;
    }
    Some(study_log_of(token.p.probability?) - study_log_of(token.q.probability?))
}

fn share(is: bool) -> f64 {
    f64::from(u8::from(is))
}

fn is_unshifted(place: f64) -> f64 {
    share(place == 1.0)
}

fn is_marginal(place: f64) -> f64 {
    share(place > 1.0 && place <= 3.0)
}

fn is_shifted(place: f64) -> f64 {
    share(place > 3.0)
}

/// Whether a missing pairs table means that the measure was not requested, rather than that it has no value.
pub fn is_of_pairs(name: &str) -> bool {
    Divergence::ALL.iter().any(|divergence| divergence.column() == name)
}

/// ln p(t) + H(P), whose expectation is 0 at every position of a text that P sampled at temperature 1.
pub const OWN_TEXT: &str = "logprob_plus_entropy_p";

/// Guaranteed bounds on KL(P‖Q), on any text.
pub const KL_BOUNDS: [&str; 2] = ["kl_lower", "kl_upper"];
