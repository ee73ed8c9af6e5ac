//! What configs mean, in both spellings, and what is rejected by name.

use serde_json::{Value, json, to_value};

use super::parse;
use crate::decoder::spec::{Activation, DecoderSpec, Norms, QkNorm, RopeScaling};

fn read(family: &str, fields: &Value) -> Result<DecoderSpec, String> {
    let mut config = json!({
        "model_type": family, "vocab_size": 100, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 6,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
    });
    for (field, value) in fields.as_object().into_iter().flatten() {
        config[field] = value.clone();
    }
    parse(config.as_object().ok_or("not an object")?, None)
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
fn what_is_not_implemented_is_rejected_by_name() {
    let rope = |object: Value| json!({ "rope_scaling": object });
    for (family, fields, name) in [
        ("llama", rope(json!({"type": "dynamic", "factor": 2.0})), "`dynamic`"),
        ("llama", rope(json!({"type": "mrope"})), "`mrope`"),
        ("llama", json!({"rope_parameters": {"full_attention": {"rope_type": "default"}}}), "`full_attention`"),
        ("llama", json!({"partial_rotary_factor": 0.5}), "`partial_rotary_factor`"),
        ("llama", rope(json!({"rope_type": "yarn"})), "`yarn` without a `factor`"),
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
        ("gemma", json!({}), "`model_type` gemma is"),
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
    let spec = parse(config.as_object().unwrap(), None).unwrap();
    assert_eq!((spec.heads, spec.kv_heads, spec.head_dim, spec.vocab), (8, 4, 256, 262_208));
    assert!(spec.tied_head && spec.windows[4] == Some(1024) && spec.windows[5].is_none());
    assert_eq!((spec.ropes[0].theta, spec.ropes[1].theta, spec.rope_of_layer[5]), (1e6, 1e4, Some(0)));
    let smollm3 = read("smollm3", &json!({})).unwrap();
    assert_eq!(smollm3.rope_of_layer, [Some(0), Some(0), Some(0), None, Some(0), Some(0)]);
    assert_eq!(smollm3.ropes[0].theta, 2e6);
    assert_eq!(read("phi3", &json!({})).unwrap().short_tokens(), None);
    // transformers takes a Mistral with layer types for a Ministral, and passes over those of a Phi-3.
    let types = ["full_attention", "sliding_attention"].repeat(3);
    let fields = json!({"layer_types": types, "sliding_window": 8});
    assert_eq!(read("mistral", &fields).unwrap().windows, [None, Some(8)].repeat(3));
    assert_eq!(read("phi3", &fields).unwrap().windows, [Some(8); 6]);
}

/// By transformers 5.24 and 4.57 (attn_factor, finetuned), 5.24 alone (both spellings at once).
#[test]
fn rope_fields_that_transformers_passes_over() {
    let yarn = json!({"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64});
    let plain = read("qwen2", &json!({ "rope_scaling": yarn })).unwrap();
    assert!(plain.passed_over.is_empty());
    for (field, value) in [("attn_factor", json!(0.878)), ("finetuned", json!(true)), ("mrope_section", json!([1, 2]))]
    {
        let mut more = yarn.clone();
        more[field] = value.clone();
        let spec = read("qwen2", &json!({ "rope_scaling": more })).unwrap();
        assert_eq!(
            spec.passed_over,
            [format!("the rope field `{field}` ({value}) is passed over, as by transformers")]
        );
        assert_eq!(spec.ropes, plain.ropes);
    }
    let both =
        read("qwen2", &json!({"rope_scaling": yarn, "rope_parameters": {"rope_type": "default", "rope_theta": 7.0}}));
    assert_eq!(both.unwrap().ropes, plain.ropes);
    let empty =
        read("qwen2", &json!({"rope_scaling": {}, "rope_parameters": {"rope_type": "default", "rope_theta": 7.0}}));
    assert_eq!(empty.unwrap().ropes[0].theta, 7.0);
}

/// By transformers 5.24, which reads everything of the object of one kind of layer there, and `truncate` around both.
#[test]
fn ropes_of_kinds_of_layers_are_read_by_themselves() {
    let tokens = "original_max_position_embeddings";
    let gemma = |full: &Value, more: &Value| {
        let mut fields =
            json!({"rope_parameters": {"full_attention": full, "sliding_attention": {"rope_type": "default"}}});
        fields.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        read("gemma3_text", &fields).unwrap()
    };
    let yarn = json!({"rope_type": "yarn", "factor": 8.0, tokens: 64, "rope_theta": 1e4});
    let llama3 =
        json!({"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, tokens: 64});
    let factors = vec![1.5; 128];
    let long = json!({"rope_type": "longrope", "short_factor": factors, "long_factor": factors, tokens: 64});
    for own in [yarn, llama3, long] {
        let plain = gemma(&own, &json!({}));
        assert_eq!(plain.ropes, gemma(&own, &json!({ tokens: 2048 })).ropes, "{own}");
        let (mut none, mut whole) = (own.clone(), own.clone());
        none.as_object_mut().unwrap().remove(tokens);
        whole[tokens] = json!(4096);
        assert_eq!(gemma(&none, &json!({ tokens: 2048 })).ropes, gemma(&whole, &json!({})).ropes, "{own}");
        // Elsewhere the config around the object comes first.
        if own["rope_type"] != "longrope" {
            let flat = |tokens: Value| read("llama", &tokens).unwrap().ropes;
            let mut moved = own.clone();
            moved[tokens] = json!(2048);
            assert_eq!(flat(json!({"rope_parameters": own, tokens: 2048})), flat(json!({ "rope_parameters": moved })));
        }
        if own["rope_type"] == "yarn" {
            let mut cut = own.clone();
            cut["truncate"] = json!(false);
            let spec = gemma(&cut, &json!({}));
            assert_eq!(spec.ropes, plain.ropes);
            let described =
                "the rope field `truncate` (false) is passed over, as by transformers 5 of one kind of layer";
            assert_eq!(spec.passed_over, [described]);
            let flat = |object: &Value| read("llama", &json!({ "rope_parameters": object })).unwrap().ropes;
            assert_ne!(flat(&cut), flat(&own));
        }
    }
    let long = |tokens: usize| json!({"rope_type": "longrope", "short_factor": factors, "long_factor": factors, "original_max_position_embeddings": tokens});
    let both = |a, b| {
        read("gemma3_text", &json!({"rope_parameters": {"full_attention": long(a), "sliding_attention": long(b)}}))
    };
    assert_eq!(both(64, 64).unwrap().short_tokens(), Some(64));
    assert!(both(64, 128).unwrap_err().contains("is 64 of some layers and 128 of others"));
}

#[test]
fn what_two_versions_of_transformers_read_otherwise_is_rejected() {
    for (family, fields, name) in [
        ("llama", json!({"rope_scaling": {"rope_type": "linear", "type": "default", "factor": 2.0}}), "`rope_type`"),
        ("gemma3_text", json!({"rope_scaling": {"type": "linear", "factor": 8.0}}), "`rope_type`"),
        ("gemma3_text", json!({"rope_parameters": {"rope_type": "linear", "factor": 8.0}}), "`rope_parameters`"),
        ("llama", json!({"is_causal": false}), "`is_causal`"),
        ("llama", json!({"transformers_weights": "other.safetensors"}), "`transformers_weights`"),
        ("llama", json!({"per_layer_config": {"0": {"hidden_act": "gelu"}}}), "`per_layer_config`"),
        ("llama", json!({"rope_theta": "Infinity"}), "`rope_theta` is \"Infinity\""),
    ] {
        let error = read(family, &fields).expect_err(name);
        assert!(error.contains(name), "{family} {fields}: {error}");
    }
    for empty in [json!({}), json!({"0": {}})] {
        assert!(read("llama", &json!({"per_layer_config": empty})).is_ok());
    }
    for (family, field) in [("llama", "rms_norm_eps"), ("gemma2", "hidden_activation"), ("qwen3", "head_dim")] {
        let config = json!({"model_type": family, field: null});
        let error = super::reject_nulls(config.as_object().unwrap()).unwrap_err();
        assert!(error.starts_with(&format!("`{field}` is null")), "{error}");
    }
    let unread = json!({"model_type": "llama", "hidden_activation": null, "head_dim": null});
    assert_eq!(super::reject_nulls(unread.as_object().unwrap()), Ok(()));
    // Another family's field.
    let llama = read("llama", &json!({"hidden_activation": "gelu_pytorch_tanh", "hidden_act": "silu"})).unwrap();
    assert_eq!(llama.activation, Activation::Silu);
    assert!(read("qwen2", &json!({"qkv_bias": false})).unwrap().qkv_bias);
    assert!(!read("qwen2_moe", &json!({"qkv_bias": false})).unwrap().qkv_bias);
}

#[test]
fn a_family_that_is_not_known_is_named_wherever_its_config_is() {
    let described = |config: Value| parse(config.as_object().unwrap(), None).unwrap_err();
    let known = "is not one that tokshift knows: known are gemma2, ";
    for (config, name) in [
        (json!({"model_type": "mamba"}), "`model_type` mamba "),
        (
            json!({"model_type": "qwen2_5_vl", "text_config": {"model_type": "qwen2_5_vl_text"}}),
            "qwen2_5_vl (text part qwen2_5_vl_text) ",
        ),
        (
            json!({"model_type": "internvl_chat", "llm_config": {"model_type": "qwen2"}}),
            "internvl_chat (text part qwen2) ",
        ),
        (
            json!({"model_type": "omni", "thinker_config": {"model_type": "t", "text_config": {"model_type": "omni_text"}}}),
            "`model_type` omni (text part omni_text) ",
        ),
        (json!({"architectures": ["RwkvForCausalLM"]}), "no `model_type` (`architectures` names RwkvForCausalLM) "),
        (json!({}), "no `model_type` "),
    ] {
        let error = described(config);
        assert!(error.contains(name), "{error}");
        assert!(error.contains(known), "{error}");
    }
}

/// A count of dimensions stays the number that it is, whatever it is of the head's size.
#[test]
fn rotary_sizes_of_gguf_are_integers() {
    let sizes = (2..=256).step_by(2).flat_map(|head| (2..=head).step_by(2).map(move |rotated| (head, rotated)));
    for (head, rotated) in sizes {
        let keys = [
            ("block_count", 1),
            ("context_length", 64),
            ("embedding_length", 2 * head),
            ("feed_forward_length", 8),
            ("attention.head_count", 2),
            ("attention.key_length", head),
            ("rope.dimension_count", rotated),
        ];
        let keys = keys.map(|(key, n)| (format!("phi3.{key}"), crate::gguf::Value::Unsigned(n)));
        let architecture = ("general.architecture".to_owned(), crate::gguf::Value::Text("phi3".to_owned()));
        let embedding = crate::gguf::TensorInfo {
            kind: candle_core::quantized::GgmlDType::F32,
            shape: vec![10, 2 * head as usize],
            offset: 0,
            bytes: 0,
        };
        let header = crate::gguf::Header {
            path: "m.gguf".into(),
            metadata: keys.into_iter().chain([architecture]).collect(),
            tensors: [("token_embd.weight".to_owned(), embedding)].into(),
        };
        let spec = super::read_gguf(&header, |_| Ok(None)).unwrap();
        assert_eq!((spec.head_dim, spec.ropes[0].rotary_dim), (head as usize, rotated as usize));
    }
}

/// transformers keeps the factor in the type of the weights, llama.cpp in f32.
#[test]
fn gemma_rounds_its_embedding_factor_to_the_type_of_its_weights() {
    use candle_core::DType;
    // By torch: torch.tensor(3840 ** 0.5, dtype=torch.bfloat16).
    for (hidden, bf16) in
        [(1152, 34.0), (2304, 48.0), (2560, 50.5), (3584, 59.75), (3840, 62.0), (4608, 68.0), (5376, 73.5)]
    {
        let spec = read("gemma2", &json!({"hidden_size": hidden, "rms_norm_eps": 1e-6})).unwrap();
        assert_eq!(spec.embedding_scale_in(DType::F32), f64::from(hidden).sqrt());
        assert_eq!(spec.embedding_scale_in(DType::BF16), bf16);
    }
    let granite = read("granite", &json!({"embedding_multiplier": 12.1})).unwrap();
    assert_eq!(granite.embedding_scale_in(DType::BF16), 12.1);
}

/// Scripts read them in `inspect --json`.
#[test]
fn words_do_not_follow_the_names_of_variants() {
    let words = |values: Vec<serde_json::Result<serde_json::Value>>| -> Vec<_> {
        values.into_iter().map(Result::unwrap).collect()
    };
    let activations = [Activation::Silu, Activation::GeluTanh].map(to_value).into();
    assert_eq!(words(activations), ["silu", "gelu_tanh"]);
    let norms = [Norms::Before, Norms::After, Norms::BeforeAndAfter].map(to_value).into();
    assert_eq!(words(norms), ["before", "after", "before_and_after"]);
    let qk_norms = [QkNorm::None, QkNorm::Head, QkNorm::Projection].map(to_value).into();
    assert_eq!(words(qk_norms), ["none", "head", "projection"]);
    let (factor, low_freq_factor, high_freq_factor, original_max_tokens) = (8.0, 1.0, 4.0, 64.0);
    let scalings = [
        RopeScaling::None,
        RopeScaling::Each { factors: vec![2.0] },
        RopeScaling::Linear { factor },
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_tokens },
        RopeScaling::Yarn { factor, ramp: (1.0, 2.0) },
        RopeScaling::LongRope { short: vec![1.0], long: vec![2.0], original_max_tokens: 80 },
    ];
    let expected = [
        json!("none"),
        json!({"each": {"factors": [2.0]}}),
        json!({"linear": {"factor": 8.0}}),
        json!({"llama3": {
            "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_tokens": 64.0
        }}),
        json!({"yarn": {"factor": 8.0, "ramp": [1.0, 2.0]}}),
        json!({"long_rope": {"short": [1.0], "long": [2.0], "original_max_tokens": 80}}),
    ];
    assert_eq!(words(scalings.map(to_value).into()), expected);
}
