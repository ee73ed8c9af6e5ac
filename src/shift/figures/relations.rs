//! Kept fields of numbers, such as a reward, and the shift of responses.
//!
//! Owns which numbers are related. Not here: slope and correlation (`relation`), and the fields (`fields`).

use crate::error::Result;
use crate::schema::pair::KL;
use crate::shift::numbers::relation::{Point, relation};
use crate::shift::pass::sums::Sums;
use crate::shift::result::kl_estimate::KlEstimate;
use crate::shift::result::relation::{FieldRelation, MeasureRelation};
use crate::shift::tables::fields::{self, DecidedBy};
use crate::shift::tables::files::PairTables;
use crate::shift::token::measures;

/// What a field is related with: the exact KL if there is a pairs table, and k1.
const MEASURES: [&str; 2] = [KL, "kl_k1"];

/// Every kept field of numbers or flags that varies. `estimate` is the pair's.
pub fn of_pair(tables: &PairTables, sums: &Sums, estimate: &KlEstimate) -> Result<Vec<FieldRelation>> {
    let mut found = Vec::new();
    for name in &tables.p.kept {
        let Some((numbers, decided_by)) = fields::numbers(&tables.p, name, &sums.facts)? else { continue };
        let mut measures = Vec::new();
        for measure in MEASURES {
            measures.extend(of_measure(measure, &numbers, sums)?);
        }
        if !measures.is_empty() {
            found.push(FieldRelation {
                field: name.clone(),
                kl_estimate: of_field(name, decided_by, estimate),
                measures,
            });
        }
    }
    Ok(found)
}

/// The expectation of k1 is KL over all of P's samples, not over those of one value that their own text decides.
fn of_field(name: &str, decided_by: DecidedBy, estimate: &KlEstimate) -> KlEstimate {
    match decided_by {
        DecidedBy::Prompt => estimate.clone(),
        DecidedBy::Response => estimate.of_selected(&format!("field.{name} depends on the responses")),
        DecidedBy::Either => estimate
            .of_chosen_somehow(&format!("nothing shows whether field.{name} is of the prompt or of what was sampled")),
    }
}

/// `None` if neither the mean nor the sum of any response goes with the field.
fn of_measure(name: &str, numbers: &[Option<f64>], sums: &Sums) -> Result<Option<MeasureRelation>> {
    let samples = sums.of(name)?;
    let points = |of: fn(f64, u64) -> f64| -> Vec<Point> {
        let rows = sums.facts.iter().zip(numbers).zip(&samples).filter(|(_, (_, n))| *n > 0);
        rows.filter_map(|((facts, number), (sum, n))| Some((facts.cluster, (*number)?, of(*sum, *n)))).collect()
    };
    let [per_token, per_response] =
        [points(|sum, n| sum / n as f64), points(|sum, _| sum)].map(|points| relation(sums.clusters, &points));
    let unit = measures::ALL.iter().find(|m| m.name == name).map_or("", |m| m.unit);
    let is_any = per_token.is_some() || per_response.is_some();
    Ok(is_any.then(|| MeasureRelation { name: name.to_owned(), unit: unit.to_owned(), per_token, per_response }))
}
