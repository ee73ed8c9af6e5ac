//! Columns that a user picks for a table: their names, their heads, their cells.
//!
//! Owns the cells as values, before any format. Not here: formats (`export`), and the table that is shown unless columns
//! are picked (`overview`).

use std::collections::BTreeMap;

use super::statistic::{PERPLEXITY_RATIO, Statistic};
use super::summary::{Kl, Of};
use crate::error::{Error, Result};
use crate::schema::pair::KL;
use crate::shift::numbers::stats::Estimate;
use crate::shift::result::kl_estimate::{KlEstimate, of_measure};

/// A column of statistics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pick(What);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// The exact KL, else k1 where it may estimate KL.
    Best,
    /// The guaranteed bounds.
    Bounds,
    Statistic(Statistic),
    Samples,
    Tokens,
    Clusters,
    /// Of Q's files.
    Size,
}

/// Columns that are no statistic of a measure, by name.
const NAMES: [(&str, What); 6] = [
    ("best_kl", What::Best),
    ("bounds", What::Bounds),
    ("samples", What::Samples),
    ("tokens", What::Tokens),
    ("clusters", What::Clusters),
    ("size", What::Size),
];

/// What stands in a cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Cell {
    Missing,
    Mean(Estimate),
    Share(Estimate),
    Bounds(f64, Option<f64>),
    Count(u64),
    Bytes(u64),
}

/// A cell, and whether its value estimates KL.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Marked<'a> {
    pub cell: Cell,
    /// What is said of the value, if it is k1 or k3.
    pub estimate: Option<&'a KlEstimate>,
    /// It is k1 in place of the exact KL.
    pub is_k1: bool,
}

impl Pick {
    /// The column of this name: a statistic as limits name it (`kl.q0.99`), `best_kl`, `bounds`, `samples`, `tokens`,
    /// `clusters` or `size`.
    ///
    /// # Errors
    /// [`Error::Usage`] if there is none, with the names of those there are.
    pub fn of_name(name: &str) -> Result<Self> {
        if let Some((_, what)) = NAMES.iter().find(|(known, _)| *known == name) {
            return Ok(Self(*what));
        }
        let others: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
        let statistic =
            Statistic::of_name(name).map_err(|error| Error::Usage(format!("{error}; or {}", others.join(", "))))?;
        Ok(Self(What::Statistic(statistic)))
    }

    /// What a table has unless columns are picked.
    pub fn usual(rows: &[Of]) -> Vec<Self> {
        let shown = ["best_kl", "bounds", "same_top", "shift_class.shifted", "clusters"];
        let is_exact = rows.iter().all(|of| matches!(of.kl(), Kl::Exact(_)));
        let shown = shown.into_iter().filter(|name| *name != "bounds" || !is_exact);
        shown.filter_map(|name| Self::of_name(name).ok()).collect()
    }

    /// What a model card of a quantised model has.
    pub fn of_card() -> Vec<Self> {
        ["size", KL, "kl.q0.99", "kl.q0.999", "same_top", PERPLEXITY_RATIO]
            .into_iter()
            .filter_map(|name| Self::of_name(name).ok())
            .collect()
    }

    /// Whether it needs quantiles, which are computed on request.
    pub fn is_quantile(self) -> bool {
        matches!(self.0, What::Statistic(statistic) if statistic.is_quantile())
    }

    /// Whether it is the size of a model's files, which the tables do not contain.
    pub fn is_size(self) -> bool {
        self.0 == What::Size
    }

    /// Whether a cell of it is one number.
    pub fn is_one(self) -> bool {
        matches!(self.0, What::Samples | What::Tokens | What::Clusters | What::Size)
    }

    /// Its name, as it is picked.
    pub fn name(self) -> String {
        match self.0 {
            What::Statistic(statistic) => statistic.name(),
            what => NAMES.iter().find(|(_, known)| *known == what).map_or("", |(name, _)| name).to_owned(),
        }
    }

    /// Its head for people.
    pub fn head(self) -> String {
        match self.0 {
            What::Best => "KL(P‖Q)".to_owned(),
            What::Bounds => "bounds on KL".to_owned(),
            What::Samples | What::Tokens | What::Clusters | What::Size => self.name(),
            What::Statistic(statistic) => {
                let of = match statistic.of {
                    KL => "KL(P‖Q)",
                    "kl_reverse" => "KL(Q‖P)",
                    "same_top" => "same top",
                    "shift_class.shifted" => "shifted",
                    PERPLEXITY_RATIO => "PPL(Q)/PPL(P)",
                    other => other,
                };
                let percent = |name: &str| name.strip_prefix('q').and_then(|at| at.parse::<f64>().ok());
                match statistic.quantile() {
                    // The digits that the name has, and no more: 0.999 is 99.9%.
                    Some(name) => percent(name)
                        .map_or_else(|| format!("{of} {name}"), |at| format!("{of} {}%", (at * 1e5).round() / 1e3)),
                    None => statistic.name().replacen(statistic.of, of, 1),
                }
            }
        }
    }

    /// Its cell in a row; sizes are those of models by name.
    pub fn cell<'a>(self, of: Of<'a>, sizes: &BTreeMap<String, u64>) -> Marked<'a> {
        let plain = |cell| Marked { cell, estimate: None, is_k1: false };
        let count = |count: Option<u64>| plain(count.map_or(Cell::Missing, Cell::Count));
        match (self.0, of) {
            (What::Best, _) => match of.kl() {
                Kl::Exact(mean) => plain(Cell::Mean(mean)),
                Kl::K1(mean) => Marked { cell: Cell::Mean(mean), estimate: Some(of.kl_estimate()), is_k1: true },
                Kl::Unknown => Marked { cell: Cell::Missing, estimate: Some(of.kl_estimate()), is_k1: true },
            },
            (What::Bounds, _) => plain(of.bounds().map_or(Cell::Missing, |(low, high)| Cell::Bounds(low, high))),
            (What::Samples, _) => count(of.samples()),
            (What::Tokens, Of::Pair(pair)) => count(Some(pair.tokens)),
            (What::Tokens, Of::Pooled(_)) => count(of.mean("kl_k1").map(|mean| mean.n)),
            (What::Clusters, _) => count(Some(of.clusters())),
            (What::Size, _) => plain(sizes.get(of.models()[1]).map_or(Cell::Missing, |bytes| Cell::Bytes(*bytes))),
            (What::Statistic(statistic), _) => {
                let estimate = of_measure(statistic.of, of.kl_estimate());
                let cell = if statistic.is_share() { Cell::Share } else { Cell::Mean };
                Marked { cell: statistic.value(of).map_or(Cell::Missing, cell), estimate, is_k1: false }
            }
        }
    }
}
