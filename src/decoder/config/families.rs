//! What each model family adds to the fields that all families share.
//!
//! Owns the placement of norms, biases, windows, tensor names, and the defaults of fields that a config may omit. Not
//! here: the list of families (`known`).

use serde_json::{Map, Value, json};

use crate::decoder::config::fields::{Config, Parsed};
use crate::decoder::names;
use crate::decoder::spec::{DecoderSpec, Norms, QkNorm};

impl Config<'_> {
    /// Puts what `family` has of its own into `spec`, which has what all have in common. Experts and rotary embeddings
    /// aside.
    pub fn of_family(self, spec: &mut DecoderSpec, family: &str) -> Parsed<()> {
        match family {
            "llama" => self.llama(spec)?,
            "granite" => self.granite(spec)?,
            "smollm3" => self.smollm3_layers(spec)?,
            "mistral" => self.ministral(spec)?,
            "mixtral" => self.mixtral(spec)?,
            "phi3" => self.phi3(spec)?,
            "qwen2" => self.qwen2(spec)?,
            "qwen2_moe" => self.qwen2_moe(spec)?,
            "qwen3" => self.qwen3(spec)?,
            "qwen3_moe" => self.qwen3_moe(spec)?,
            "gemma2" => self.gemma2(spec)?,
            "gemma3_text" => self.gemma3(spec)?,
            "olmo2" => olmo2(spec),
            "glm4" => glm4(spec),
            _ => return Err(format!("model_type `{family}` is not known")),
        }
        Ok(())
    }

    fn llama(self, spec: &mut DecoderSpec) -> Parsed<()> {
        spec.mlp_bias = self.flag("mlp_bias")?;
        self.reject_unless("pretraining_tp", &Value::from(1))
    }

    fn granite(self, spec: &mut DecoderSpec) -> Parsed<()> {
        let multiplier = |field| Ok::<_, String>(self.positive(field)?.unwrap_or(1.0));
        spec.mlp_bias = self.flag("mlp_bias")?;
        spec.embedding_scale = multiplier("embedding_multiplier")?;
        spec.residual_scale = multiplier("residual_multiplier")?;
        spec.attention_scale = multiplier("attention_multiplier")?;
        spec.logit_scale = 1.0 / multiplier("logits_scaling")?;
        Ok(())
    }

    /// Mistral, which transformers takes for Ministral where the config has `layer_types`.
    fn ministral(self, spec: &mut DecoderSpec) -> Parsed<()> {
        self.mistral(spec)?;
        spec.windows = self.windows(spec.layers, self.optional_size("sliding_window")?, |_| true)?;
        Ok(())
    }

    fn mistral(self, spec: &mut DecoderSpec) -> Parsed<()> {
        spec.windows = vec![self.optional_size("sliding_window")?; spec.layers];
        (spec.qkv_bias, spec.o_bias) = (false, false);
        Ok(())
    }

    fn mixtral(self, spec: &mut DecoderSpec) -> Parsed<()> {
        spec.names = names::MIXTRAL;
        self.mistral(spec)
    }

    fn phi3(self, spec: &mut DecoderSpec) -> Parsed<()> {
        spec.names = names::PHI3;
        self.mistral(spec)
    }

    fn qwen2(self, spec: &mut DecoderSpec) -> Parsed<()> {
        spec.windows = self.qwen_windows(spec.layers)?;
        (spec.qkv_bias, spec.o_bias) = (true, false);
        self.reject_unless("use_mrope", &Value::from(false))
    }

    fn qwen2_moe(self, spec: &mut DecoderSpec) -> Parsed<()> {
        spec.windows = self.qwen2_moe_windows(spec.layers)?;
        (spec.qkv_bias, spec.o_bias) = (self.optional("qkv_bias")?.unwrap_or(true), false);
        self.reject_unless("use_mrope", &Value::from(false))
    }

    fn qwen3(self, spec: &mut DecoderSpec) -> Parsed<()> {
        spec.qk_norm = QkNorm::Head;
        spec.windows = self.qwen_windows(spec.layers)?;
        Ok(())
    }

    fn qwen3_moe(self, spec: &mut DecoderSpec) -> Parsed<()> {
        spec.qk_norm = QkNorm::Head;
        spec.windows = vec![self.used_window()?; spec.layers];
        Ok(())
    }

    fn gemma2(self, spec: &mut DecoderSpec) -> Parsed<()> {
        self.gemma(spec)?;
        spec.names = names::GEMMA2;
        spec.attention_cap = self.positive("attn_logit_softcapping")?;
        spec.windows = self.pattern_windows(spec.layers, 2)?;
        Ok(())
    }

    fn gemma3(self, spec: &mut DecoderSpec) -> Parsed<()> {
        self.gemma(spec)?;
        spec.names = names::GEMMA3;
        spec.qk_norm = QkNorm::Head;
        self.reject_unless("attn_logit_softcapping", &Value::Null)?;
        let pattern = self.optional_size("sliding_window_pattern")?.unwrap_or(6);
        spec.windows = self.pattern_windows(spec.layers, pattern)?;
        spec.rope_of_layer = spec.windows.iter().map(|window| Some(usize::from(window.is_some()))).collect();
        Ok(())
    }

    /// What both have.
    fn gemma(self, spec: &mut DecoderSpec) -> Parsed<()> {
        self.reject_unless("use_bidirectional_attention", &Value::from(false))?;
        spec.norm_plus_one = true;
        spec.norms = Norms::BeforeAndAfter;
        spec.embedding_scale = (spec.hidden as f64).sqrt();
        spec.rounds_embedding_scale = true;
        spec.attention_scale = self.required_positive("query_pre_attn_scalar")?.powf(-0.5);
        spec.logit_cap = self.positive("final_logit_softcapping")?;
        Ok(())
    }

    /// The text model of a Gemma 3 that sees images.
    pub fn text_of_gemma3(self) -> Parsed<Map<String, Value>> {
        let Some(text) = self.object("text_config")? else { return Err("no `text_config`".to_owned()) };
        let mut text = text.0.clone();
        text.insert("model_type".to_owned(), json!("gemma3_text"));
        text.insert("tie_word_embeddings".to_owned(), json!(self.optional("tie_word_embeddings")?.unwrap_or(true)));
        Ok(text)
    }
}

fn olmo2(spec: &mut DecoderSpec) {
    spec.norms = Norms::After;
    spec.qk_norm = QkNorm::Projection;
    spec.names = names::OLMO2;
}

fn glm4(spec: &mut DecoderSpec) {
    spec.norms = Norms::BeforeAndAfter;
    spec.o_bias = false;
    spec.names = names::GLM4;
}

/// The config with the fields that it lacks as the family's configuration class in transformers has them, where that is
/// not what is taken for granted of all.
pub fn with_defaults(map: &Map<String, Value>, family: &str) -> Map<String, Value> {
    let gemma = json!({
        "num_attention_heads": 8, "num_key_value_heads": 4, "head_dim": 256, "tie_word_embeddings": true,
        "hidden_activation": "gelu_pytorch_tanh", "query_pre_attn_scalar": 256, "sliding_window": 4096,
    });
    let defaults = match family {
        "qwen3" => json!({"head_dim": 128}),
        "mistral" => json!({"sliding_window": 4096}),
        "mixtral" => json!({"rms_norm_eps": 1e-5, "rope_theta": 1e6, "num_local_experts": 8, "num_experts_per_tok": 2}),
        "phi3" => json!({"rms_norm_eps": 1e-5, "original_max_position_embeddings": 4096}),
        "olmo2" => json!({"rms_norm_eps": 1e-5}),
        "smollm3" => json!({"rope_theta": 2e6, "tie_word_embeddings": true}),
        "glm4" => json!({
            "rms_norm_eps": 1.5625e-7, "head_dim": 128, "partial_rotary_factor": 0.5, "attention_bias": true
        }),
        "gemma2" => merged(
            gemma,
            &json!({
                "vocab_size": 256_000, "max_position_embeddings": 8192, "attn_logit_softcapping": 50.0,
                "final_logit_softcapping": 30.0,
            }),
        ),
        "gemma3_text" => merged(gemma, &json!({"vocab_size": 262_208, "max_position_embeddings": 131_072})),
        "qwen2_moe" => json!({
            "num_experts": 60, "num_experts_per_tok": 4, "moe_intermediate_size": 1408,
            "shared_expert_intermediate_size": 5632,
        }),
        "qwen3_moe" => json!({"num_experts_per_tok": 8, "moe_intermediate_size": 768}),
        _ => json!({}),
    };
    match merged(defaults, &Value::Object(map.clone())) {
        Value::Object(map) => map,
        _ => map.clone(),
    }
}

/// `under` with every field of `over`.
fn merged(mut under: Value, over: &Value) -> Value {
    if let (Some(under), Some(over)) = (under.as_object_mut(), over.as_object()) {
        under.extend(over.iter().map(|(field, value)| (field.clone(), value.clone())));
    }
    under
}
