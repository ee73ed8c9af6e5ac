//! From a Hugging Face `config.json`, or the metadata of a GGUF file, to a [`DecoderSpec`].
//!
//! Owns the names of model families: nothing outside this folder asks for one. Refuses what it does not understand: an unknown value
//! of a field that changes the arithmetic is an error that names it, never a guess.

pub mod fields;
mod gguf;
mod layers;
mod quantised;
mod rope;

use std::path::Path;

use serde_json::{Map, Value, json};

use self::fields::{Config, Parsed};
use crate::decoder::names;
use crate::decoder::spec::{Activation, DecoderSpec, Norms, QkNorm};
use crate::error::{Error, Result};
use crate::gguf::Header;

/// Reads the config at `path`.
///
/// # Errors
/// No such file, not JSON, an unknown architecture, a missing or contradictory field, or arithmetic that is not
/// implemented.
pub fn read(path: &Path) -> Result<DecoderSpec> {
    let text = std::fs::read(path).map_err(Error::io("read", path))?;
    let map = serde_json::from_slice(&text).map_err(|e| Error::file(path, format!("not a JSON object: {e}")))?;
    parse(&map).map_err(|what| Error::file(path, what))
}

/// Reads the metadata of a GGUF file. `numbers` gives all of a small tensor, if the file has it.
///
/// # Errors
/// As [`read`], and a key of the architecture that is not known.
pub fn read_gguf(header: &Header, numbers: impl Fn(&str) -> Result<Option<Vec<f64>>>) -> Result<DecoderSpec> {
    let factors = gguf::Factors::read(&numbers)?;
    gguf::spec(header, &factors, parse).map_err(|what| header.error(what))
}

const KNOWN: &str = "gemma2, gemma3, gemma3_text, glm4, granite, llama, mistral, mixtral, olmo2, phi3, qwen2, \
                     qwen2_moe, qwen3, qwen3_moe, smollm3";

fn parse(map: &Map<String, Value>) -> Parsed<DecoderSpec> {
    let config = Config(map);
    let fp8_block = config.fp8_block()?;
    let family = config.optional::<String>("model_type")?.unwrap_or_default();
    if family == "gemma3" {
        return Ok(DecoderSpec { fp8_block, ..parse(&config.text_of_gemma3()?)? });
    }
    let filled = with_defaults(map, &family);
    let config = Config(&filled);
    let mut spec = DecoderSpec { fp8_block, ..config.common()? };
    match family.as_str() {
        "llama" => {
            spec.mlp_bias = config.flag("mlp_bias")?;
            config.refuse_unless("pretraining_tp", &Value::from(1))?;
        }
        "mistral" | "mixtral" | "phi3" => spec.windows = vec![config.optional_size("sliding_window")?; spec.layers],
        "qwen2" | "qwen3" => spec.windows = config.qwen_windows(spec.layers)?,
        "qwen2_moe" => spec.windows = config.qwen2_moe_windows(spec.layers)?,
        "qwen3_moe" => spec.windows = vec![config.used_window()?; spec.layers],
        "smollm3" => config.smollm3_layers(&mut spec)?,
        "gemma2" | "gemma3_text" => config.gemma(&mut spec, &family)?,
        "olmo2" => spec.norms = Norms::After,
        "granite" => config.granite(&mut spec)?,
        "glm4" => spec.norms = Norms::BeforeAndAfter,
        _ => return Err(format!("model_type `{family}` is not known; known are {KNOWN}")),
    }
    match family.as_str() {
        "qwen2" | "qwen2_moe" => {
            (spec.qkv_bias, spec.o_bias) = (config.optional("qkv_bias")?.unwrap_or(true), false);
            config.refuse_unless("use_mrope", &Value::from(false))?;
        }
        "glm4" => spec.o_bias = false,
        "mistral" | "mixtral" | "phi3" => (spec.qkv_bias, spec.o_bias) = (false, false),
        _ => {}
    }
    spec.qk_norm = match family.as_str() {
        "qwen3" | "qwen3_moe" | "gemma3_text" => QkNorm::Head,
        "olmo2" => QkNorm::Projection,
        _ => QkNorm::None,
    };
    spec.names = match family.as_str() {
        "gemma2" => names::GEMMA2,
        "gemma3_text" => names::GEMMA3,
        "phi3" => names::PHI3,
        "olmo2" => names::OLMO2,
        "glm4" => names::GLM4,
        "mixtral" => names::MIXTRAL,
        _ => names::LLAMA,
    };
    config.experts(&mut spec, &family)?;
    spec.ropes = match family.as_str() {
        "gemma3_text" => config.ropes_of_gemma3(spec.head_dim)?,
        _ => vec![config.rope_of_all(spec.head_dim)?],
    };
    for rope in &mut spec.ropes {
        rope.interleaved = family == "glm4";
        if !["phi3", "glm4"].contains(&family.as_str()) && rope.rotary_dim != spec.head_dim {
            return Err(format!("`partial_rotary_factor` is not implemented for model_type `{family}`"));
        }
    }
    Ok(spec)
}

/// The config with the fields that it lacks as the family's configuration class in transformers has them, where that is
/// not what [`Config::common`] takes for granted.
fn with_defaults(map: &Map<String, Value>, family: &str) -> Map<String, Value> {
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

/// Hundreds of times what there is; a hostile config of a few bytes asks for no allocation that shows.
const MOST_LAYERS: usize = 1 << 16;

impl Config<'_> {
    /// The fields that every family has, with everything else off.
    fn common(self) -> Parsed<DecoderSpec> {
        let (hidden, heads) = (self.size("hidden_size")?, self.size("num_attention_heads")?);
        let layers = self.size("num_hidden_layers")?;
        if layers > MOST_LAYERS {
            return Err(format!("`num_hidden_layers` is {layers}, expected at most {MOST_LAYERS}"));
        }
        let kv_heads = self.optional_size("num_key_value_heads")?.unwrap_or(heads);
        if heads % kv_heads != 0 {
            return Err(format!("{heads} attention heads cannot share {kv_heads} key-value heads"));
        }
        let head_dim = self.head_dim(hidden, heads)?;
        let attention_bias = self.flag("attention_bias")?;
        Ok(DecoderSpec {
            vocab: self.size("vocab_size")?,
            hidden,
            layers,
            heads,
            kv_heads,
            head_dim,
            intermediate: self.size("intermediate_size")?,
            activation: self.activation()?,
            norm_eps: self.positive("rms_norm_eps")?.unwrap_or(1e-6),
            norm_plus_one: false,
            norms: Norms::Before,
            qk_norm: QkNorm::None,
            qkv_bias: attention_bias,
            o_bias: attention_bias,
            mlp_bias: false,
            attention_scale: (head_dim as f64).powf(-0.5),
            attention_cap: None,
            embedding_scale: 1.0,
            residual_scale: 1.0,
            logit_scale: 1.0,
            logit_cap: None,
            ropes: Vec::new(),
            rope_of_layer: vec![Some(0); layers],
            windows: vec![None; layers],
            sparse: vec![false; layers],
            experts: None,
            tied_head: self.flag("tie_word_embeddings")?,
            max_tokens: self.size("max_position_embeddings")?,
            fp8_block: None,
            names: names::LLAMA,
        })
    }

    fn head_dim(self, hidden: usize, heads: usize) -> Parsed<usize> {
        let head_dim = match self.optional_size("head_dim")? {
            Some(head_dim) => head_dim,
            None if hidden.is_multiple_of(heads) => hidden / heads,
            None => return Err(format!("no `head_dim`, and hidden_size {hidden} does not divide by {heads} heads")),
        };
        if head_dim.is_multiple_of(2) {
            Ok(head_dim)
        } else {
            Err(format!("`head_dim` is {head_dim}: rope needs an even number"))
        }
    }

    /// Gemma calls the field otherwise, and where it does, the common one is not read.
    fn activation(self) -> Parsed<Activation> {
        let field = if self.has("hidden_activation") { "hidden_activation" } else { "hidden_act" };
        match self.optional::<String>(field)?.as_deref() {
            None | Some("silu") => Ok(Activation::Silu),
            Some("gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
            Some(other) => {
                Err(format!("`{field}` is \"{other}\"; only \"silu\" and \"gelu_pytorch_tanh\" are implemented"))
            }
        }
    }

    /// The text model of a Gemma 3 that sees images.
    fn text_of_gemma3(self) -> Parsed<Map<String, Value>> {
        let Some(text) = self.object("text_config")? else { return Err("no `text_config`".to_owned()) };
        let mut text = text.0.clone();
        text.insert("model_type".to_owned(), json!("gemma3_text"));
        text.insert("tie_word_embeddings".to_owned(), json!(self.optional("tie_word_embeddings")?.unwrap_or(true)));
        Ok(text)
    }

    fn gemma(self, spec: &mut DecoderSpec, family: &str) -> Parsed<()> {
        self.refuse_unless("use_bidirectional_attention", &Value::from(false))?;
        spec.norm_plus_one = true;
        spec.norms = Norms::BeforeAndAfter;
        spec.embedding_scale = (spec.hidden as f64).sqrt();
        spec.attention_scale = self.required_positive("query_pre_attn_scalar")?.powf(-0.5);
        spec.logit_cap = self.positive("final_logit_softcapping")?;
        if family == "gemma2" {
            spec.attention_cap = self.positive("attn_logit_softcapping")?;
            spec.windows = self.pattern_windows(spec.layers, 2)?;
            return Ok(());
        }
        self.refuse_unless("attn_logit_softcapping", &Value::Null)?;
        let pattern = self.optional_size("sliding_window_pattern")?.unwrap_or(6);
        spec.windows = self.pattern_windows(spec.layers, pattern)?;
        spec.rope_of_layer = spec.windows.iter().map(|window| Some(usize::from(window.is_some()))).collect();
        Ok(())
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
}

#[cfg(test)]
mod tests;
