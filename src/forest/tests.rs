use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::made;

/// A sample over `ids` whose response begins at `response`.
pub fn sample(ids: Vec<u32>, response: usize) -> Sample {
    made::sample(0, ids, response as u32)
}

/// Samples over a tiny alphabet grown from a few stems, so that prefixes, duplicates and proper prefixes occur.
fn samples() -> impl Strategy<Value = Vec<Sample>> {
    let stem = proptest::collection::vec(0_u32..3, 0..40);
    let tail = proptest::collection::vec(0_u32..2, 0..24);
    (proptest::collection::vec(stem, 1..4), proptest::collection::vec((0_usize..4, tail, 0_usize..50), 1..12)).prop_map(
        |(stems, tails)| {
            let made = tails.into_iter().map(|(stem, tail, response)| {
                let mut ids = stems[stem % stems.len()].clone();
                ids.extend(tail);
                ids.push(9);
                let response = response.min(ids.len() - 1);
                sample(ids, response)
            });
            made.collect()
        },
    )
}

fn path_tokens(forest: &Forest, row: usize) -> Vec<u32> {
    let segment = forest.segments.iter().position(|s| s.rows.contains(&row)).unwrap();
    let mut tokens: Vec<u32> =
        forest.path(segment).iter().flat_map(|&s| forest.tokens[forest.segments[s].rows.clone()].to_vec()).collect();
    let end = forest.segments[segment].depth + row - forest.segments[segment].rows.start + 1;
    tokens.truncate(end);
    tokens
}

proptest! {
    #[test]
    fn every_target_is_read_after_exactly_its_own_prefix(samples in samples(), budget in 1_usize..200) {
        let refs: Vec<&Sample> = samples.iter().collect();
        let forests = pack(&refs, budget);
        let mut seen = vec![0; samples.len()];
        for forest in &forests {
            prop_assert_eq!(forest.tokens.len(), forest.positions.len());
            for (index, range) in &forest.samples {
                seen[*index] += 1;
                let sample = &samples[*index];
                prop_assert_eq!(range.len(), sample.scored_tokens().count());
                for (target, token) in forest.targets[range.clone()].iter().zip(sample.scored_tokens()) {
                    let at = token.index as usize;
                    prop_assert_eq!(target.token, sample.ids[at]);
                    prop_assert_eq!(path_tokens(forest, target.row), &sample.ids[..at]);
                    prop_assert_eq!(forest.positions[target.row] as usize, at - 1);
                }
            }
            prop_assert!(forest.read.is_sorted_by(|a, b| a < b));
            let wanted: BTreeSet<usize> =
                forest.targets.iter().map(|t| t.row).chain(forest.ends.iter().copied().flatten()).collect();
            prop_assert_eq!(forest.read.len(), wanted.len());
            prop_assert!(wanted.iter().all(|&row| forest.read[forest.place(row)] == row));
            for ((index, _), end) in forest.samples.iter().zip(&forest.ends) {
                let last = samples[*index].tokens.last().map(|token| token.index as usize);
                prop_assert_eq!(end.map(|row| path_tokens(forest, row).len()), last.map(|index| index + 1));
            }
            for (i, s) in forest.segments.iter().enumerate() {
                prop_assert!(!s.rows.is_empty());
                prop_assert_eq!(s.depth, s.parent.map_or(0, |p| forest.segments[p].depth + forest.segments[p].rows.len()));
                prop_assert!(s.parent.is_none_or(|p| p < i));
            }
            prop_assert!(forest.samples.len() == 1 || forest.tokens.len() <= budget, "{} tokens", forest.tokens.len());
        }
        prop_assert!(seen.iter().all(|&n| n == 1), "each sample in one forest: {seen:?}");
    }
}

#[test]
fn rollouts_share_their_prompt_once() {
    let prompt: Vec<u32> = (0..100).collect();
    let rollouts: Vec<Sample> = (0..8).map(|i| sample([&prompt[..], &[200 + i; 10]].concat(), 100)).collect();
    let refs: Vec<&Sample> = rollouts.iter().collect();
    let forests = pack(&refs, 4096);
    assert_eq!(forests.len(), 1);
    assert_eq!(forests[0].tokens.len(), 100 + 8 * 10);
    assert_eq!(forests[0].given, 8 * 110);
    let first_tokens = forests[0].targets.iter().filter(|t| t.row == 99).count();
    assert_eq!(first_tokens, 8, "the prompt's last row is read for each rollout's first token");
}

#[test]
fn short_common_prefixes_are_not_split() {
    let samples: Vec<Sample> = (0..3).map(|i| sample([&[1; MIN_SHARED - 1][..], &[10 + i; 30]].concat(), 5)).collect();
    let refs: Vec<&Sample> = samples.iter().collect();
    let forest = &pack(&refs, 4096)[0];
    assert_eq!(forest.segments.len(), 3);
    assert!(forest.segments.iter().all(|s| s.parent.is_none()));
}

/// Prefixes of 15 tokens are computed again for each row, and branches of one token need a block of keys each: neither makes
/// a forest larger than its budget.
#[test]
fn many_short_rows_keep_the_budget() {
    for common in [MIN_SHARED - 1, MIN_SHARED] {
        let samples: Vec<Sample> =
            (0..256).map(|i| sample([&vec![1; common][..], &[10 + i][..]].concat(), 5)).collect();
        let forests = pack(&samples.iter().collect::<Vec<_>>(), 256);
        let blocks = |forest: &Forest| forest.segments.len() * TOKENS_A_BLOCK;
        assert!(forests.iter().all(|forest| forest.tokens.len().max(blocks(forest)) <= 256));
        assert!(forests.len() <= 18, "{} forests", forests.len());
    }
}

/// 64 prompts with 8 answers each, as rollouts are: what is computed, and that no prompt is computed twice.
#[test]
fn groups_with_a_common_prefix_stay_together() {
    let ids = |prompt: u32, answer: u32| -> Vec<u32> {
        (0..500)
            .map(|i| 1000 * prompt + i)
            .chain((0..100).map(|i| 1_000_000 + 1000 * answer + 10 * prompt + i % 7))
            .collect()
    };
    let samples: Vec<Sample> = (0..64).flat_map(|p| (0..8).map(move |a| sample(ids(p, a), 100))).collect();
    let forests = pack(&samples.iter().collect::<Vec<_>>(), 4096);
    let computed: usize = forests.iter().map(|forest| forest.tokens.len()).sum();
    assert_eq!(forests.iter().map(|forest| forest.given).sum::<usize>(), 64 * 8 * 600);
    assert_eq!(computed, 64 * (500 + 8 * 100));
    assert!(forests.len() <= 22, "{} forests of three groups", forests.len());
}
