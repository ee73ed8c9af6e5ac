//! A pairs table that cannot be used ends no other pair.

use std::fs;

use serde_json::Value;

use super::runs::{ids_dataset, models, pairs_folder};
use crate::common::Scene;

#[test]
fn a_damaged_pairs_table_ends_no_other_pair() {
    let scene = Scene::new();
    ids_dataset(&scene);
    let [p, q, r] = ["qwen3-tied", "qwen3-shifted", "llama3"];
    let named = models(&[(p, p), (q, q), (r, r)]);
    scene.run(&format!("score --dataset g_ids.jsonl --models {named} --output-dir out --keep-hidden")).expect(0, "");
    let kl = |more: &str| scene.run(&format!("kl --data-dir out --reference {p} {more}"));
    kl(&format!("--exact --models {named}")).expect(0, "exact: ");
    let manifest = format!("{}/manifest.json", pairs_folder(p, r).replace("out/pairs", "out/runs"));
    let part = format!("{}/part-00000000.parquet", pairs_folder(p, r));
    let older =
        fs::read_to_string(scene.path(&manifest)).unwrap().replace("\"format_version\": 2", "\"format_version\": 1");
    let damages = [(&manifest, "junk"), (&manifest, ""), (&manifest, older.as_str()), (&part, "no table"), (&part, "")];
    for (path, content) in damages {
        let whole = fs::read(scene.path(path)).unwrap();
        scene.write(path, content);
        let described = format!("not compared: P = `{p}`, Q = `{r}` on `ids` by `g`: `{path}`: ");
        let said = kl("--json");
        let comparison: Value = serde_json::from_str(&said.expect(1, &described).stdout).unwrap();
        let pairs = comparison["pairs"].as_array().unwrap();
        assert!(pairs.len() == 1 && pairs[0]["q"] == q && pairs[0]["exact"].is_object(), "{path}: {content}");
        assert_eq!(comparison["not_compared"][0]["failed"], true);
        kl("--fail-above same_top=1").expect(5, &format!("Q = `{r}` on `ids` by `g`: "));
        kl("--only-study").expect(1, "");
        // The other way round it is another pair.
        scene.run(&format!("kl --data-dir out --reference {r}")).expect(0, "");
        scene.write(path, whole);
    }
    // What is missing of another pair is made all the same.
    scene.write(&manifest, "junk");
    fs::remove_dir_all(scene.path(&pairs_folder(p, q))).unwrap();
    let described = format!("delete it and `{}`, and kl --exact makes both again", pairs_folder(p, r));
    kl(&format!("--exact --models {named}")).expect(1, &described).expect(1, &format!("exact: KL({p}‖{q})"));
    // A manifest without parts decides nothing.
    fs::remove_dir_all(scene.path(&pairs_folder(p, r))).unwrap();
    kl("").expect(0, "");
    kl(&format!("--exact --models {named}")).expect(0, &format!("exact: KL({p}‖{r})"));
}
