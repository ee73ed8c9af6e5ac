//! Cells that cannot be read, and the pairs that they would be of.
//!
//! Owns what is said of these. Refuses to let them be in the way of pairs of other models.

use super::Options;
use super::comparison::NotCompared;
use super::select::is_wanted;
use crate::store::{Cell, DamagedCell, FoundCell};

/// The pairs that damaged cells would be of; the texts whose P is among them leave `cells`.
pub(super) fn set_apart(cells: &mut Vec<FoundCell>, damaged: &[DamagedCell], options: &Options) -> Vec<NotCompared> {
    let mut not_compared = Vec::new();
    for DamagedCell { cell, error } in damaged.iter().filter(|damaged| is_wanted(&damaged.cell, options)) {
        let same_text = |other: &Cell| (&other.generation_model, &other.task) == (&cell.generation_model, &cell.task);
        let p = options.reference.as_ref().unwrap_or(&cell.generation_model);
        let mut add = |q: &str| {
            not_compared.push(NotCompared {
                generation_model: cell.generation_model.clone(),
                task: cell.task.clone(),
                p: p.clone(),
                q: q.to_owned(),
                why: error.to_string(),
                failed: true,
            });
        };
        if *p == cell.model {
            cells.iter().filter(|found| same_text(&found.cell)).for_each(|found| add(&found.cell.model));
            cells.retain(|found| !same_text(&found.cell));
        } else {
            add(&cell.model);
        }
    }
    not_compared
}
