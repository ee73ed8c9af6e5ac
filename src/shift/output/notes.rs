//! The notes of many pairs, each printed once.
//!
//! Owns which of them stand below a table of all pairs, and how pairs are named there. Not here: their texts.

use crate::shift::result::comparison::Comparison;
use crate::shift::result::pair::{Pair, few_clusters};

/// Names of pairs that one note gives.
const NAMES: usize = 3;

/// A pair in few words: its task and its models.
pub fn label(pair: &Pair) -> String {
    format!("{}, P = {}, Q = {}", pair.task, pair.p, pair.q)
}

/// Every note once, with the tasks or pairs that it is about unless that is all. What marks in the table say already is
/// left out.
pub fn of_all(comparison: &Comparison) -> Vec<String> {
    let mut found: Vec<(&str, Vec<&Pair>)> = Vec::new();
    for pair in &comparison.pairs {
        let marked = [pair.kl_estimate.note(), few_clusters(pair.clusters)];
        for note in pair.notes.iter().filter(|note| !marked.iter().flatten().any(|marked| marked == *note)) {
            match found.iter_mut().find(|(text, _)| text == note) {
                Some((_, pairs)) => pairs.push(pair),
                None => found.push((note, vec![pair])),
            }
        }
    }
    let mut groups: Vec<Vec<(&str, Vec<&Pair>)>> = Vec::new();
    for note in found {
        match groups.iter_mut().find(|group| without_numbers(group[0].0) == without_numbers(note.0)) {
            Some(group) => group.push(note),
            None => groups.push(vec![note]),
        }
    }
    groups.iter().flat_map(|group| lines(group, comparison)).collect()
}

fn without_numbers(text: &str) -> String {
    text.chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// Notes that differ in numbers alone: one line that ends with what they have in common, if they begin with the numbers.
fn lines(group: &[(&str, Vec<&Pair>)], comparison: &Comparison) -> Vec<String> {
    let of = |text: &str, pairs: &[&Pair]| format!("{}{text}", about(pairs, comparison));
    let parts: Option<Vec<(&str, &str)>> = group.iter().map(|(text, _)| text.split_once("; ")).collect();
    match parts {
        Some(parts) if group.len() > 1 && parts.iter().all(|(_, end)| *end == parts[0].1) => {
            let heads: Vec<_> = parts.iter().zip(group).map(|((head, _), (_, pairs))| of(head, pairs)).collect();
            vec![format!("note: {}; {}", heads.join("; "), parts[0].1)]
        }
        _ => group.iter().map(|(text, pairs)| format!("note: {}", of(text, pairs))).collect(),
    }
}

fn about(pairs: &[&Pair], comparison: &Comparison) -> String {
    if pairs.len() == comparison.pairs.len() {
        return String::new();
    }
    let text = |pair: &Pair| (pair.generation_model.clone(), pair.task.clone());
    let mut names = Vec::new();
    for of_text in pairs.chunk_by(|a, b| text(a) == text(b)) {
        let all = comparison.pairs.iter().filter(|pair| text(pair) == text(of_text[0])).count();
        if of_text.len() == all && all > 1 {
            names.push(of_text[0].task.clone());
        } else {
            names.extend(of_text.iter().map(|pair| label(pair)));
        }
    }
    let more = names.len().saturating_sub(NAMES);
    names.truncate(NAMES);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}: ", names.join("; "))
}
