//! What is lost or was never finished is made by the same command, and nothing else is touched.

use std::fs;

use super::runs::{exact, models, pairs_folder, score, widen};
use crate::common::{self, Scene};

/// Two parts; one that is lost is made again with the same bytes, and nothing else is touched.
#[test]
fn a_lost_part_is_made_again() {
    let scene = Scene::new();
    scene.dataset("g_ids.jsonl", &common::many_rows(300));
    let (p, q) = ("qwen3-tied", "qwen3-shifted");
    let tables = exact(&scene, p, q, "");
    assert!(tables.len() > 300);
    let before = scene.files("out");
    let lost = format!("{}/part-00000001.parquet", pairs_folder(p, q));
    fs::remove_file(scene.path(&lost)).unwrap();
    let partly = scene.run(&format!("kl --all --data-dir out --reference {p}"));
    assert!(partly.expect(0, "").stdout.contains("the exact measures lack 1 of 2 parts"), "{}", partly.stdout);
    let both = models(&[(p, p), (q, q)]);
    scene.run(&format!("kl --data-dir out --reference {p} --exact --models {both}")).expect(0, "exact: ");
    assert!(scene.files("out") == before);
    let again = scene.run(&format!("kl --data-dir out --reference {p} --exact --models {both}"));
    assert!(!again.expect(0, "").stderr.contains("exact: "), "nothing was left to do");
    scene.run("verify out").expect(0, "");
}

/// Whatever is lost of it, and whoever joins, the same command makes it whole, and nothing else is touched.
#[test]
fn what_is_missing_of_an_exact_comparison_is_made_again() {
    let scene = Scene::new();
    scene.dataset("g_t.jsonl", &common::many_rows(300));
    let (p, q, r) = (("p", "qwen3-tied"), ("q", "qwen3-shifted"), ("r", "granite"));
    let run = |models: &[(&str, &str)]| score(&scene, "g_t.jsonl", models, "out", "--exact --all-pairs");
    run(&[p, q]).expect(0, "exact: KL(p‖q)");
    let whole = scene.files("out");
    let lose = |file: &str| fs::remove_file(scene.path(&format!("out/{file}/part-00000001.parquet"))).unwrap();
    let (tokens, pairs) = ("tokens/generation_model=g/task=t/model=q", "pairs/generation_model=g/task=t/p=p/q=q");
    for lost in [vec![tokens], vec![pairs], vec![tokens, pairs]] {
        for file in &lost {
            lose(file);
        }
        run(&[p, q]).expect(0, "p: 44 ok").expect(0, "q: 44 ok");
        assert_eq!(scene.files("out"), whole, "{lost:?}");
    }
    // A third model needs the rows of the others again; what they had stays as it is.
    run(&[p, q, r]).expect(0, "exact: KL(q‖r)");
    let after = scene.files("out");
    assert!(whole.iter().all(|(name, bytes)| after.get(name) == Some(bytes)));
    assert!(!after.keys().any(|name| name.starts_with("hidden/")), "{:?}", after.keys());
    let pairs = after.keys().filter(|name| name.starts_with("pairs/")).count();
    assert_eq!(pairs, 6, "two parts of three pairs");
    scene.run("verify out").expect_out("no problem found");
}

/// Temporary hidden states of a run that ended before it compared are used by the next one, and are no damage.
#[test]
fn loans_outlive_a_run_that_is_stopped() {
    let scene = Scene::new();
    scene.dataset("g_t.jsonl", &common::many_rows(300));
    let (p, wide) = (("p", "qwen3-tied"), scene.model("wide", "qwen3-tied"));
    // Its head gives what the other lacks too much: it is scored, and not compared.
    widen(&wide, 1.5);
    let both = format!("{},wide={}", models(&[p]), wide.display());
    let score =
        |more: &str| scene.run(&format!("score --dataset g_t.jsonl --models {both} --output-dir out --exact {more}"));
    score("").expect(1, "use --allow-removed to compare the common ids");
    let temporary = || scene.files("out").keys().filter(|name| name.ends_with(".loan.safetensors")).count();
    assert_eq!(temporary(), 4);
    scene.run("verify out").expect_out("no problem found");
    scene.run(&format!("score --dataset g_t.jsonl --models {both} --output-dir out")).expect(0, "p: already scored");
    score("--allow-removed").expect(0, "p: already scored").expect(0, "exact: KL(p‖wide)");
    assert_eq!(temporary(), 0);
}
