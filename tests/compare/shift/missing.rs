//! Pairs of which something is missing: each is listed, and stops no other.

use std::fs;

use tokshift::shift::{self, Comparison, Limit, NotCompared, Options};

use super::fixture::{Output, exceeded, samples};

const OF_P: [&[f32]; 2] = [&[-1.0, -2.0], &[-1.5]];
const OF_Q: [&[f32]; 2] = [&[-1.5, -1.0], &[-2.5]];

fn compare(output: &Output, options: &Options) -> Comparison {
    output.compare_with(options).unwrap()
}

fn all_pairs() -> Options {
    Options { all_pairs: true, ..Options::default() }
}

fn names<'a>(pairs: impl Iterator<Item = (&'a String, &'a String)>) -> Vec<[&'a str; 2]> {
    pairs.map(|(p, q)| [p.as_str(), q.as_str()]).collect()
}

fn compared(comparison: &Comparison) -> Vec<[&str; 2]> {
    names(comparison.pairs.iter().map(|pair| (&pair.p, &pair.q)))
}

fn not_compared(comparison: &Comparison) -> Vec<[&str; 2]> {
    names(comparison.not_compared.iter().map(|pair| (&pair.p, &pair.q)))
}

/// Four models on one text; of some of them the manifest is junk.
fn damaged(models: &[&str]) -> Output {
    let output = Output::new();
    for name in ["base", "one", "three", "two"] {
        output.model(name, &samples(if name == "base" { &OF_P } else { &OF_Q }));
    }
    for model in models {
        fs::write(output.folder("runs", "base", "task", model).join("manifest.json"), "junk").unwrap();
    }
    output
}

#[test]
fn every_pair_of_a_damaged_p_is_told_of() {
    let output = damaged(&["base"]);
    let comparison = compare(&output, &all_pairs());
    assert_eq!(not_compared(&comparison), [["base", "one"], ["base", "three"], ["base", "two"]]);
    assert!(comparison.not_compared.iter().all(|pair| pair.failed && pair.why.contains("model=base/manifest.json")));
    assert!(comparison.failed());
    // None of the others needs it.
    assert_eq!(compared(&comparison), [["one", "three"], ["one", "two"], ["three", "two"]]);
    assert!(comparison.pairs.iter().all(|pair| pair.kl_estimate.reason() == "the responses are by `base`, not by P"));
    // With it alone there would be nothing else.
    let error = output.compare_with(&Options::default()).unwrap_err().to_string();
    assert!(error.contains("model=base/manifest.json`: not a tokshift manifest"), "{error}");
}

#[test]
fn every_pair_of_several_damaged_models_is_told_of_once() {
    let output = damaged(&["base", "two"]);
    let comparison = compare(&output, &all_pairs());
    let expected = [["base", "one"], ["base", "three"], ["base", "two"], ["one", "two"], ["three", "two"]];
    assert_eq!(not_compared(&comparison), expected);
    assert_eq!(compared(&comparison), [["one", "three"]]);
    let one = damaged(&["two"]);
    let comparison = compare(&one, &Options::default());
    assert_eq!((not_compared(&comparison), compared(&comparison).len()), (vec![["base", "two"]], 2));
}

/// Two tasks, of which a model never scored one.
fn two_tasks(more: &[&str]) -> Output {
    let output = Output::new();
    for task in ["easy", "hard"].iter().chain(more) {
        output.parts("base", task, "base", &[&samples(&OF_P)]);
        output.parts("base", task, "one", &[&samples(&OF_Q)]);
        if *task != "hard" {
            output.parts("base", task, "two", &[&samples(&OF_Q)]);
        }
    }
    output
}

#[test]
fn a_task_that_a_model_never_scored_keeps_no_limit() {
    let limit = [Limit::at_most("delta_logprob", 1e9).unwrap()];
    for (output, of_all) in [(two_tasks(&[]), 1), (two_tasks(&["long"]), 2)] {
        let comparison = compare(&output, &Options::default());
        let [NotCompared { task, p, q, why, failed, not_scored, .. }] = &comparison.not_compared[..] else {
            panic!("{:?}", comparison.not_compared)
        };
        assert_eq!([task, p, q, why], ["hard", "base", "two", "`two` was not scored on it"]);
        assert!(*not_scored && !*failed && !comparison.failed());
        let described = exceeded(&comparison, &limit);
        let why = "P = `base`, Q = `two` on `hard` by `base`: `two` was not scored on it, so it is not known to meet any limit";
        assert_eq!(described, [why]);
        assert_eq!(shift::warnings(&comparison), [format!("not compared: {}", comparison.not_compared[0].described())]);
        assert_eq!(comparison.overall.len(), of_all);
        for overall in &comparison.overall {
            let missing: &[String] = if overall.q == "two" { &["hard".to_owned()] } else { &[] };
            assert_eq!(overall.missing_tasks, missing);
        }
        // A request for that task lists it too, whatever other tasks were scored.
        for options in [Options::default(), all_pairs()] {
            let comparison = compare(&output, &Options { tasks: vec!["hard".to_owned()], ..options });
            assert!(not_compared(&comparison).contains(&["base", "two"]) && comparison.pairs.len() == 1);
            assert!(exceeded(&comparison, &limit).contains(&why.to_owned()));
        }
        // Who asks for the others has them all.
        let requested = Options { tasks: vec!["easy".to_owned()], ..Options::default() };
        let comparison = compare(&output, &requested);
        assert!(comparison.not_compared.is_empty() && exceeded(&comparison, &limit).is_empty());
    }
}

/// What another generation model wrote is another study.
#[test]
fn texts_of_another_writer_are_not_missed() {
    let output = two_tasks(&[]);
    output.parts("two", "else", "two", &[&samples(&OF_P)]);
    output.parts("two", "else", "base", &[&samples(&OF_Q)]);
    let comparison = compare(&output, &Options::default());
    assert_eq!(not_compared(&comparison), [["base", "two"]]);
}

#[test]
fn a_text_that_p_never_scored_ends_no_other_comparison() {
    let output = two_tasks(&["long"]);
    for table in ["runs", "tokens", "samples"] {
        fs::remove_dir_all(output.folder(table, "base", "easy", "base")).unwrap();
    }
    let comparison = compare(&output, &Options::default());
    let of = |task: &str, q: &str| comparison.pairs.iter().any(|pair| pair.task == task && pair.q == q);
    assert!(of("hard", "one") && of("long", "one") && of("long", "two") && comparison.pairs.len() == 3);
    assert!(comparison.failed());
    let of_easy: Vec<_> = comparison.not_compared.iter().filter(|pair| pair.task == "easy").collect();
    assert_eq!(names(of_easy.iter().map(|pair| (&pair.p, &pair.q))), [["base", "one"], ["base", "two"]]);
    let why = "`base` was not scored on it: choose --reference from `one`, `two`";
    assert!(of_easy.iter().all(|pair| pair.failed && pair.not_scored && pair.why == why), "{of_easy:?}");
    assert_eq!(compared(&compare(&output, &Options { tasks: vec!["long".to_owned()], ..all_pairs() })).len(), 3);
    // Alone, it asks for another P.
    let easy = Options { tasks: vec!["easy".to_owned()], ..Options::default() };
    let error = output.compare_with(&easy).unwrap_err().to_string();
    assert_eq!(error, "P would be `base`, which did not score `easy` by `base`: choose --reference from `one`, `two`");
    let easy = Options { reference: Some("one".to_owned()), ..easy };
    assert_eq!(compared(&compare(&output, &easy)), [["one", "two"]]);
}

/// However much of the folders of manifests is gone.
#[test]
fn tables_without_a_manifest_keep_no_limit() {
    let limit = [Limit::at_most("delta_logprob", 1e9).unwrap()];
    let folder = |output: &Output| output.folder("runs", "base", "easy", "two");
    for levels in 0..2 {
        let output = two_tasks(&[]);
        let folder = folder(&output);
        fs::remove_dir_all(folder.ancestors().nth(levels).unwrap()).unwrap();
        let comparison = compare(&output, &Options::default());
        let easy: Vec<_> = comparison.not_compared.iter().filter(|pair| pair.task == "easy").collect();
        assert_eq!(easy.len(), 1 + levels);
        for pair in easy {
            assert!(
                pair.failed
                    && pair.why.contains("manifest.json`: is missing, so the options of its tables are unknown")
            );
            assert!(exceeded(&comparison, &limit).iter().any(|described| described.starts_with(&pair.described())));
        }
        assert!(compared(&comparison).contains(&["base", "one"]));
    }
    let output = two_tasks(&[]);
    output.parts("two", "else", "two", &[&samples(&OF_P)]);
    output.parts("two", "else", "one", &[&samples(&OF_Q)]);
    fs::remove_dir_all(folder(&output).ancestors().nth(2).unwrap()).unwrap();
    let comparison = compare(&output, &Options::default());
    assert_eq!((compared(&comparison), comparison.failed()), (vec![["two", "one"]], true));
    assert!(comparison.not_compared.len() == 4 && comparison.not_compared.iter().all(|pair| pair.failed));
}
