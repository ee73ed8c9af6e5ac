//! What is computed of one joined token: the list of measures and terms, and each as a function of the token's values.
//!
//! Owns what a measure is called and in which unit, and its formula (docs/measures.md). Refuses columns: `expressions`
//! has the plain form. Refuses sums and means: `query` adds up, `stats` averages.

use polars::prelude::Expr;

use super::columns::x;
use super::expressions::{
    a, b, change, d, delta_p, followed, log2_rank_ratio, map, marginal, own_text, place, same_top, shifted, unclassed,
    unshifted,
};
use super::lists;
use super::seen::Token;
use crate::schema::{pair, token};
use crate::shift::numbers::math::{log2_of_rank, phi, study_log_of};

/// A number of each joined token, null where a side lacks what it needs.
pub struct Measure {
    pub name: &'static str,
    /// Of both means; a sum over a response is in nats/response.
    pub unit: &'static str,
    /// Of the joined columns: the plain form.
    pub value: fn() -> Expr,
    /// Of a token's values: the same, bit by bit, where a pass goes over whole tables.
    pub of: fn(&Token) -> Option<f64>,
    /// Its sum over a response means something (nats a response).
    pub per_response: bool,
}

/// Every measure, in the order in which summaries list them. a = ln p(t), b = ln q(t), d = b − a.
pub const ALL: [Measure; 24] = [
    Measure { name: "kl", unit: "nats/token", value: || x(pair::KL), of: |t| t.exact[0], per_response: true },
    Measure {
        name: "kl_reverse",
        unit: "nats/token",
        value: || x(pair::KL_REVERSE),
        of: |t| t.exact[1],
        per_response: true,
    },
    Measure { name: "js", unit: "nats/token", value: || x(pair::JS), of: |t| t.exact[2], per_response: false },
    Measure { name: "tv", unit: "probability", value: || x(pair::TV), of: |t| t.exact[3], per_response: false },
    Measure {
        name: "kl_k1",
        unit: "nats/token",
        value: || a() - b(),
        of: |t| Some(t.a()? - t.b()?),
        per_response: true,
    },
    Measure {
        name: "kl_k3",
        unit: "nats/token",
        value: || map(d(), "phi", phi),
        of: |t| t.d().map(phi),
        per_response: false,
    },
    Measure {
        name: "kl_lower",
        unit: "nats/token",
        value: || lists::number(lists::KL_LOWER),
        of: |t| t.list(lists::KL_LOWER),
        per_response: false,
    },
    Measure {
        name: "kl_upper",
        unit: "nats/token",
        value: || lists::number(lists::KL_UPPER),
        of: |t| t.list(lists::KL_UPPER),
        per_response: false,
    },
    Measure {
        name: "ratio",
        unit: "q/p",
        value: || map(d(), "exp", f64::exp),
        of: |t| t.d().map(f64::exp),
        per_response: false,
    },
    Measure { name: "delta_logprob", unit: "nats/token", value: d, of: |t| t.d(), per_response: false },
    Measure {
        name: "delta_entropy",
        unit: "nats/token",
        value: || change(token::ENTROPY),
        of: |t| Some(t.q.entropy? - t.p.entropy?),
        per_response: false,
    },
    Measure { name: "delta_p", unit: "probability", value: delta_p, of: |t| t.delta_p(), per_response: false },
    Measure {
        name: "rank_shift",
        unit: "ranks",
        value: || change(token::RANK),
        of: |t| Some(f64::from(t.q.rank?) - f64::from(t.p.rank?)),
        per_response: false,
    },
    Measure {
        name: "log2_rank_ratio",
        unit: "doublings",
        value: log2_rank_ratio,
        of: |t| Some(log2_of_rank(t.q.rank?) - log2_of_rank(t.p.rank?)),
        per_response: false,
    },
    Measure {
        name: "same_top",
        unit: "share",
        value: same_top,
        of: |t| Some(share(t.p.top_id? == t.q.top_id?)),
        per_response: false,
    },
    Measure {
        name: "overlap",
        unit: "share",
        value: || lists::number(lists::OVERLAP),
        of: |t| t.list(lists::OVERLAP),
        per_response: false,
    },
    Measure {
        name: "shift_class.unshifted",
        unit: "share",
        value: || unshifted(place()),
        of: |t| t.list(lists::PLACE).map(|place| share(place == 1.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class.marginal",
        unit: "share",
        value: || marginal(place()),
        of: |t| t.list(lists::PLACE).map(|place| share(place > 1.0 && place <= 3.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class.shifted",
        unit: "share",
        value: || shifted(place()),
        of: |t| t.list(lists::PLACE).map(|place| share(place > 3.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class_token.unshifted",
        unit: "share",
        value: || unshifted(followed()),
        of: |t| t.followed().map(|rank| share(rank == 1.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class_token.marginal",
        unit: "share",
        value: || marginal(followed()),
        of: |t| t.followed().map(|rank| share(rank > 1.0 && rank <= 3.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class_token.shifted",
        unit: "share",
        value: || shifted(followed()),
        of: |t| t.followed().map(|rank| share(rank > 3.0)),
        per_response: false,
    },
    Measure {
        name: "shift_class_token.unclassed",
        unit: "share",
        value: unclassed,
        of: |t| t.p.rank.map(|rank| share(rank != 1)),
        per_response: false,
    },
    Measure {
        name: OWN_TEXT,
        unit: "nats/token",
        value: own_text,
        of: |t| Some(t.a()? + t.p.entropy?),
        per_response: false,
    },
];

/// What is added up of every token beside the measures.
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

/// Those that come from full distributions: where there is no pairs table, no token has them.
pub const OF_PAIRS: [&str; 4] = [pair::KL, pair::KL_REVERSE, pair::JS, pair::TV];

/// Whether no pairs table means that nobody asked for the measure, not that it has no value.
pub fn is_of_pairs(name: &str) -> bool {
    OF_PAIRS.contains(&name)
}

/// ln p(t) + H(P), whose expectation is 0 at every position of a text that P sampled at temperature 1.
pub const OWN_TEXT: &str = "logprob_plus_entropy_p";

/// Guaranteed bounds on KL(P‖Q), on any text.
pub const KL_BOUNDS: [&str; 2] = ["kl_lower", "kl_upper"];
