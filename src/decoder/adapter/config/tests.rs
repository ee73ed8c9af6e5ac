//! What PEFT's fields mean, and that whatever else they may say is an error that names it.

use serde_json::{Value, json};

use super::LoraConfig;

fn with(fields: &Value) -> Result<LoraConfig, String> {
    let mut config = json!({"peft_type": "LORA", "r": 4, "lora_alpha": 6, "target_modules": ["q_proj", "lm_head"]});
    config.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    LoraConfig::parse(config.as_object().unwrap())
}

const Q0: &str = "model.layers.0.self_attn.q_proj";
const Q1: &str = "model.layers.1.self_attn.q_proj";

#[test]
fn the_first_pattern_that_a_name_ends_with_decides() {
    let config = with(&json!({
        "rank_pattern": {"layers.[0-9].*.q_proj": 9, "q_proj": 16}, "alpha_pattern": {"0.self_attn.q_proj": 3, "proj": 100},
    }));
    let config = config.unwrap();
    assert_eq!(config.of(Q0), Ok((9, 3.0 / 9.0)));
    // "proj" is not the end from a dot on.
    assert_eq!(config.of(Q1), Ok((9, 6.0 / 9.0)));
    assert_eq!(config.of("lm_head"), Ok((4, 1.5)));
    let stabilised = with(&json!({"use_rslora": true, "rank_pattern": {"q_proj": 9}})).unwrap();
    assert_eq!((stabilised.of(Q0), stabilised.of("lm_head")), (Ok((9, 2.0)), Ok((4, 3.0))));
}

#[test]
fn modules_are_listed_or_matched() {
    let takes = |fields: &Value, module| with(fields).unwrap().of(module).is_ok();
    assert!(takes(&json!({}), Q0) && !takes(&json!({}), "model.layers.0.self_attn.k_proj"));
    assert!(!takes(&json!({"target_modules": ["proj"]}), Q0));
    let pattern = json!({"target_modules": r"model\.layers\.1\..*_proj"});
    assert!(takes(&pattern, Q1) && !takes(&pattern, Q0));
    assert!(takes(&json!({"target_modules": "all-linear"}), Q0));
    assert!(!takes(&json!({"exclude_modules": ["0.self_attn.q_proj"]}), Q0));
    for layers in [json!(1), json!([1, 3])] {
        for pattern in [json!("layers"), json!(["blocks", "layers"]), json!("l[a-z]+s"), json!(null), json!([])] {
            let fields = json!({"layers_to_transform": layers, "layers_pattern": pattern});
            assert!(takes(&fields, Q1) && !takes(&fields, Q0), "{fields}");
            // As PEFT: what is named wholly is taken whatever the layers are.
            assert!(takes(&fields, "lm_head"), "{fields}");
            assert!(!takes(&fields, "model.lm_head"), "{fields}");
            let whole =
                json!({"target_modules": [Q0, "q_proj"], "layers_to_transform": layers, "layers_pattern": pattern});
            assert!(
                takes(&whole, Q0) && takes(&whole, Q1) && !takes(&whole, "model.layers.2.self_attn.q_proj"),
                "{whole}"
            );
        }
        let other = json!({"layers_to_transform": layers, "layers_pattern": "blocks"});
        assert!(!takes(&other, Q1));
    }
    // PEFT leaves the head out of "all-linear".
    assert!(!takes(&json!({"target_modules": "all-linear"}), "lm_head"));
    assert!(!takes(&json!({"target_modules": "all-linear"}), "model.embed_tokens"));
    let without_1 = json!({"target_modules": r"^(?!.*\.1\.).*\.(?:q_proj|k_proj)$"});
    assert!(takes(&without_1, Q0) && !takes(&without_1, Q1));
}

#[test]
fn another_arithmetic_is_named() {
    for (field, value) in [
        ("peft_type", json!("LOHA")),
        ("bias", json!("lora_only")),
        ("use_dora", json!(true)),
        ("lora_bias", json!(true)),
        ("fan_in_fan_out", json!(true)),
        ("modules_to_save", json!(["lm_head"])),
        ("trainable_token_indices", json!([1])),
        ("target_parameters", json!(["mlp.experts.gate_up_proj"])),
        ("layer_replication", json!([[0, 2]])),
        ("alora_invocation_tokens", json!([3])),
        ("use_qalora", json!(true)),
        ("something_new", json!(0.5)),
        ("init_lora_weights", json!("pissa_niter_4")),
        ("init_lora_weights", json!("olora")),
        ("init_lora_weights", json!("loftq")),
        ("layers_pattern", json!("blocks")),
        ("r", json!(0)),
        ("r", json!(1_u64 << 40)),
        ("r", json!(-8)),
        ("lora_alpha", json!("16")),
        ("rank_pattern", json!({"(": 3})),
        ("rank_pattern", json!({"q_proj": 1.5})),
        ("target_modules", json!(7)),
        ("target_modules", json!(r"\p{L}")),
        ("target_modules", json!("(")),
    ] {
        let error = with(&json!({field: value})).unwrap_err();
        assert!(error.contains(&format!("`{field}`")), "{field}: {error}");
    }
    let off = json!({
        "bias": "none", "use_dora": false, "modules_to_save": null, "something_new": [], "init_lora_weights": true,
        "loftq_config": {}, "lora_dropout": 0.1,
    });
    assert!(with(&off).is_ok());
    assert!(with(&json!({"rank_pattern": {"q_proj": 0}})).unwrap().of(Q0).unwrap_err().contains("rank 0"));
}
