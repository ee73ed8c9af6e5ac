//! Files that versions of transformers read otherwise: which version is followed, and what is noted. What is expected here was given by
//! transformers 5.24 and, where it says so, by 4.57.3, of the same files.

use serde_json::{Value, json};
use tokshift::tokenize::{Bos, TextTokenizer};

use super::config_files::{folder, ids, read};
use super::{JOINT, text};

/// What the tokenizer says of how it was read, and its ids of a text.
fn described(
    fixture: &str,
    change: impl FnOnce(&mut Value),
    files: &[(&str, Value)],
    whole: &str,
) -> (Vec<u32>, String) {
    let folder = folder(fixture, change, files);
    let tokenizer = TextTokenizer::from_file(&folder.path().join("tokenizer.json")).unwrap();
    let notes: Vec<String> = tokenizer.notes().map(|note| format!("{note}\n")).collect();
    (ids(&tokenizer, whole), notes.concat())
}

/// transformers 5.24, of the same files; 4.57.3 takes what a list has for special, and adds no `x_token`.
#[test]
fn special_tokens_that_versions_take_otherwise_are_told() {
    let config = |more: Value| {
        let mut config = json!({"tokenizer_class": "PreTrainedTokenizerFast"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        [("tokenizer_config.json", config)]
    };
    let spelled = [60, 116, 111, 111, 108, 62];
    let listed = json!([{"__type": "AddedToken", "content": "<tool>"}]);
    let split = |list: &Value| config(json!({"additional_special_tokens": list, "split_special_tokens": true}));
    let (whole, notes) = described("bytelevel", |_| {}, &split(&listed), "<tool>");
    assert_eq!((whole, notes.matches("no special token, as it is listed").count()), (vec![275], 1), "{notes}");
    let special = json!([{"__type": "AddedToken", "content": "<tool>", "special": true}]);
    for list in [special, json!(["<tool>"])] {
        assert_eq!(described("bytelevel", |_| {}, &split(&list), "<tool>"), (spelled.to_vec(), String::new()));
    }
    // Without a normaliser, and where none are split, all is one.
    let plain = config(json!({"additional_special_tokens": listed}));
    assert_eq!(described("bytelevel", |_| {}, &plain, "<tool>"), (vec![275], String::new()));
    let lower = |tokenizer: &mut Value| tokenizer["normalizer"] = json!({"type": "Lowercase"});
    let (whole, notes) = described("bytelevel", lower, &plain, "<TOOL><tool>");
    assert_eq!((whole, notes.contains("transformers 4 takes it for a special one")), (vec![275, 275], true), "{notes}");
    let (whole, notes) = described("bytelevel", |_| {}, &config(json!({"tool_token": "<tool>"})), "<tool>");
    assert_eq!((whole, notes.contains("transformers 4 spells it")), (vec![275], true), "{notes}");
    // The map's are special; of those that it lists, transformers 5.24 reads no objects.
    let map = |map: Value| {
        [config(json!({}))[0].clone(), ("added_tokens.json", json!({"<tool>": 275})), ("special_tokens_map.json", map)]
    };
    let (whole, notes) = described("bytelevel", |_| {}, &map(json!({"eos_token": {"content": "<tool>"}})), "<tool>");
    assert_eq!((whole, notes), (vec![275], String::new()));
    let objects = map(json!({"additional_special_tokens": [{"content": "<tool>"}]}));
    let (whole, notes) = described("bytelevel", lower, &objects, "<tool><TOOL>");
    let expected = [&[275], &spelled[..]].concat();
    assert_eq!((whole, notes.contains("which transformers 5 cannot read")), (expected, true), "{notes}");
    let (whole, notes) =
        described("bytelevel", lower, &map(json!({"additional_special_tokens": ["<tool>"]})), "<TOOL>");
    assert_eq!((whole, notes.contains("as it is of added_tokens.json")), (vec![275], true), "{notes}");
    // Llama's class of transformers 5 has no normaliser, so that both versions find the token between others.
    let mut llama = map(json!({"additional_special_tokens": ["<tool>"]}));
    llama[0].1 = json!({"tokenizer_class": "LlamaTokenizer"});
    let prepend = |tokenizer: &mut Value| tokenizer["normalizer"] = json!({"type": "Prepend", "prepend": "▁"});
    let (whole, notes) = described("sentencepiece", prepend, &llama, "a<tool>a");
    assert!(whole.contains(&302), "{whole:?} {notes}");
}

/// A space before every text, which tokenizer_config.json asks for or not: transformers 5.24 and 4.57.3, of the same files.
#[test]
fn a_space_before_a_text_is_put_as_transformers_puts_it() {
    let bytes = |is: bool| {
        move |tokenizer: &mut Value| {
            tokenizer["normalizer"] = Value::Null;
            tokenizer["pre_tokenizer"] =
                json!({"type": "ByteLevel", "add_prefix_space": is, "trim_offsets": true, "use_regex": true});
        }
    };
    let config = |class: &str, space: Option<bool>| {
        let space = space.map_or_else(|| json!({}), |is| json!({"add_prefix_space": is}));
        let mut config = json!({"tokenizer_class": class});
        config.as_object_mut().unwrap().extend(space.as_object().unwrap().clone());
        [("tokenizer_config.json", config)]
    };
    // Classes that cut bytes by a rule of their own: both versions go by the config, where there is no word in it too.
    for class in ["GPT2TokenizerFast", "CodeGenTokenizer", "RobertaTokenizer"] {
        for (own, requested, begins) in
            [(true, None, false), (true, Some(false), false), (false, Some(true), true), (true, Some(true), true)]
        {
            let (whole, notes) = described("bytelevel", bytes(own), &config(class, requested), "q");
            let expected = if begins { vec![32, 113] } else { vec![113] };
            assert_eq!((whole, notes), (expected, String::new()), "{class} {own} {requested:?}");
        }
    }
    // Others: transformers 5 goes by the file, 4 by the config.
    for (own, requested, is_told) in
        [(true, None, 1), (true, Some(false), 1), (false, Some(true), 1), (false, None, 0), (true, Some(true), 0)]
    {
        let (whole, notes) = described("bytelevel", bytes(own), &config("PreTrainedTokenizerFast", requested), "q");
        let expected = if own { vec![32, 113] } else { vec![113] };
        assert_eq!(
            (whole, notes.matches("transformers 4 puts").count()),
            (expected, is_told),
            "{own} {requested:?}: {notes}"
        );
    }
    let (whole, notes) = described("bytelevel", bytes(true), &config("LlamaTokenizerFast", None), "q");
    assert_eq!((whole, notes.contains("space")), (vec![32, 113], false), "{notes}");
}

/// Llama's class with `add_prefix_space`: both versions pass over what tokenizer.json says of the space.
#[test]
fn a_llama_begins_texts_as_its_config_says() {
    let scheme = |name: &'static str| {
        move |tokenizer: &mut Value| {
            tokenizer["normalizer"] = Value::Null;
            tokenizer["pre_tokenizer"] =
                json!({"type": "Metaspace", "replacement": "▁", "prepend_scheme": name, "split": false});
        }
    };
    let files = |more: Value, family: &str| {
        let mut config = json!({"tokenizer_class": "LlamaTokenizer", "bos_token": null});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        [("tokenizer_config.json", config), ("config.json", json!({"model_type": family}))]
    };
    let begin = |own: &'static str, more: Value, family: &str| {
        let (whole, notes) = described("sentencepiece", scheme(own), &files(more, family), "q");
        (whole, notes.matches("tokenizer.model where").count())
    };
    let file = |own: &'static str| begin(own, json!({}), "mistral").0;
    let (with, without) = (file("first"), file("never"));
    assert_ne!(with, without);
    for own in ["first", "never", "always"] {
        assert_eq!(begin(own, json!({"add_prefix_space": false}), "llama"), (without.clone(), 0), "{own}");
        assert_eq!(begin(own, json!({"add_prefix_space": true, "legacy": false}), "llama"), (with.clone(), 0), "{own}");
        assert_eq!(begin(own, json!({"add_prefix_space": true}), "llama"), (with.clone(), 1), "{own}");
    }
    // Of this family transformers 5 reads the file whatever the class.
    assert_eq!(begin("first", json!({"add_prefix_space": false}), "mistral"), (with.clone(), 1));
    assert_eq!(begin("first", json!({"add_prefix_space": true, "legacy": false}), "mistral"), (with, 0));
}

/// The class of transformers 5.24 is that of the model's family, whatever the tokenizer's config names.
#[test]
fn a_class_of_transformers_5_goes_by_the_family() {
    let notes = |fixture: &str, class: &str, family: &str| {
        let files = [
            ("tokenizer_config.json", json!({"tokenizer_class": class})),
            ("config.json", json!({"model_type": family})),
        ];
        let (_, notes) = described(fixture, |_| {}, &files, "a");
        notes
            .lines()
            .find(|note| note.contains("rules of its own"))
            .map(|note| note.split(' ').nth(5).unwrap().to_owned())
    };
    assert_eq!(notes("bytelevel", "LlamaTokenizerFast", "qwen2").as_deref(), Some("Qwen2Tokenizer"));
    assert_eq!(notes("bytelevel", "LlamaTokenizerFast", "llama"), None);
    assert_eq!(notes("bytelevel", "GPT2Tokenizer", "granite"), None);
    assert_eq!(notes("bytelevel", "GPT2Tokenizer", "llama").as_deref(), Some("GPT2Tokenizer"));
    assert_eq!(notes("bytelevel", "GPTNeoXTokenizer", "llama").as_deref(), Some("GPTNeoXTokenizer"));
    assert_eq!(notes("bytelevel", "CohereTokenizerFast", "llama").as_deref(), Some("CohereTokenizer"));
}

/// DeepSeek V3's files: a BOS by the config alone. transformers 5.24 puts none, 4.57.3 one.
#[test]
fn a_bos_that_versions_disagree_on_is_told_and_chosen() {
    let files = [(
        "tokenizer_config.json",
        json!({
            "tokenizer_class": "LlamaTokenizerFast", "bos_token": "<|endoftext|>", "add_bos_token": true,
            "eos_token": null, "unk_token": null,
        }),
    )];
    let notes = |tokenizer: &TextTokenizer| tokenizer.notes().map(str::to_owned).collect::<Vec<_>>().concat();
    let auto = read("bytelevel", &files).unwrap();
    assert_eq!(ids(&auto, "a"), [97]);
    assert!(notes(&auto).contains("--bos always or --bos never decides"), "{}", notes(&auto));
    let always = read("bytelevel", &files).unwrap().with_bos(Bos::Always).unwrap();
    assert_eq!((ids(&always, "a"), notes(&always)), (vec![272, 97], String::new()));
    let never = read("bos", &[]).unwrap().with_bos(Bos::Never).unwrap();
    assert_eq!((ids(&never, "a"), text(&never, "a", "b", &JOINT).context().len()), (vec![97], 1));
    assert_eq!(ids(&read("bos", &[]).unwrap().with_bos(Bos::Always).unwrap(), "a"), [272, 97]);
    let none = read("bytelevel", &[]).unwrap().with_bos(Bos::Always).unwrap_err();
    assert!(none.contains("names no BOS"), "{none}");
    let rejected = [("tokenizer_config.json", json!({"add_bos_token": false, "bos_token": "<|begin_of_text|>"}))];
    assert!(notes(&read("bos", &rejected).unwrap()).contains("asks for no BOS"));
}

#[test]
fn what_a_class_of_transformers_5_makes_otherwise_is_told() {
    let notes = |fixture: &str, class: &str| {
        let files = [("tokenizer_config.json", json!({"tokenizer_class": class}))];
        read(fixture, &files).unwrap().notes().filter(|note| note.contains("rules of its own")).count()
    };
    assert_eq!(notes("sentencepiece", "LlamaTokenizer"), 1);
    assert_eq!(notes("bytelevel", "GPT2TokenizerFast"), 1);
    // Byte-level vocabularies are left alone, and so are classes without rules.
    assert_eq!(notes("bytelevel", "LlamaTokenizer"), 0);
    assert_eq!(notes("sentencepiece", "PreTrainedTokenizerFast"), 0);
    assert_eq!(notes("nfc", "Qwen2Tokenizer"), 0);
}

/// Tokens that a class has by itself and the vocabulary lacks are added, in the order of their names. transformers 5.24, of
/// the same files; what is not noted is the same in 4.57.3.
#[test]
fn tokens_of_the_class_are_added() {
    let new = |class: &str, whole: &str| {
        let config = json!({"tokenizer_class": class, "eos_token": "<|im_end|>", "pad_token": "<mypad>"});
        let (ids, notes) = described("bos", |_| {}, &[("tokenizer_config.json", config)], whole);
        let notes: Vec<_> =
            notes.lines().filter(|note| !note.contains("rules of its own")).map(str::to_owned).collect();
        (ids[1..].to_vec(), notes)
    };
    let none = Vec::<String>::new();
    for class in ["GPT2TokenizerFast", "CodeGenTokenizerFast", "Qwen2TokenizerFast", "GPTNeoXTokenizerFast"] {
        let (ids, notes) = new(class, "<|endoftext|><mypad>");
        assert_eq!(ids, [276, 277], "{class}");
        assert_eq!(notes.iter().filter(|note| note.contains("endoftext")).count(), 0, "{class}: {notes:?}");
    }
    assert_eq!(new("PreTrainedTokenizerFast", "<mypad>"), (vec![276], none));
    let (ids, notes) = new("CohereTokenizerFast", "<BOS_TOKEN><UNK><SEP><mypad><CLS><MASK_TOKEN>");
    assert_eq!(ids, [276, 277, 278, 279, 280, 281]);
    assert!(
        notes.iter().any(|note| note.starts_with("`<SEP>` (and 2 more) is a token of the vocabulary")),
        "{notes:?}"
    );
    let (ids, notes) = new("LlamaTokenizerFast", "<mypad>");
    assert_eq!(ids, [276]);
    assert!(notes.iter().any(|note| note.starts_with("`<s>` (and 1 more) is no special token")), "{notes:?}");
}

/// Qwen2's class of transformers 5.24 adds the special tokens that have a name or are listed once more, as texts alone;
/// 4.57.3 keeps their flags.
#[test]
fn special_tokens_of_qwen2_have_no_other_flags() {
    let qwen2 = |flags: Value, more: Value| {
        let mut tool = json!({
            "id": 275, "content": "<tool>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false,
            "special": true,
        });
        tool.as_object_mut().unwrap().extend(flags.as_object().unwrap().clone());
        let mut config = json!({"tokenizer_class": "Qwen2TokenizerFast", "eos_token": "<|im_end|>"});
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let add = |tokenizer: &mut Value| tokenizer["added_tokens"].as_array_mut().unwrap().push(tool);
        let (ids, notes) = described("nfc", add, &[("tokenizer_config.json", config)], "Q <tool> a");
        (ids, notes.matches("`<tool>` is a special token without other flags").count())
    };
    let strips = json!({"lstrip": true, "rstrip": true});
    let (apart, joined) = (vec![81, 32, 275, 32, 97], vec![81, 275, 97]);
    let typed = json!({"__type": "AddedToken", "content": "<tool>", "lstrip": true, "rstrip": true, "special": true});
    for names in [
        json!({"additional_special_tokens": ["<tool>"]}),
        json!({"additional_special_tokens": [typed]}),
        json!({"extra_special_tokens": {"foo": "<tool>"}}),
        json!({"tool_token": "<tool>"}),
        json!({"pad_token": "<tool>"}),
    ] {
        assert_eq!(qwen2(strips.clone(), names.clone()), (apart.clone(), 1), "{names}");
    }
    let plain = json!({"lstrip": true, "rstrip": true, "special": false});
    let listed = json!({"additional_special_tokens": ["<tool>"]});
    assert_eq!(qwen2(plain, listed.clone()), (apart.clone(), 1));
    assert_eq!(qwen2(json!({}), listed), (apart, 0));
    // What no file calls special keeps them.
    assert_eq!(qwen2(strips.clone(), json!({})), (joined, 0));
}
