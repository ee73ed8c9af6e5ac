//! JSON for scripts: the schema that docs/ publishes describes every key, and flat scalars.

use crate::common::{Scene, rows};
use serde_json::{Map, Value};

/// What a value has that a schema does not allow, or does not describe. Only the keywords that the schema uses are known.
fn problem(root: &Value, schema: &Value, value: &Value, at: &str) -> Option<String> {
    for keyword in schema.as_object().unwrap().keys() {
        let known = [
            "$schema",
            "$defs",
            "$ref",
            "title",
            "description",
            "type",
            "properties",
            "required",
            "items",
            "anyOf",
            "enum",
            "const",
        ];
        assert!(known.contains(&keyword.as_str()), "{at}: the test does not know `{keyword}`");
    }
    if let Some(reference) = schema.get("$ref") {
        let target = root.pointer(reference.as_str().unwrap().strip_prefix('#').unwrap()).unwrap();
        return problem(root, target, value, at);
    }
    if let Some(of) = schema.get("anyOf") {
        let problems: Vec<_> = of.as_array().unwrap().iter().map(|of| problem(root, of, value, at)).collect();
        let is_one = problems.iter().any(Option::is_none);
        return if is_one { None } else { problems.into_iter().flatten().next() };
    }
    let wrong = |what: &str| Some(format!("{at}: {what}: {value}"));
    if schema.get("const").is_some_and(|only| only != value) {
        return wrong("another constant");
    }
    if schema.get("enum").is_some_and(|all| !all.as_array().unwrap().contains(value)) {
        return wrong("not one of the values");
    }
    if let Some(kind) = schema.get("type") {
        let is = |kind: &Value| match kind.as_str().unwrap() {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "string" => value.is_string(),
            "integer" => value.is_u64() || value.is_i64(),
            "number" => value.is_number(),
            "array" => value.is_array(),
            "object" => value.is_object(),
            other => panic!("{other}"),
        };
        let fits = kind.as_array().map_or_else(|| is(kind), |kinds| kinds.iter().any(is));
        if !fits {
            return wrong("another type");
        }
    }
    if let (Some(items), Some(values)) = (schema.get("items"), value.as_array()) {
        let mut items = values.iter().enumerate().map(|(i, value)| problem(root, items, value, &format!("{at}[{i}]")));
        if let Some(problem) = items.find_map(|problem| problem) {
            return Some(problem);
        }
    }
    let (Some(properties), Some(object)) = (schema.get("properties"), value.as_object()) else { return None };
    of_object(root, schema, properties.as_object().unwrap(), object, at)
}

fn of_object(
    root: &Value,
    schema: &Value,
    of: &Map<String, Value>,
    object: &Map<String, Value>,
    at: &str,
) -> Option<String> {
    let required = schema.get("required").map_or(&[][..], |required| required.as_array().unwrap());
    if let Some(missing) = required.iter().find(|key| !object.contains_key(key.as_str().unwrap())) {
        return Some(format!("{at}: {missing} is missing"));
    }
    object.iter().find_map(|(key, value)| match of.get(key) {
        None => Some(format!("{at}.{key}: docs/*.schema.json does not describe it")),
        Some(of) => problem(root, of, value, &format!("{at}.{key}")),
    })
}

fn schema(name: &str) -> Value {
    let path = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[track_caller]
fn assert_valid(name: &str, text: &str) {
    let schema = schema(name);
    assert_eq!(problem(&schema, &schema, &serde_json::from_str(text).unwrap(), ""), None);
}

/// Three models on two tasks, of which one is incomplete and another lacks a model; one pair has exact measures.
fn scene() -> Scene {
    let scene = Scene::new();
    scene.dataset("p_a.jsonl", &rows());
    scene.dataset("p_b.jsonl", &crate::common::many_rows(300));
    let models = [("p", "qwen3-tied"), ("q", "qwen3-shifted")];
    scene.score("p_a.jsonl,p_b.jsonl", &models, "out", "--exact --keep-fields group,reward").expect(0, "330 ok");
    scene.score("p_a.jsonl", &[("r", "qwen3-shifted")], "out", "--keep-fields group,reward").expect(0, "30 ok");
    let lost = "out/tokens/generation_model=p/task=b/model=q/part-00000001.parquet";
    std::fs::remove_file(scene.path(lost)).unwrap();
    scene
}

#[test]
fn the_schema_describes_all_that_is_printed() {
    let scene = scene();
    for more in ["", "--quantiles --slices", "--all-pairs --slices"] {
        let said = scene.run(&format!("kl out --json {more}"));
        assert_valid("kl.schema.json", &said.expect(0, "").stdout);
        let found: Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(found["format_version"], 1);
        assert_eq!(found["options"]["slices"], more.contains("--slices"));
        for list in ["models", "pairs", "not_compared", "differences", "overall"] {
            assert!(!found[list].as_array().unwrap().is_empty(), "{list} is empty, so that nothing of it is tested");
        }
        assert!(found["pairs"].as_array().unwrap().iter().any(|pair| !pair["exact"]["most_moved"].is_null()));
        assert!(found["pairs"].as_array().unwrap().iter().any(|pair| !pair["partial"].is_null()));
        assert!(found["pairs"].as_array().unwrap().iter().any(|pair| !pair["fields"].as_array().unwrap().is_empty()));
    }
    let between = Scene::new();
    for name in ["p_a.jsonl", "q_a.jsonl", "p_b.jsonl", "q_b.jsonl"] {
        between.dataset(name, &rows());
    }
    let models = [("p", "qwen3-tied"), ("q", "qwen3-shifted"), ("r", "qwen3-bias")];
    let datasets = "p_a.jsonl,q_a.jsonl,p_b.jsonl,q_b.jsonl";
    between.score(datasets, &models, "out", "--engine mock").expect(0, "120 ok");
    let said = between.run("kl out --json --between p,q --to r");
    assert_valid("kl.schema.json", &said.expect(0, "").stdout);
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    assert!(!found["between"]["overall"].is_null() && found["options"]["between"]["to"] == "r");
    between.run("kl out --between p,q --to r").expect(0, "").expect_out("over 2 tasks").expect_out("task ");
    let mut broken: Value = serde_json::from_str(&scene.run("kl out --json").stdout).unwrap();
    broken["pairs"][0].as_object_mut().unwrap().remove("notes");
    let schema = schema("kl.schema.json");
    assert_eq!(problem(&schema, &schema, &broken, "").unwrap(), ".pairs[0]: \"notes\" is missing");
}

/// The cells of a directory, also where one cannot be read.
#[test]
fn the_schema_describes_the_status_too() {
    let scene = scene();
    let said = scene.run("status out --json");
    assert_valid("status.schema.json", &said.expect(0, "").stdout);
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    let files = scene.files("out");
    let of_pairs = files.iter().filter(|(name, _)| name.starts_with("pairs/")).map(|(_, bytes)| bytes.len());
    let sizes = found["pairs"].as_array().unwrap().iter().map(|pair| pair["bytes"].as_u64().unwrap() as usize);
    assert_eq!((found["format_version"].as_u64(), sizes.sum::<usize>()), (Some(1), of_pairs.sum()));
    scene.write("out/runs/generation_model=p/task=a/model=r/manifest.json", "junk");
    std::fs::remove_dir_all(scene.path("out/logs")).unwrap();
    let said = scene.run("status out --json");
    assert_valid("status.schema.json", &said.expect(1, "").stdout);
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    let cells = found["cells"].as_array().unwrap();
    assert!(cells.iter().any(|cell| cell["dtype"].is_null() && !cell["damaged"].as_array().unwrap().is_empty()));
}

/// Of numbers alone, of which none claims to be a KL that it is not.
#[test]
fn scalars_are_flat() {
    let scene = scene();
    let of = |more: &str| -> Map<String, Value> {
        serde_json::from_str(&scene.run(&format!("kl out --scalars {more}")).expect(0, "").stdout).unwrap()
    };
    let json: Value = serde_json::from_str(&scene.run("kl out --json --quantiles").stdout).unwrap();
    let pair = json["pairs"].as_array().unwrap().iter().find(|pair| pair["task"] == "a" && pair["q"] == "q").unwrap();
    let kl = pair["measures"].as_array().unwrap().iter().find(|measure| measure["name"] == "kl").unwrap();
    let found = of("--quantiles");
    assert!(found.values().all(Value::is_number));
    assert_eq!(found["a/p-q/kl"], kl["token_mean"]["value"]);
    assert_eq!(found["a/p-q/kl_stderr"], kl["token_mean"]["stderr"]);
    assert_eq!(found["a/p-q/perplexity_ratio"], pair["perplexity_ratio"]["value"]);
    let quantiles = pair["quantiles"].as_array().unwrap().iter().find(|of| of["measure"] == "kl").unwrap();
    let median = quantiles["quantiles"].as_array().unwrap().iter().find(|of| of["name"] == "median").unwrap();
    assert_eq!(found["a/p-q/kl.median"], median["value"]);
    assert_eq!(found.contains_key("a/p-q/kl_k1"), pair["kl_estimate"]["answer"] == "yes");
    let of_others = of("--reference q");
    assert!(of_others.keys().any(|key| key == "a by p/q-p/kl_lower") && !of_others.contains_key("a by p/q-p/kl_k1"));
}
