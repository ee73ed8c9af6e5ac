//! From a Hugging Face `config.json` to a [`DecoderSpec`].
//!
//! Owns the names of model families: no other file knows one. Refuses what it does not understand: an unknown value
//! of a field that changes the arithmetic is an error that names it, never a default. Where a field is absent, the
//! default is the one of the family's configuration class in transformers.

use std::path::Path;

use serde_json::{Map, Value};

use crate::decoder::spec::{DecoderSpec, Rope, RopeScaling};
use crate::error::{Error, Result};

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

type Parsed<T> = Result<T, String>;

fn parse(map: &Map<String, Value>) -> Parsed<DecoderSpec> {
    let config = Config(map);
    let family = config.optional::<String>("model_type")?.unwrap_or_default();
    let mut spec = config.common()?;
    match family.as_str() {
        "llama" => {
            spec.mlp_bias = config.optional("mlp_bias")?.unwrap_or(false);
            config.refuse_unless("pretraining_tp", &Value::from(1))?;
        }
        "qwen3" => {
            spec.head_dim = config.optional_size("head_dim")?.unwrap_or(128);
            spec.qk_norm = true;
            spec.windows = config.qwen_windows(spec.layers)?;
        }
        _ => return Err(format!("model_type `{family}` is not known; known are llama, qwen3")),
    }
    Ok(spec)
}

/// A config object, with errors that name the field.
struct Config<'a>(&'a Map<String, Value>);

impl Config<'_> {
    /// The fields that every family has, with everything else off.
    fn common(&self) -> Parsed<DecoderSpec> {
        self.refuse_unless("hidden_act", &Value::from("silu"))?;
        for field in ["quantization_config", "compression_config"] {
            if self.0.get(field).is_some_and(|v| !v.is_null()) {
                return Err(format!("`{field}` is set: quantised safetensors are not read"));
            }
        }
        let (hidden, heads) = (self.size("hidden_size")?, self.size("num_attention_heads")?);
        let layers = self.size("num_hidden_layers")?;
        let kv_heads = self.optional_size("num_key_value_heads")?.unwrap_or(heads);
        if heads % kv_heads != 0 {
            return Err(format!("{heads} attention heads cannot share {kv_heads} key-value heads"));
        }
        let head_dim = match self.optional_size("head_dim")? {
            Some(head_dim) => head_dim,
            None if hidden % heads == 0 => hidden / heads,
            None => return Err(format!("no `head_dim`, and hidden_size {hidden} does not divide by {heads} heads")),
        };
        if head_dim % 2 != 0 {
            return Err(format!("`head_dim` is {head_dim}: rope needs an even number"));
        }
        Ok(DecoderSpec {
            vocab: self.size("vocab_size")?,
            hidden,
            layers,
            heads,
            kv_heads,
            head_dim,
            intermediate: self.size("intermediate_size")?,
            norm_eps: self.positive("rms_norm_eps")?.unwrap_or(1e-6),
            qk_norm: false,
            attention_bias: self.optional("attention_bias")?.unwrap_or(false),
            mlp_bias: false,
            rope: self.rope()?,
            windows: vec![None; layers],
            tied_head: self.optional("tie_word_embeddings")?.unwrap_or(false),
            max_tokens: self.size("max_position_embeddings")?,
        })
    }

    /// Rope in either spelling: `rope_parameters` of transformers 5, `rope_theta` and `rope_scaling` of 4.x.
    fn rope(&self) -> Parsed<Rope> {
        let object = |name| match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(map)) => Ok(Some(Config(map))),
            Some(other) => Err(format!("`{name}` is {other}, expected an object")),
        };
        self.refuse_unless("partial_rotary_factor", &Value::from(1.0))?;
        let parameters = object("rope_parameters")?;
        let scaling = object("rope_scaling")?;
        let nested = parameters.as_ref().map(|p| p.positive("rope_theta")).transpose()?.flatten();
        let theta = match nested {
            Some(theta) => theta,
            None => self.positive("rope_theta")?.unwrap_or(10_000.0),
        };
        let scaling = parameters.or(scaling).map_or(Ok(RopeScaling::None), |c| c.rope_scaling())?;
        Ok(Rope { theta, scaling })
    }

    /// This object is `rope_parameters` or `rope_scaling`.
    fn rope_scaling(&self) -> Parsed<RopeScaling> {
        self.refuse_unless("partial_rotary_factor", &Value::from(1.0))?;
        if let Some((name, _)) = self.0.iter().find(|(_, v)| v.is_object()) {
            return Err(format!("rope parameters for `{name}` alone are not implemented"));
        }
        let kind = match self.optional::<String>("rope_type")? {
            Some(kind) => kind,
            None => self.optional("type")?.unwrap_or_else(|| "default".to_owned()),
        };
        match kind.as_str() {
            "default" => Ok(RopeScaling::None),
            "llama3" => Ok(RopeScaling::Llama3 {
                factor: self.required_positive("factor")?,
                low_freq_factor: self.required_positive("low_freq_factor")?,
                high_freq_factor: self.required_positive("high_freq_factor")?,
                original_max_tokens: self.required_positive("original_max_position_embeddings")?,
            }),
            other => Err(format!("rope type `{other}` is not known; known are default, llama3")),
        }
    }

    /// Windows by layer: `layer_types` wins; before it existed, layers from `max_window_layers` on had one.
    fn qwen_windows(&self, layers: usize) -> Parsed<Vec<Option<usize>>> {
        let used = self.optional("use_sliding_window")?.unwrap_or(false);
        let window = self.optional_size("sliding_window")?.filter(|_| used);
        let Some(types) = self.optional::<Vec<String>>("layer_types")? else {
            let first = self.optional("max_window_layers")?.unwrap_or(28);
            return Ok((0..layers).map(|i| window.filter(|_| i >= first)).collect());
        };
        if types.len() != layers {
            return Err(format!("`layer_types` names {} layers of {layers}", types.len()));
        }
        let of_type = |kind: &String| match (kind.as_str(), window) {
            ("full_attention", _) => Ok(None),
            ("sliding_attention", Some(window)) => Ok(Some(window)),
            ("sliding_attention", None) => Err("`layer_types` has sliding layers, but no window is in use".to_owned()),
            (other, _) => Err(format!("layer type `{other}` is not known")),
        };
        types.iter().map(of_type).collect()
    }

    fn optional<T: serde::de::DeserializeOwned>(&self, field: &str) -> Parsed<Option<T>> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match T::deserialize(value) {
                Ok(value) => Ok(Some(value)),
                Err(e) => Err(format!("`{field}` is {value}: {e}")),
            },
        }
    }

    /// A number above 0.
    fn positive(&self, field: &str) -> Parsed<Option<f64>> {
        match self.optional::<f64>(field)? {
            Some(x) if !(x > 0.0 && x.is_finite()) => Err(format!("`{field}` is {x}, expected a number above 0")),
            other => Ok(other),
        }
    }

    fn required_positive(&self, field: &str) -> Parsed<f64> {
        self.positive(field)?.ok_or_else(|| format!("no `{field}`"))
    }

    /// A count that must be positive; bounded, so that a hostile config asks for no absurd allocation.
    fn size(&self, field: &str) -> Parsed<usize> {
        self.optional_size(field)?.ok_or_else(|| format!("no `{field}`"))
    }

    fn optional_size(&self, field: &str) -> Parsed<Option<usize>> {
        const MOST: usize = 1 << 24;
        match self.optional(field)? {
            Some(n) if n == 0 || n > MOST => Err(format!("`{field}` is {n}, expected 1 to {MOST}")),
            other => Ok(other),
        }
    }

    /// The field is absent, null, or has the one value whose arithmetic is implemented.
    fn refuse_unless(&self, field: &str, value: &Value) -> Parsed<()> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(()),
            Some(found) if found == value || (found.is_number() && found.as_f64() == value.as_f64()) => Ok(()),
            Some(found) => Err(format!("`{field}` is {found}; only {value} is implemented")),
        }
    }
}
