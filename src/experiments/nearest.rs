//! The known name that a misspelt one most likely means.
//!
//! Owns that guess, which only words a message. Not here: what is done with a name.

/// The name among `known` that differs from `name` in the fewest letters, if these are few; or that is the beginning of the
/// other.
pub fn nearest<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    let normal = |text: &str| text.to_lowercase().replace('-', "_");
    let name = normal(name);
    let distances = known.map(|known| (distance(&name, &normal(known)), known));
    let (distance, known) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1.max(name.chars().count() / 3)).then_some(known)
}

/// The number of letters to insert, delete or replace, at least, to make `b` of `a`.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_has_a_neighbour_and_another_word_has_none() {
        let of = |name: &str| nearest(name, ["experiment", "top_k", "keep_fields", "end"].into_iter());
        assert_eq!(of("experiments"), Some("experiment"));
        assert_eq!(of("keep-fields"), Some("keep_fields"));
        assert_eq!(of("topk"), Some("top_k"));
        assert_eq!(of("ende"), Some("end"));
        assert_eq!((of("colour"), of("x")), (None, None));
    }
}
