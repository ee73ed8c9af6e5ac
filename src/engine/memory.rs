//! Batch sizes that fit into memory.
//!
//! Owns the reaction to an out-of-memory error: retry the unscored samples in smaller batches, and fail a sample that
//! does not fit in a batch of its own. Memory use is not predicted, because only the allocator knows it. This works
//! where allocation returns an error (GPU memory); if host memory runs out, the operating system kills the process.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::engine::{Scored, TokenScores};
use crate::error::{Error, Result};
use crate::forest::Forest;
use crate::sample::Sample;

/// Takes the scores of a sample, by its index among those that were packed.
pub type Hand<'a> = dyn FnMut(usize, std::result::Result<TokenScores, String>) -> Result<()> + 'a;

/// Hands every sample's scores to `sink` once. `score` is given what `pack` makes of about `batch_tokens` tokens; when one does not
/// fit, half of its tokens is the limit from then on, for later jobs too. Gives the tokens computed, in vain ones aside.
///
/// # Errors
/// Those of `score`, but for memory, and of `sink`.
pub fn score_in_batches(
    samples: &[&Sample],
    batch_tokens: &AtomicUsize,
    pack: impl Fn(&[&Sample], usize) -> Vec<Forest>,
    score: impl Fn(&Forest, &mut Hand) -> Result<()>,
    sink: &mut dyn FnMut(Scored) -> Result<()>,
) -> Result<usize> {
    let mut owed: Vec<usize> = (0..samples.len()).collect();
    let mut computed = 0;
    while !owed.is_empty() {
        let limit = batch_tokens.load(Ordering::Relaxed);
        let packed: Vec<&Sample> = owed.iter().map(|&index| samples[index]).collect();
        let mut handed = vec![false; packed.len()];
        for forest in pack(&packed, limit) {
            let mut hand = |place: usize, scores| {
                handed[place] = true;
                sink(Scored { index: owed[place], scores })
            };
            match score(&forest, &mut hand) {
                Err(error) if is_out_of_memory(&error) => {}
                outcome => {
                    outcome?;
                    computed += forest.tokens.len();
                    continue;
                }
            }
            if let [(place, _)] = forest.samples[..] {
                let tokens = packed[place].ids.len();
                hand(
                    place,
                    Err(format!("out of memory: its {tokens} tokens do not fit even in a batch of their own")),
                )?;
            } else {
                let fewer = forest.tokens.len().min(limit) / 2;
                tracing::warn!("out of memory at {} tokens: continuing with {fewer} at once", forest.tokens.len());
                // Another job may have gone lower meanwhile.
                batch_tokens.fetch_min(fewer, Ordering::Relaxed);
                break;
            }
        }
        let mut handed = handed.into_iter();
        owed.retain(|_| handed.next() == Some(false));
    }
    Ok(computed)
}

/// Whether a tensor could not be allocated. Backends have no common error for it; CUDA's driver and cuBLAS say it so.
fn is_out_of_memory(error: &Error) -> bool {
    let Error::Tensor(error) = error else { return false };
    let text = error.to_string().to_lowercase();
    ["out of memory", "out_of_memory", "alloc_failed"].iter().any(|words| text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::forest::pack;
    use crate::made;

    /// Samples of these lengths in tokens, no two with a common prefix.
    fn samples(lengths: &[u32]) -> Vec<Sample> {
        let sample = |(id, &length): (usize, &u32)| {
            let ids = (0..length).map(|i| 1000 * id as u32 + i).collect();
            made::sample(id as u32, ids, 1)
        };
        lengths.iter().enumerate().map(sample).collect()
    }

    fn tensor_error(text: &str) -> Error {
        Error::Tensor(candle_core::Error::Msg(text.to_owned()))
    }

    /// Scores `lengths` with a memory for `fits` tokens that runs out after the first sample of a forest, as it may in the
    /// middle of the head: every sample's reason, if it failed, and the limit in the end.
    fn run(lengths: &[u32], limit: usize, fits: usize) -> (Vec<Option<String>>, usize) {
        let samples = samples(lengths);
        let limit = AtomicUsize::new(limit);
        let mut answers = vec![None; samples.len()];
        let score = |forest: &Forest, hand: &mut Hand| {
            for (n, (place, _)) in forest.samples.iter().enumerate() {
                if forest.tokens.len() > fits && (n > 0 || forest.samples.len() == 1) {
                    return Err(tensor_error("DriverError(CUDA_ERROR_OUT_OF_MEMORY, \"out of memory\")"));
                }
                hand(*place, Ok(TokenScores::default()))?;
            }
            Ok(())
        };
        score_in_batches(&samples.iter().collect::<Vec<_>>(), &limit, pack, score, &mut |Scored { index, scores }| {
            assert_eq!(answers[index].replace(scores.err()), None, "sample {index} was handed twice");
            Ok(())
        })
        .unwrap();
        (answers.into_iter().map(|answer| answer.expect("a sample without an answer")).collect(), limit.into_inner())
    }

    #[test]
    fn a_batch_that_does_not_fit_is_halved_until_it_does() {
        let lengths: Vec<u32> = (0..40).map(|i| 3 + i % 7).collect();
        for fits in [9, 10, 33, 100, 1000] {
            let (reasons, limit) = run(&lengths, 4096, fits);
            assert!(reasons.iter().all(Option::is_none), "{fits}: {reasons:?}");
            let total: u32 = lengths.iter().sum();
            assert_eq!(limit < 4096, (total as usize) > fits, "{fits}: {limit}");
        }
    }

    #[test]
    fn a_sample_that_does_not_fit_alone_fails_with_its_length() {
        let (reasons, limit) = run(&[5, 70, 6, 50, 7], 4096, 50);
        let described = "out of memory: its 70 tokens do not fit even in a batch of their own";
        assert_eq!(reasons, [None, Some(described.to_owned()), None, None, None]);
        assert!((18..=50).contains(&limit), "one long sample does not make small batches of the others: {limit}");
        assert!(run(&[5], 4096, 4).0[0].is_some());
    }

    #[test]
    fn other_errors_end_the_job() {
        let samples = samples(&[5, 6]);
        for (error, text) in [
            (tensor_error("shape mismatch"), "tensor operation failed: shape mismatch"),
            (Error::Usage("out of memory".to_owned()), "out of memory"),
        ] {
            let error = std::cell::Cell::new(Some(error));
            let limit = AtomicUsize::new(4096);
            let score = |_: &Forest, _: &mut Hand| Err(error.take().expect("tried again"));
            let outcome = score_in_batches(&samples.iter().collect::<Vec<_>>(), &limit, pack, score, &mut |_| Ok(()));
            assert_eq!((outcome.unwrap_err().to_string().as_str(), limit.into_inner()), (text, 4096));
        }
        let limit = AtomicUsize::new(4096);
        let score = |_: &Forest, hand: &mut Hand| hand(0, Ok(TokenScores::default()));
        let outcome = score_in_batches(&[&samples[0]], &limit, pack, score, &mut |_| Err(Error::Stopped));
        assert!(matches!(outcome, Err(Error::Stopped)), "the consumer has left");
    }
}
