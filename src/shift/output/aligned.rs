//! Aligned comparisons as text.

use super::cells::{aligned, cells};
use super::marks::named;
use super::warnings::incomplete;
use crate::escape::visible;
use crate::shift::result::aligned::AlignedPair;
use crate::shift::result::pair::title;

/// What every reader has to know.
const NOTE: &str =
    "each model by the one tokenisation of its own tokenizer; other spellings of a text have probability too\n";

/// One paragraph per pair.
pub fn aligned_table(pairs: &[AlignedPair]) -> String {
    pairs.iter().map(paragraph).collect::<Vec<_>>().join("\n") + NOTE
}

fn paragraph(pair: &AlignedPair) -> String {
    let title = title(&pair.p, &pair.q, &pair.task, &pair.generation_model);
    let counts = format!(
        "{} samples in {} clusters, {} spans of {} bytes; {} tokens of P, {} of Q, {} of both in no span",
        pair.samples, pair.clusters, pair.spans, pair.bytes, pair.tokens_p, pair.tokens_q, pair.left_out_tokens
    );
    let head = [title, counts].into_iter().chain(pair.partial.as_ref().map(incomplete));
    let mut rows = vec![["measure", "unit", "mean ± error", "95% interval"].map(str::to_owned).to_vec()];
    for measure in &pair.measures {
        let mut row = vec![named(&measure.name, &pair.kl_estimate), measure.unit.clone()];
        row.extend(cells(measure.mean));
        rows.push(row);
    }
    let notes = pair.notes.iter().map(|note| format!("note: {note}"));
    let lines = aligned(&rows, 2).into_iter().chain(notes).map(|line| visible(&line));
    head.chain(lines).map(|line| line + "\n").collect()
}
