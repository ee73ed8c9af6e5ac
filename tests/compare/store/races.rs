//! Several processes or threads at one output directory.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{cell, files, manifest, open, publish, sample, three};
use tempfile::TempDir;
use tokshift::scores::TokenScores;
use tokshift::store::Store;
use tokshift::table::{ScoredSample, samples_batch, tokens_batch};
use tokshift::{Error, shift, verify};

/// A run that finds out late that another model came first with other rows must not stand in that one's way.
#[test]
fn a_run_that_comes_second_leaves_nothing() {
    let root = TempDir::new().unwrap();
    let store = Store::open(root.path()).unwrap();
    let first = open(root.path(), "m");
    let mut other = manifest(&cell("other"));
    other.dataset.limit = Some(3);
    let second = store.cell(&cell("other"), &other).unwrap();
    publish(&first, 0, &three(0)).unwrap();
    let before = files(root.path());
    let error = publish(&second, 0, &three(0)).unwrap_err();
    assert!(matches!(error, Error::Mismatch { ref field, .. } if field == "--limit"), "{error}");
    assert_eq!(files(root.path()), before);
    publish(&first, 1, &three(3)).unwrap();
}

/// Models that start at once over what they take for the same rows: those that publish agree.
#[test]
fn racing_models_agree_on_the_rows() {
    for _ in 0..20 {
        let root = TempDir::new().unwrap();
        let store = Store::open(root.path()).unwrap();
        let run = |i: u32| {
            let cell = cell(&format!("m{i}"));
            let mut manifest = manifest(&cell);
            manifest.dataset.limit = Some(i % 2);
            publish(&store.cell(&cell, &manifest)?, 0, &three(0)).map(|()| i % 2)
        };
        let outcomes: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|i| scope.spawn(move || run(i))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let published: BTreeSet<u32> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok().copied()).collect();
        assert!(published.len() <= 1, "both limits were published");
        for error in outcomes.iter().filter_map(|outcome| outcome.as_ref().err()) {
            assert!(matches!(error, Error::Mismatch { field, .. } if field == "--limit"), "{error}");
        }
        let runs = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(files(root.path()).len(), 1 + 3 * runs);
    }
}

/// Scores of three samples that lack nothing `verify` asks for: every token has the log-probability given.
fn plain(first: u32, logprob: f32) -> Vec<ScoredSample> {
    let scored = |id| {
        let sample = sample(id, 2, 3);
        let scores = TokenScores { logprob: vec![logprob; 3], ..TokenScores::default() };
        ScoredSample { sample, scores: Some(scores) }
    };
    (first..first + 3).map(scored).collect()
}

/// Three processes score one part with other numbers (three processors, say) where file systems have no locks: what stays
/// is of one of them, whichever it is.
#[test]
fn a_part_is_never_of_two_processes() {
    let logprobs = [-1.0, -2.0, -3.0];
    for _ in 0..200 {
        let root = TempDir::new().unwrap();
        let cell = open(root.path(), "m");
        // Writers of one store do not lock each other out.
        let writers = logprobs.map(|logprob| {
            let (samples, mut writer) = (plain(0, logprob), cell.begin(0).unwrap());
            writer.write(&samples_batch(&samples, &[]).unwrap(), &tokens_batch(&samples).unwrap()).unwrap();
            writer
        });
        let published = thread::scope(|scope| {
            let threads = writers.map(|writer| scope.spawn(|| writer.commit().unwrap()));
            threads.map(|thread| thread.join().unwrap())
        });
        assert!(published.contains(&true) && cell.is_done(0));
        assert_eq!(verify::verify(root.path()).unwrap().problems, []);
    }
}

/// A part that is scored again while it is compared: what comes out is of its old tables or of its new ones, or rejected.
#[test]
fn figures_are_of_one_state_of_the_tables() {
    let root = TempDir::new().unwrap();
    let (p, q) = (open(root.path(), "rl"), open(root.path(), "q"));
    q.lock_alone().unwrap();
    publish(&p, 0, &plain(0, -1.0)).unwrap();
    publish(&q, 0, &plain(0, -2.0)).unwrap();
    // The mean of k1 comes from one pass, the log-probabilities by Q of the tokens that differ most from another.
    let compare = || {
        let compared = shift::compare(root.path(), &shift::Options::default())?;
        let compared = serde_json::to_value(&compared).unwrap();
        let pair = &compared["pairs"][0];
        let read_first = pair["read_first"]["tokens"].as_array().unwrap().iter();
        let of_q: Vec<f64> = read_first.map(|token| -1.0 - token["logprob_q"].as_f64().unwrap()).collect();
        Ok::<_, Error>((pair["measures"][0]["token_mean"]["value"].as_f64().unwrap(), of_q))
    };
    assert_eq!(compare().unwrap(), (1.0, vec![1.0; 3]));
    let ends = AtomicBool::new(false);
    let found: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| {
            // Each state once: tables that became what they were cannot be distinguished from those that stayed.
            for step in 1_i16.. {
                if ends.load(Ordering::Relaxed) {
                    break;
                }
                publish(&q, 0, &plain(0, -2.0 - f32::from(step) / 64.0)).unwrap();
            }
        });
        let found: Vec<_> = (0..30).filter_map(|_| compare().ok()).collect();
        ends.store(true, Ordering::Relaxed);
        found
    });
    for (k1, of_q) in found {
        assert!(of_q.iter().all(|nats| (nats - k1).abs() < 1e-6), "{k1} next to {of_q:?}");
    }
}
