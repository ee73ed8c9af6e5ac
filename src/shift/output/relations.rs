//! Kept fields and the shift of responses, as text for a terminal.
//!
//! Owns this block of lines. Not here: the computation (`figures`).

use super::cells::{aligned, cells};
use super::marks::{legend, mark};
use crate::shift::numbers::relation::Relation;
use crate::shift::result::kl_estimate::of_measure;
use crate::shift::result::relation::FieldRelation;

/// Two lines a field and measure, and an empty one; nothing if there are none.
pub fn relations(fields: &[FieldRelation]) -> Vec<String> {
    if fields.is_empty() {
        return Vec::new();
    }
    let head = ["by response", "of", "slope ± s.e. per 1", "95% interval", "correlation ± s.e.", "95% interval"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for field in fields {
        for measure in &field.measures {
            let marked = of_measure(&measure.name, &field.kl_estimate).map_or("", mark);
            for (relation, unit) in
                [(measure.per_token, measure.unit.as_str()), (measure.per_response, "nats/response")]
            {
                let Some(Relation { slope, correlation }) = relation else { continue };
                let mut row = vec![format!("field.{}", field.field), format!("{}{marked} in {unit}", measure.name)];
                row.extend(cells(Some(slope)).into_iter().chain(cells(correlation)));
                rows.push(row);
            }
        }
    }
    let caveats = legend(fields.iter().map(|field| &field.kl_estimate));
    aligned(&rows, 2).into_iter().chain(caveats).chain([String::new()]).collect()
}
