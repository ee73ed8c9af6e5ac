//! Notes about the two runs of a comparison.
//!
//! Owns what manifests alone say: contexts, summation order, vocabularies, ranks. Not here: opening tables.

use crate::store::{FoundCell, IMPORT};

/// The notes on a pair.
pub fn of(p: &FoundCell, q: &FoundCell) -> Vec<String> {
    let notes = [own_note(p), vocabulary_note("P", p), vocabulary_note("Q", q), rank_note(p, q), arithmetic_note(p, q)];
    notes.into_iter().flatten().collect()
}

/// That contexts differ by intent.
pub const OWN_CONTEXTS: &str = "contexts differ: each model read its own chat template";

fn own_note(p: &FoundCell) -> Option<String> {
    p.manifest.tokens.has_own_templates().then(|| OWN_CONTEXTS.to_owned())
}

/// Two processors that sum in other ways differ without any shift. (Of two types that is what is measured.)
fn arithmetic_note(p: &FoundCell, q: &FoundCell) -> Option<String> {
    let [of_p, of_q] = [p, q].map(|found| &found.manifest.engine);
    if of_p.dtype != of_q.dtype || [of_p, of_q].iter().any(|engine| engine.name == IMPORT) {
        return None;
    }
    if of_p.device != of_q.device {
        let (of_p, of_q) = (&of_p.device, &of_q.device);
        return Some(format!(
            "P was scored on {of_p}, Q on {of_q}: bf16 models differ by some 0.02 nats per token between them"
        ));
    }
    let (of_p, of_q) = of_p.arithmetic.as_ref().zip(of_q.arithmetic.as_ref()).filter(|(of_p, of_q)| of_p != of_q)?;
    Some(format!(
        "P was scored with the summation order {of_p}, Q with {of_q}: bf16 models differ by some 0.02 nats per token between \
         them (TOKSHIFT_CPU={of_p} selects the order of P on a processor that has it)"
    ))
}

/// Ids that a model's own tokenizer has for other texts: `score` lets a few through.
fn vocabulary_note(model: &str, found: &FoundCell) -> Option<String> {
    let ids: Vec<String> = found.manifest.engine.other_texts.iter().map(u32::to_string).collect();
    let described = || {
        format!(
            "{model}'s own tokenizer has other texts for the ids {}, which stand for the text's here",
            ids.join(", ")
        )
    };
    (!ids.is_empty()).then(described)
}

/// Ranks that were not counted alike differ without any shift.
fn rank_note(p: &FoundCell, q: &FoundCell) -> Option<String> {
    let (of_p, of_q) = (&p.manifest.engine.rank_rule, &q.manifest.engine.rank_rule);
    (of_p != of_q).then(|| format!("measures of rank mix two rules: P's ranks are {of_p}, Q's are {of_q}"))
}
