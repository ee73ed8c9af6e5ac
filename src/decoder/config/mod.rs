//! From a Hugging Face `config.json`, or the metadata of a GGUF file, to a [`DecoderSpec`].
//!
//! Owns the names of model families; no other module uses them. An unknown value of a field that changes the arithmetic
//! is an error that names the field; it is never guessed.

mod families;
pub mod fields;
mod gguf;
mod known;
mod layers;
mod quantised;
mod rope;

use std::path::Path;

use serde_json::{Map, Value};

use self::families::with_defaults;
use self::fields::{Config, Parsed};
use self::rope::HeadSize;
use crate::decoder::names;
use crate::decoder::spec::{Activation, DecoderSpec, Norms, QkNorm};
use crate::error::{Error, Result};
use crate::gguf::Header;
use crate::python_json;

/// Reads the config at `path`.
///
/// # Errors
/// No such file, not JSON, an unknown architecture, a missing or contradictory field, or arithmetic that is not
/// implemented.
pub fn read(path: &Path) -> Result<DecoderSpec> {
    let map = python_json::object(path)?;
    let parsed = reject_nulls(&map).and_then(|()| parse(&map, None));
    parsed.map_err(|what| Error::file(path, what))
}

/// Some fields have defaults, but not for null: no version of transformers loads such a model.
fn reject_nulls(map: &Map<String, Value>) -> Parsed<()> {
    let family = map.get("model_type").and_then(Value::as_str).unwrap_or_default();
    let fields: &[&str] = match family {
        "gemma3" => return map.get("text_config").and_then(Value::as_object).map_or(Ok(()), reject_nulls),
        "gemma2" | "gemma3_text" => &["rms_norm_eps", "hidden_activation", "query_pre_attn_scalar", "head_dim"],
        "mixtral" | "qwen2_moe" | "qwen3_moe" => &["rms_norm_eps", "hidden_act", "num_experts_per_tok"],
        "qwen3" | "glm4" => &["rms_norm_eps", "hidden_act", "head_dim"],
        _ => &["rms_norm_eps", "hidden_act"],
    };
    match fields.iter().find(|field| map.get(**field).is_some_and(Value::is_null)) {
        Some(field) => Err(format!("`{field}` is null, which transformers rejects: leave it out or set its value")),
        None => Ok(()),
    }
}

/// Reads the metadata of a GGUF file. `numbers` gives all of a small tensor, if the file has it.
///
/// # Errors
/// As [`read`], and a key of the architecture that is not known.
pub fn read_gguf(header: &Header, numbers: impl Fn(&str) -> Result<Option<Vec<f64>>>) -> Result<DecoderSpec> {
    let factors = gguf::Factors::read(&numbers)?;
    gguf::spec(header, &factors, parse).map_err(|what| header.error(what))
}

/// Reads a config. `rotary` is how many dimensions of a head are rotated, where that is known as a number of its own.
fn parse(map: &Map<String, Value>, rotary: Option<usize>) -> Parsed<DecoderSpec> {
    let config = Config(map);
    let family = config.family()?;
    let fp8_block = config.fp8_block()?;
    if family == "gemma3" {
        let names = names::GEMMA3_IMAGES;
        return Ok(DecoderSpec { fp8_block, names, ..parse(&config.text_of_gemma3()?, rotary)? });
    }
    let filled = with_defaults(map, &family);
    let config = Config(&filled);
    config.reject_unless("is_causal", &Value::Bool(true))?;
    config.reject_layers_apart()?;
    // transformers 5 reads the file that it names instead of `model.safetensors`.
    config.reject_unless("transformers_weights", &Value::Null)?;
    let mut spec = DecoderSpec { fp8_block, ..config.common(&family)? };
    config.of_family(&mut spec, &family)?;
    config.experts(&mut spec, &family)?;
    (spec.ropes, spec.passed_over) = config.ropes(&family, HeadSize { dim: spec.head_dim, rotated: rotary })?;
    Ok(spec)
}

/// Hundreds of times the largest known value; with this limit a hostile config of a few bytes cannot cause a large
/// allocation.
const MOST_LAYERS: usize = 1 << 16;

impl Config<'_> {
    /// The fields that every family has, with everything else off.
    fn common(self, family: &str) -> Parsed<DecoderSpec> {
        let (hidden, heads) = (self.size("hidden_size")?, self.size("num_attention_heads")?);
        let (layers, kv_heads) = (self.layer_count()?, self.kv_heads(heads)?);
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
            activation: self.activation(family)?,
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
            rounds_embedding_scale: false,
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
            passed_over: Vec::new(),
            names: names::LLAMA,
        })
    }

    /// What no layer has of its own makes none of them another.
    fn reject_layers_apart(self) -> Parsed<()> {
        let layers = self.object("per_layer_config")?;
        let is_empty = |of_layer: &Value| of_layer.as_object().is_some_and(Map::is_empty);
        match layers.and_then(|layers| layers.0.iter().find(|(_, of_layer)| !is_empty(of_layer))) {
            Some((layer, own)) => {
                Err(format!("`per_layer_config` has {own} for `{layer}`: layers that differ are not implemented"))
            }
            None => Ok(()),
        }
    }

    fn layer_count(self) -> Parsed<usize> {
        match self.size("num_hidden_layers")? {
            layers if layers > MOST_LAYERS => {
                Err(format!("`num_hidden_layers` is {layers}, expected at most {MOST_LAYERS}"))
            }
            layers => Ok(layers),
        }
    }

    fn kv_heads(self, heads: usize) -> Parsed<usize> {
        match self.optional_size("num_key_value_heads")?.unwrap_or(heads) {
            kv_heads if !heads.is_multiple_of(kv_heads) => {
                Err(format!("{heads} attention heads cannot share {kv_heads} key-value heads"))
            }
            kv_heads => Ok(kv_heads),
        }
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

    /// Gemma calls the field otherwise, has a default for it, and does not read the common one.
    fn activation(self, family: &str) -> Parsed<Activation> {
        let is_gemma = family.starts_with("gemma");
        let field = if is_gemma { "hidden_activation" } else { "hidden_act" };
        match self.optional::<String>(field)?.as_deref() {
            // Names of one function in transformers.
            None | Some("silu" | "swish") => Ok(Activation::Silu),
            Some("gelu_pytorch_tanh") => Ok(Activation::GeluTanh),
            Some(other) => {
                Err(format!("`{field}` is \"{other}\"; only \"silu\" and \"gelu_pytorch_tanh\" are implemented"))
            }
        }
    }
}

#[cfg(test)]
mod tests;
