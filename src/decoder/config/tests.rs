//! What configs mean, in both spellings, and what is refused by name.

use serde_json::{Value, json};

use super::parse;
use crate::decoder::spec::{DecoderSpec, RopeScaling};

fn read(family: &str, fields: &Value) -> Result<DecoderSpec, String> {
    let mut config = json!({
        "model_type": family, "vocab_size": 100, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 6,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        config[field] = value.clone();
    }
    parse(config.as_object().ok_or("not an object")?)
}

#[test]
fn both_spellings_of_rope_mean_the_same() {
    let scaling = json!({"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                         "original_max_position_embeddings": 512});
    for kind in ["llama3", "yarn", "linear"] {
        let (mut old, mut new) = (scaling.clone(), scaling.clone());
        old["type"] = json!(kind);
        new["rope_type"] = json!(kind);
        new["rope_theta"] = json!(5e5);
        let old = read("llama", &json!({"rope_scaling": old, "rope_theta": 5e5})).unwrap();
        assert_eq!(old, read("llama", &json!({"rope_parameters": new})).unwrap());
        assert_ne!(old.ropes[0].scaling, RopeScaling::None);
    }
    let old = json!({"rope_theta": 1e6, "rope_local_base_freq": 2e4, "sliding_window_pattern": 3,
                     "rope_scaling": {"rope_type": "linear", "factor": 8.0}});
    let kinds = ["sliding_attention", "sliding_attention", "full_attention"].repeat(2);
    let new = json!({"layer_types": kinds, "rope_parameters": {
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
        "sliding_attention": {"rope_type": "default", "rope_theta": 2e4},
    }});
    assert_eq!(read("gemma3_text", &old).unwrap(), read("gemma3_text", &new).unwrap());
}

#[test]
fn what_is_not_implemented_is_refused_by_name() {
    let rope = |object: Value| json!({ "rope_scaling": object });
    for (family, fields, name) in [
        ("llama", rope(json!({"type": "dynamic", "factor": 2.0})), "`dynamic`"),
        ("llama", rope(json!({"type": "mrope"})), "`mrope`"),
        ("llama", rope(json!({"type": "default", "mrope_section": [1, 2]})), "`mrope_section`"),
        ("llama", json!({"rope_parameters": {"full_attention": {"rope_type": "default"}}}), "`full_attention`"),
        ("llama", json!({"partial_rotary_factor": 0.5}), "`partial_rotary_factor`"),
        ("phi3", rope(json!({"type": "su", "short_factor": [1.0], "long_factor": [1.0]})), "`short_factor`"),
        ("qwen2", json!({"use_mrope": true}), "`use_mrope`"),
        ("gemma3_text", json!({"attn_logit_softcapping": 50.0}), "`attn_logit_softcapping`"),
        ("gemma2", json!({"use_bidirectional_attention": true}), "`use_bidirectional_attention`"),
        ("gemma2", json!({"hidden_activation": "relu"}), "`hidden_activation`"),
        ("smollm3", json!({"no_rope_layers": [1, 0]}), "`no_rope_layers`"),
        ("mixtral", json!({"num_experts_per_tok": 9}), "`num_experts_per_tok`"),
        ("llama", json!({"num_hidden_layers": 1_000_000_000}), "`num_hidden_layers`"),
        ("llama", json!({"num_hidden_layers": 100_000}), "`num_hidden_layers`"),
        ("gemma3", json!({}), "`text_config`"),
        ("gemma", json!({}), "`gemma`"),
    ] {
        let error = read(family, &fields).expect_err(name);
        assert!(error.contains(name), "{family} {fields}: {error}");
    }
}

#[test]
fn published_configs_that_leave_fields_out() {
    let text = json!({"hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34, "sliding_window": 1024,
                      "model_type": "gemma3_text", "rope_scaling": {"factor": 8.0, "rope_type": "linear"}});
    let config = json!({"model_type": "gemma3", "text_config": text});
    let spec = parse(config.as_object().unwrap()).unwrap();
    assert_eq!((spec.heads, spec.kv_heads, spec.head_dim, spec.vocab), (8, 4, 256, 262_208));
    assert!(spec.tied_head && spec.windows[4] == Some(1024) && spec.windows[5].is_none());
    assert_eq!((spec.ropes[0].theta, spec.ropes[1].theta, spec.rope_of_layer[5]), (1e6, 1e4, Some(0)));
    let smollm3 = read("smollm3", &json!({})).unwrap();
    assert_eq!(smollm3.rope_of_layer, [Some(0), Some(0), Some(0), None, Some(0), Some(0)]);
    assert_eq!(smollm3.ropes[0].theta, 2e6);
    assert_eq!(read("phi3", &json!({})).unwrap().short_tokens(), None);
}
