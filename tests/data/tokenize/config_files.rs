//! Files next to a `tokenizer.json`: ids as transformers gives them. What is expected here was given by transformers 5.24
//! and 4.57.3 alike, of the same files (`scripts/check_ids.py`).

use serde_json::{Value, json};
use tokshift::template::SpecialTokens;
use tokshift::tokenize::TextTokenizer;

use super::path;

/// A folder with the tokenizer of a fixture, changed by `change`, and these files.
pub fn folder(fixture: &str, change: impl FnOnce(&mut Value), files: &[(&str, Value)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut tokenizer: Value = serde_json::from_slice(&std::fs::read(path(fixture)).unwrap()).unwrap();
    change(&mut tokenizer);
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer.to_string()).unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content.to_string()).unwrap();
    }
    folder
}

pub fn read(fixture: &str, files: &[(&str, Value)]) -> Result<TextTokenizer, String> {
    let folder = folder(fixture, |_| {}, files);
    TextTokenizer::from_file(&folder.path().join("tokenizer.json")).map_err(|e| e.to_string())
}

pub fn ids(tokenizer: &TextTokenizer, whole: &str) -> Vec<u32> {
    tokenizer.whole(whole).unwrap()
}

fn token(content: &str, flags: Value) -> Value {
    let mut token = json!({
        "content": content, "lstrip": false, "normalized": false, "rstrip": false, "single_word": false, "special": true,
    });
    let Value::Object(flags) = flags else { panic!("{flags} is no object") };
    token.as_object_mut().unwrap().extend(flags);
    token
}

const EXTRA: &str = "x <|extra|> y<tool>z";
const ENDED: &str = "x <|im_end|>  y";

#[test]
fn tokens_of_every_file_are_tokens() {
    let config = |more: Value| {
        let mut config = json!({"tokenizer_class": "PreTrainedTokenizerFast"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("tokenizer_config.json", config)
    };
    let chatml = |more: Value| {
        let mut listed = json!({
            "272": token("<|endoftext|>", json!({})), "273": token("<|im_start|>", json!({})),
            "274": token("<|im_end|>", json!({})),
        });
        listed.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config(json!({"added_tokens_decoder": listed}))
    };
    let plain = read("bytelevel", &[]).unwrap();
    let spelled = ids(&plain, "<tool>");
    // The config's own list, which goes before all else.
    let decoder = chatml(json!({"275": token("<|extra|>", json!({}))}));
    let ignored = ("added_tokens.json", json!({"<tool>": 276}));
    let listed = read("bytelevel", &[decoder, ignored]).unwrap();
    assert_eq!(ids(&listed, EXTRA), [&[120, 32, 275, 32, 121], &spelled[..], &[122]].concat());
    // Without one: added_tokens.json and special_tokens_map.json.
    let added = ("added_tokens.json", json!({"<|extra|>": 275, "<plain>": 276}));
    let special =
        ("special_tokens_map.json", json!({"additional_special_tokens": ["<|extra|>"], "eos_token": "<tool>"}));
    let legacy = read("bytelevel", &[config(json!({})), added, special]).unwrap();
    assert_eq!(ids(&legacy, EXTRA), [120, 32, 275, 32, 121, 277, 122]);
    assert_eq!(ids(&legacy, "<plain>"), [276]);
    // Names of the config, in order.
    let additional =
        read("bytelevel", &[config(json!({"additional_special_tokens": ["<|extra|>", "<tool>"]}))]).unwrap();
    assert_eq!(ids(&additional, EXTRA), [120, 32, 275, 32, 121, 276, 122]);
    let eos = read("bytelevel", &[config(json!({"eos_token": "<tool>"}))]).unwrap();
    assert_eq!(ids(&eos, EXTRA).last_chunk::<2>(), Some(&[275, 122]));
    // Infinity, as Python writes it, is no reason to pass over a file; numbers are no tokens.
    let folder = folder("bytelevel", |_| {}, &[]);
    let python = r#"{"model_max_length": Infinity, "num_image_token": 256, "eos_token": "<tool>"}"#;
    std::fs::write(folder.path().join("tokenizer_config.json"), python).unwrap();
    let python = TextTokenizer::from_file(&folder.path().join("tokenizer.json")).unwrap();
    assert_eq!(ids(&python, EXTRA), ids(&eos, EXTRA));
    assert_ne!(plain.identity(), eos.identity());
    assert_eq!(python.identity(), eos.identity());
}

/// As transformers lays them: special_tokens_map.json over the config, unless that lists its added tokens.
#[test]
fn the_eos_is_that_of_the_file_that_counts() {
    let map = ("special_tokens_map.json", json!({"eos_token": "<tool>"}));
    let eos = |config: Value| {
        let folder = folder("bytelevel", |_| {}, &[("tokenizer_config.json", config), map.clone()]);
        SpecialTokens::of_model(folder.path()).unwrap().eos().map(str::to_owned)
    };
    assert_eq!(eos(json!({"eos_token": "<|im_end|>"})).as_deref(), Some("<tool>"));
    assert_eq!(eos(json!({"eos_token": "<|im_end|>", "added_tokens_decoder": {}})).as_deref(), Some("<|im_end|>"));
}

#[test]
fn flags_of_tokens_and_of_the_tokenizer_are_kept() {
    let decoder = |flags: Value| json!({"added_tokens_decoder": {"274": token("<|im_end|>", flags)}});
    let config = |content: Value| read("bytelevel", &[("tokenizer_config.json", content)]).unwrap();
    let plain = read("bytelevel", &[]).unwrap();
    assert_eq!(ids(&plain, ENDED), [120, 32, 274, 32, 32, 121]);
    let same = config(decoder(json!({})));
    assert_eq!((ids(&same, ENDED), same.identity()), (ids(&plain, ENDED), plain.identity()));
    let stripping = config(decoder(json!({"rstrip": true})));
    assert_eq!(ids(&stripping, ENDED), [120, 32, 274, 121]);
    assert_ne!(stripping.identity(), plain.identity());
    assert_eq!(ids(&config(decoder(json!({"lstrip": true}))), ENDED), [120, 274, 32, 32, 121]);
    assert_eq!(ids(&config(decoder(json!({"single_word": true}))), "x<|im_end|>").len(), 11);
    let split = config(json!({"split_special_tokens": true}));
    assert_eq!(ids(&split, "<|im_end|>"), [60, 124, 105, 109, 95, 101, 110, 100, 124, 62]);
    assert_ne!(split.identity(), plain.identity());
}

#[test]
fn files_that_are_not_what_they_are_called_are_rejected() {
    for (name, content, described) in [
        ("tokenizer_config.json", json!([]), "not a JSON object"),
        ("tokenizer_config.json", json!({"added_tokens_decoder": [1]}), "not an object of tokens by id"),
        ("tokenizer_config.json", json!({"added_tokens_decoder": {"x": token("a", json!({}))}}), "`x` is no id"),
        ("tokenizer_config.json", json!({"added_tokens_decoder": {"7": 7}}), "token 7"),
        ("tokenizer_config.json", json!({"eos_token": 7}), "a special token is 7, not a text"),
        ("tokenizer_config.json", json!({"fast_tokenizer_files": ["a", "b"]}), "one a version of transformers"),
        ("added_tokens.json", json!({"<tool>": "7"}), "`<tool>` has no id"),
        ("special_tokens_map.json", json!({"eos_token": {"content": 7}}), "a special token"),
        // transformers 5.24 and 4.57.3: "has to be either str or AddedToken", "Input must be a List[Union[str, AddedToken]]".
        ("tokenizer_config.json", json!({"eos_token": {"content": "<tool>"}}), "no version of transformers reads"),
        (
            "tokenizer_config.json",
            json!({"additional_special_tokens": [{"content": "<tool>"}]}),
            "reads: give its text",
        ),
        ("tokenizer_config.json", json!({"extra_special_tokens": {"x": {"content": "<tool>"}}}), "`\"__type\": "),
    ] {
        let error = read("bytelevel", &[(name, content)]).unwrap_err();
        assert!(error.contains(described), "{error}");
    }
    // Next to a tokenizer of another name no file is read.
    assert_eq!(
        read("bytelevel", &[]).unwrap().identity(),
        TextTokenizer::from_file(&path("bytelevel")).unwrap().identity()
    );
}

#[test]
fn dropout_is_off_and_told() {
    let folder = folder("bytelevel", |tokenizer| tokenizer["model"]["dropout"] = json!(0.9), &[]);
    let tokenizer = TextTokenizer::from_file(&folder.path().join("tokenizer.json")).unwrap();
    let plain = read("bytelevel", &[]).unwrap();
    for _ in 0..20 {
        assert_eq!(ids(&tokenizer, "hello under hello"), ids(&plain, "hello under hello"));
    }
    assert!(tokenizer.notes().any(|note| note.contains("dropout of 0.9")));
}

/// As Python's tokenizers 0.23.3 cut: `{1,3}+` repeats the group, `$` ends every line.
#[test]
fn patterns_mean_what_they_mean_to_python() {
    let with = |pattern: &str| {
        let split = json!({"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false});
        let change = |tokenizer: &mut Value| tokenizer["pre_tokenizer"]["pretokenizers"][0] = split;
        let folder = folder("bytelevel", change, &[]);
        TextTokenizer::from_file(&folder.path().join("tokenizer.json")).map_err(|e| e.to_string())
    };
    // `hello` is a token where no cut goes through it, and so are two ends of lines.
    for (pattern, whole, expected) in [
        (r"[a-z]{1,3}+", "hello", &[265][..]),
        (r"[a-z]{1,3}", "hello", &[263, 264]),
        (r"\n$", "\n\n\n\n", &[10, 10, 10, 10]),
        (r"\n\z", "\n\n\n\n", &[256, 10, 10]),
        (r"^h", "hello\nhello", &[104, 101, 108, 264, 10, 104, 101, 108, 264]),
    ] {
        assert_eq!(ids(&with(pattern).unwrap(), whole), expected, "{pattern}");
    }
    let rejected = with(r"\w+").unwrap_err();
    assert!(rejected.contains(r"its pattern `\w+` has `\w`"), "{rejected}");
}
