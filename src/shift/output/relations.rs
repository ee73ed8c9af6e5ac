//! Kept fields and the shift of responses, as text for a terminal.
//!
//! Owns this block of lines. Not here: the computation (`figures`).

use super::cells::cells;
use super::layout::{Column, Give, Grid, wrapped};
use super::marks::{legend, mark};
use crate::shift::numbers::relation::Relation;
use crate::shift::result::kl_estimate::of_measure;
use crate::shift::result::relation::FieldRelation;

/// Two lines a field and measure, and an empty one; nothing if there are none.
pub fn relations(fields: &[FieldRelation], width: usize) -> Vec<String> {
    if fields.is_empty() {
        return Vec::new();
    }
    let columns = [
        ("by response", Give::Name),
        ("of", Give::Name),
        ("slope ± s.e. per 1", Give::Never),
        ("95% interval", Give::Drop(1)),
        ("correlation ± s.e.", Give::Never),
        ("95% interval", Give::Drop(1)),
    ];
    let columns = columns.map(|(head, give)| Column::new(head, give)).to_vec();
    let mut rows = Vec::new();
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
    let caveats = caveats.iter().flat_map(|line| wrapped(line, width, 2));
    let lines = Grid { columns, rows }.fitted(width).with_left_out(width);
    lines.into_iter().chain(caveats).chain([String::new()]).collect()
}
