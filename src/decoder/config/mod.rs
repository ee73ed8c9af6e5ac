//! From a Hugging Face `config.json`, or the metadata of a GGUF file, to a [`DecoderSpec`].
//!
//! Owns the names of model families: nothing outside this folder asks for one. Refuses what it does not understand: an
//! unknown value of a field that changes the arithmetic is an error that names it, never a guess.

mod families;
pub mod fields;
mod gguf;
mod layers;
mod quantised;
mod rope;

use std::path::Path;

use serde_json::{Map, Value};

use self::families::with_defaults;
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
    config.of_family(&mut spec, &family)?;
    config.experts(&mut spec, &family)?;
    spec.ropes = config.ropes(&family, spec.head_dim)?;
    Ok(spec)
}

/// Hundreds of times what there is; a hostile config of a few bytes asks for no allocation that shows.
const MOST_LAYERS: usize = 1 << 16;

impl Config<'_> {
    /// The fields that every family has, with everything else off.
    fn common(self) -> Parsed<DecoderSpec> {
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
}

#[cfg(test)]
mod tests;
