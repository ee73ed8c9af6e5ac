use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use proptest::prelude::*;

use super::*;

const THREADS: Threads = Threads { tokenize: 2, score: 8 };

/// What a stage does when part 7 reaches it.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    Error,
    Panic,
}

fn at(fault: Fault, stage: &str, part: u32) -> Result<u32> {
    match fault {
        Fault::Error if part == 7 => Err(Error::Usage(format!("{stage} failed on part 7"))),
        Fault::Panic if part == 7 => panic!("{stage} panicked on part 7"),
        _ => Ok(part),
    }
}

/// Runs 100 parts with a fault in one stage; the parts that were written, and the outcome.
fn run_with(fault: Fault, stage: &str) -> (Vec<u32>, Result<()>) {
    let of = |name: &str| if name == stage { fault } else { Fault::None };
    let written = Mutex::new(Vec::new());
    let stages = Stages {
        read: |part| at(of("read"), "read", part),
        tokenize: |part| at(of("tokenize"), "tokenize", part),
        score: |part| at(of("score"), "score", part),
        write: |part| {
            let part = at(of("write"), "write", part)?;
            written.lock().unwrap().push(part);
            Ok(())
        },
    };
    let outcome = run(0..100, &stages, THREADS, &Stop::new(&AtomicBool::new(false)));
    (written.into_inner().unwrap(), outcome)
}

#[test]
fn every_part_arrives_once() {
    let (mut written, outcome) = run_with(Fault::None, "");
    outcome.unwrap();
    written.sort_unstable();
    assert_eq!(written, (0..100).collect::<Vec<_>>());
}

#[test]
fn an_error_in_any_stage_ends_the_run_with_that_error() {
    for stage in ["read", "tokenize", "score", "write"] {
        let (written, outcome) = run_with(Fault::Error, stage);
        assert_eq!(outcome.unwrap_err().to_string(), format!("{stage} failed on part 7"));
        assert!(!written.contains(&7) && written.len() < 100, "{stage}: {written:?}");
    }
}

#[test]
fn a_panic_in_any_stage_is_told_apart_and_every_thread_is_joined() {
    for stage in ["read", "tokenize", "score", "write"] {
        let (written, outcome) = run_with(Fault::Panic, stage);
        match outcome.unwrap_err() {
            Error::Panic { stage: named, message } => {
                assert_eq!((named, message), (stage, format!("{stage} panicked on part 7")));
            }
            other => panic!("{stage}: {other}"),
        }
        assert!(!written.contains(&7));
    }
}

#[test]
fn a_slow_writer_holds_the_others_back() {
    let (read, written, most) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let stages = Stages {
        read: |part| {
            let ahead = 1 + read.fetch_add(1, Ordering::SeqCst) - written.load(Ordering::SeqCst);
            most.fetch_max(ahead, Ordering::SeqCst);
            Ok(part)
        },
        tokenize: Ok,
        score: Ok,
        write: |_| {
            thread::sleep(Duration::from_millis(2));
            written.fetch_add(1, Ordering::SeqCst);
            Ok(())
        },
    };
    run(0..200, &stages, THREADS, &Stop::new(&AtomicBool::new(false))).unwrap();
    // One in each thread's hands, one in each waiting place.
    let bound = 1 + ROWS_WAITING + THREADS.tokenize + JOBS_WAITING + THREADS.score + SCORED_WAITING + 1;
    assert!(most.into_inner() <= bound, "at most {bound} parts exist at once");
}

#[test]
fn a_stop_from_outside_keeps_what_is_written() {
    let stop = AtomicBool::new(false);
    let written = AtomicUsize::new(0);
    let stages = Stages {
        read: Ok,
        tokenize: Ok,
        score: Ok,
        write: |_: u32| {
            if written.fetch_add(1, Ordering::SeqCst) == 5 {
                stop.store(true, Ordering::SeqCst);
            }
            Ok(())
        },
    };
    let outcome = run(0..10_000, &stages, THREADS, &Stop::new(&stop));
    assert!(matches!(outcome, Err(Error::Stopped)));
    assert!((6..100).contains(&written.into_inner()));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn nothing_is_lost_at_any_number_of_threads(tokenize in 1_usize..5, score in 1_usize..9, parts in 0_u32..60) {
        let written = Mutex::new(Vec::new());
        let stages = Stages { read: Ok, tokenize: Ok, score: Ok, write: |part: u32| { written.lock().unwrap().push(part); Ok(()) } };
        run(0..parts, &stages, Threads { tokenize, score }, &Stop::new(&AtomicBool::new(false))).unwrap();
        let mut written = written.into_inner().unwrap();
        written.sort_unstable();
        prop_assert_eq!(written, (0..parts).collect::<Vec<_>>());
    }
}
