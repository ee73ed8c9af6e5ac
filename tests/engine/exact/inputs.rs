//! What `kl --exact` and `score --exact` are given: models, options and files of earlier runs. Whatever is wrong with any of
//! it is reported before the first pair is computed.

use std::fs;
use std::thread;
use std::time::Duration;

use crate::common::{self, Said, Scene, fixture};
use serde_json::Value;
use tokshift::store::{PairManifest, Store};

const P: (&str, &str) = ("p", "qwen3-tied");
const Q: (&str, &str) = ("q", "qwen3-shifted");
const R: (&str, &str) = ("r", "llama3");

fn models(models: &[(&str, &str)]) -> String {
    models.iter().map(|(name, of)| format!("{name}={}", fixture(of).display())).collect::<Vec<_>>().join(",")
}

/// A scene with rows of text.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.dataset("g_t.jsonl", &common::rows()[..4]);
    scene
}

fn score(scene: &Scene, named: &[(&str, &str)], more: &str) -> Said {
    let tokenizer = fixture("qwen3-tied").join("tokenizer.json");
    let options = format!("--models {} --tokenizer {} --output-dir out", models(named), tokenizer.display());
    scene.run(&format!("score --dataset g_t.jsonl {options} {more}"))
}

fn kl(scene: &Scene, named: &str, more: &str) -> Said {
    scene.run(&format!("kl --data-dir out --reference p --exact --models {named} {more}"))
}

/// The parts of pairs that are there.
fn pairs(scene: &Scene) -> Vec<String> {
    scene.files("out").into_keys().filter(|name| name.starts_with("pairs/")).collect()
}

#[test]
fn a_name_that_no_run_has_is_rejected() {
    let scene = scene();
    score(&scene, &[P, Q], "--keep-hidden").expect(0, "");
    let misspelt = models(&[P, Q, ("qq", Q.1)]);
    let described = "--models: `qq` has no scores in `out`, only `p`, `q`: use one of these names, as NAME=DIRECTORY";
    kl(&scene, &misspelt, "").expect(1, described);
    assert!(pairs(&scene).is_empty());
    kl(&scene, &models(&[P, Q]), "").expect(0, "exact: KL(p‖q)");
    kl(&scene, &misspelt, "").expect(1, described);
    // A name is looked at before its source is.
    kl(&scene, "qq=nowhere/at/all", "").expect(1, described);
}

/// Every head that is missing is named, and nothing computed; pairs that are whole need none.
#[test]
fn heads_that_are_needed_are_asked_for_before_anything_is_computed() {
    let scene = scene();
    score(&scene, &[P, Q, R], "--keep-hidden").expect(0, "");
    let lacking = "--exact needs the heads of `q`, `r`: use q=DIRECTORY,r=DIRECTORY in --models";
    kl(&scene, &models(&[P]), "").expect(1, lacking);
    // One pair could be computed.
    kl(&scene, &models(&[P, Q]), "").expect(1, "--exact needs the head of `r`: use r=DIRECTORY in --models");
    let none = "--exact needs the heads of `p`, `q`, `r`: use p=DIRECTORY,q=DIRECTORY,r=DIRECTORY in --models";
    scene.run("kl --data-dir out --reference p --exact").expect(1, none);
    assert!(pairs(&scene).is_empty());
    let all = models(&[P, Q, R]);
    kl(&scene, &all, "").expect(0, "exact: KL(p‖q)").expect(0, "exact: KL(p‖r)");

    let before = scene.files("out");
    kl(&scene, &models(&[R]), "").expect(0, "");
    scene.run("kl --data-dir out --reference p --exact").expect(0, "");
    fs::remove_dir_all(scene.path("out/pairs/generation_model=g/task=t/p=p/q=r")).unwrap();
    let again = kl(&scene, &models(&[P, R]), "");
    assert!(!again.expect(0, "exact: KL(p‖r)").stderr.contains("KL(p‖q)"), "{}", again.stderr);
    assert!(scene.files("out") == before);
    // The options of a whole pair are compared though its end tokens are not known without P.
    kl(&scene, &models(&[R]), "--temperature 2").expect(1, "temperature = 1.0, this run has 2.0");
}

#[test]
fn heads_that_did_not_score_are_rejected_also_where_nothing_is_missing() {
    let scene = scene();
    score(&scene, &[P, Q, R], "--keep-hidden").expect(0, "");
    let of_r = models(&[P, Q, (R.0, Q.1)]);
    kl(&scene, &of_r, "").expect(1, "is not the file that scored `r` on `t`: use the original model directory");
    assert!(pairs(&scene).is_empty(), "the first pair's heads were right");
    kl(&scene, &models(&[P, Q, R]), "").expect(0, "exact: KL(p‖q)");
    let swapped = models(&[(P.0, Q.1), (Q.0, P.1)]);
    kl(&scene, &swapped, "").expect(1, "is not the file that scored `p` on `t`: use the original model directory");
    kl(&scene, &of_r, "").expect(1, "is not the file that scored `r` on `t`");
}

/// The folder of a pair of Q's.
fn folder(table: &str, q: &str) -> String {
    format!("out/{table}/generation_model=g/task=t/p=p/q={q}")
}

fn temperature(scene: &Scene) -> Value {
    let said = scene.run("kl --data-dir out --reference p --json");
    let comparison: Value = serde_json::from_str(&said.expect(0, "").stdout).unwrap();
    comparison["pairs"][0]["exact"]["temperature"].clone()
}

#[test]
fn another_temperature_takes_the_place_of_tables_that_are_deleted() {
    let scene = scene();
    score(&scene, &[P, Q], "--keep-hidden").expect(0, "");
    let both = models(&[P, Q]);
    kl(&scene, &both, "").expect(0, "exact: ");
    let rejected = kl(&scene, &both, "--temperature 2");
    let described = format!(
        "error: `{}/manifest.json` was made with temperature = 1.0, this run has 2.0: use the same options, or delete `{}`\n",
        folder("runs", "q"),
        folder("pairs", "q")
    );
    assert_eq!((rejected.code, rejected.stderr.as_str()), (Some(1), described.as_str()));
    fs::remove_dir_all(scene.path(&folder("pairs", "q"))).unwrap();
    kl(&scene, &both, "--temperature 2").expect(0, "exact: ");
    assert_eq!(temperature(&scene), 2.0);
    scene.run("verify out").expect_out("no problem found");
    // Tables without a manifest belong to no cell.
    fs::remove_file(scene.path(&folder("runs", "q")).join("manifest.json")).unwrap();
    kl(&scene, &both, "").expect(1, "is missing, so the options of its parts are unknown: delete them too");
}

#[test]
fn score_looks_at_what_is_there_of_the_pairs_before_it_scores() {
    let scene = scene();
    score(&scene, &[P, Q], "--keep-hidden").expect(0, "");
    kl(&scene, &models(&[P, Q]), "--temperature 2").expect(0, "exact: ");
    let before = scene.files("out");
    let rejected = score(&scene, &[P, Q, R], "--exact");
    rejected.expect(1, "temperature = 2.0, this run has 1.0").expect(1, &format!("delete `{}`", folder("pairs", "q")));
    assert!(scene.files("out") == before);
    fs::remove_dir_all(scene.path(&folder("pairs", "q"))).unwrap();
    score(&scene, &[P, Q, R], "--exact").expect(0, "exact: KL(p‖q)").expect(0, "exact: KL(p‖r)");
    assert_eq!(temperature(&scene), 1.0);
}

#[test]
fn a_pair_that_another_process_compares_is_waited_for() {
    let scene = scene();
    score(&scene, &[P, Q], "--keep-hidden").expect(0, "");
    let both = models(&[P, Q]);
    kl(&scene, &both, "").expect(0, "exact: ");
    fs::remove_dir_all(scene.path(&folder("pairs", "q"))).unwrap();
    let manifest = PairManifest::read(&scene.path(&folder("runs", "q")).join("manifest.json")).unwrap();
    let pair = Store::open(&scene.path("out")).unwrap().pair(&manifest).unwrap();
    assert!(pair.take(0).unwrap());
    let mut waits = scene.start(&format!("kl --data-dir out --reference p --exact --models {both}"));
    thread::sleep(Duration::from_secs(1));
    assert!(waits.0.try_wait().unwrap().is_none());
    // As if this process ended without having compared the part.
    drop(pair);
    waits.end().expect(0, "exact: ");
}
