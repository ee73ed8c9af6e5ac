//! From the metadata of a GGUF file to a [`DecoderSpec`].
//!
//! Owns the meaning of llama.cpp's keys, as its converter writes and its models read them. The keys are translated into
//! a Hugging Face config, so that one reader does all checks. An unknown key of an architecture is an error, because
//! any key may change the arithmetic.

mod architectures;

use serde_json::{Map, Value as Json, json};

use self::architectures::{ARCHITECTURES, Architecture, COMMON, Fields, OTHERS, YARN};
use super::fields::Parsed;
use crate::decoder::names;
use crate::decoder::spec::{DecoderSpec, RopeScaling};
use crate::error::Result;
use crate::gguf::{Header, Value};

/// The numbers of a small tensor, if the file has it.
pub type Numbers<'a> = &'a dyn Fn(&str) -> Result<Option<Vec<f64>>>;

/// What the tensors say of the arithmetic.
pub struct Factors {
    /// What each rotary frequency is divided by.
    every: Option<Vec<f64>>,
    /// The same in short and in long texts.
    short: Option<Vec<f64>>,
    long: Option<Vec<f64>>,
}

impl Factors {
    pub fn read(numbers: Numbers) -> Result<Self> {
        Ok(Self {
            every: numbers("rope_freqs.weight")?,
            short: numbers("rope_factors_short.weight")?,
            long: numbers("rope_factors_long.weight")?,
        })
    }
}

/// The spec of a file; `parse` reads a config.
pub fn spec(
    header: &Header,
    factors: &Factors,
    parse: impl Fn(&Map<String, Json>, Option<usize>) -> Parsed<DecoderSpec>,
) -> Parsed<DecoderSpec> {
    let Some(Value::Text(name)) = header.metadata.get("general.architecture") else {
        return Err("no `general.architecture`".to_owned());
    };
    let Some(architecture) = ARCHITECTURES.iter().find(|known| known.name == name) else {
        let known: Vec<&str> = ARCHITECTURES.iter().map(|known| known.name).collect();
        return Err(format!("architecture `{name}` is not known in GGUF; known are {}", known.join(", ")));
    };
    let keys = Keys { header, architecture };
    let mut spec = parse(&keys.config(factors)?, keys.rotary()?)?;
    let has = |name: &str| header.tensors.contains_key(name);
    spec.names = architecture.names;
    // The converter has added the 1.
    spec.norm_plus_one = false;
    // llama.cpp multiplies by the f32 number, whatever the weights are.
    spec.rounds_embedding_scale = false;
    spec.qkv_bias = has("blk.0.attn_q.bias") || has("blk.0.attn_qkv.bias");
    spec.o_bias = has("blk.0.attn_output.bias");
    spec.mlp_bias = has("blk.0.ffn_down.bias");
    for rope in spec.ropes.iter_mut().filter(|_| architecture.is_permuted) {
        rope.interleaved = true;
    }
    if let (Some(factors), [rope]) = (&factors.every, spec.ropes.as_mut_slice()) {
        let fits = factors.len() == rope.rotary_dim / 2 && factors.iter().all(|&factor| factor > 0.0);
        if rope.scaling != RopeScaling::None || !fits {
            return Err(format!(
                "`rope_freqs.weight` does not hold {} numbers above 0, or another scaling is set too",
                rope.rotary_dim / 2
            ));
        }
        rope.scaling = RopeScaling::Each { factors: factors.clone() };
    }
    Ok(spec)
}

/// The keys of a file's architecture.
struct Keys<'a> {
    header: &'a Header,
    architecture: &'a Architecture,
}

impl Keys<'_> {
    fn get(&self, key: &str) -> Option<&Value> {
        self.header.metadata.get(&format!("{}.{key}", self.architecture.name))
    }

    fn json(&self, key: &str) -> Parsed<Json> {
        Ok(match self.get(key) {
            None => Json::Null,
            Some(Value::Unsigned(x)) => json!(x),
            Some(Value::Signed(x)) => json!(x),
            Some(Value::Float(x)) => json!(x),
            Some(Value::Text(x)) => json!(x),
            Some(Value::Bool(x)) => json!(x),
            Some(Value::Array(_)) => {
                return Err(format!("`{key}` is an array: layers that differ in it are not implemented"));
            }
        })
    }

    fn number(&self, key: &str) -> Parsed<Option<f64>> {
        Ok(self.json(key)?.as_f64())
    }

    /// The config that says the same.
    fn config(&self, factors: &Factors) -> Parsed<Map<String, Json>> {
        self.reject_unknown()?;
        let mut config = Map::new();
        for (key, field) in COMMON.iter().chain(self.architecture.fields) {
            config.insert((*field).to_owned(), self.json(key)?);
        }
        let vocab = self.header.tensors.get(names::GGUF.embedding).and_then(|info| info.shape.first());
        config.insert("vocab_size".to_owned(), json!(vocab));
        let is_tied = !self.header.tensors.contains_key(names::GGUF.heads[0]);
        config.insert("tie_word_embeddings".to_owned(), json!(is_tied));
        let head_dim = self.head_dim(&config)?;
        config.insert("head_dim".to_owned(), json!(head_dim));
        config.insert("rope_scaling".to_owned(), self.scaling(factors)?);
        let family = self.of_family(&mut config, head_dim);
        config.insert("model_type".to_owned(), json!(family));
        Ok(config)
    }

    /// How many dimensions of a head are rotated, if the file says so.
    fn rotary(&self) -> Parsed<Option<usize>> {
        let key = "rope.dimension_count";
        match self.json(key)? {
            Json::Null => Ok(None),
            count => match count.as_u64() {
                Some(count) => Ok(Some(count as usize)),
                None => Err(format!("`{key}` is {count}, expected an integer from 0")),
            },
        }
    }

    fn reject_unknown(&self) -> Parsed<()> {
        let prefix = format!("{}.", self.architecture.name);
        let known = |key: &str| {
            let listed = |fields: Fields| fields.iter().any(|(known, _)| *known == key);
            listed(COMMON) || listed(YARN) || listed(self.architecture.fields) || OTHERS.contains(&key)
        };
        let mut own = self.header.metadata.iter().filter_map(|(key, value)| Some((key.strip_prefix(&prefix)?, value)));
        match own.find(|(key, _)| !known(key)) {
            Some((key, value)) => Err(format!("`{prefix}{key}` ({value}) is not known, and may change the arithmetic")),
            None => Ok(()),
        }
    }

    fn head_dim(&self, config: &Map<String, Json>) -> Parsed<u64> {
        let count = |field: &str| config[field].as_u64().filter(|&n| n > 0).ok_or_else(|| format!("no `{field}`"));
        let key = match config["head_dim"].as_u64() {
            Some(given) if given > 0 => given,
            _ => count("hidden_size")? / count("num_attention_heads")?,
        };
        match self.number("attention.value_length")? {
            Some(value) if value != key as f64 => {
                Err(format!("keys of {key} and values of {value} are not implemented"))
            }
            _ => Ok(key),
        }
    }

    /// The rope object of a config.
    fn scaling(&self, factors: &Factors) -> Parsed<Json> {
        let attention_factor = self.json("rope.scaling.attn_factor")?;
        if let (Some(short), Some(long)) = (&factors.short, &factors.long) {
            return Ok(json!({
                "rope_type": "longrope", "short_factor": short, "long_factor": long,
                "attention_factor": attention_factor,
            }));
        }
        let factor = self.number("rope.scaling.factor")?.filter(|&factor| factor != 0.0);
        let kind = self.json("rope.scaling.type")?;
        match (kind.as_str().unwrap_or("linear"), factor) {
            ("none", _) | ("linear", None) => Ok(Json::Null),
            _ if !attention_factor.is_null() => Err("`rope.scaling.attn_factor` is not implemented here".to_owned()),
            ("linear", Some(factor)) => Ok(json!({"rope_type": "linear", "factor": factor})),
            ("yarn", factor) => {
                let mut yarn = json!({"rope_type": "yarn", "factor": factor});
                for (key, field) in YARN {
                    yarn[field] = self.json(key)?;
                }
                Ok(yarn)
            }
            (other, _) => Err(format!("`rope.scaling.type` is {other:?}; none, linear and yarn are implemented")),
        }
    }

    /// What llama.cpp has in its code and not in the file; the `model_type`.
    fn of_family(&self, config: &mut Map<String, Json>, head_dim: u64) -> &'static str {
        let positive = |config: &Map<String, Json>, field: &str| config[field].as_u64().is_some_and(|n| n > 0);
        // Its size is how llama.cpp knows the largest Gemma, whose queries are scaled otherwise.
        let mut gemma = |largest: u64| {
            let count = |field: &str| config[field].as_u64().unwrap_or_default();
            let is_largest = count("num_hidden_layers") == largest;
            let scalar = if is_largest { count("hidden_size") / count("num_attention_heads").max(1) } else { head_dim };
            config.insert("query_pre_attn_scalar".to_owned(), json!(scalar));
        };
        match self.architecture.family {
            "gemma2" => {
                gemma(46);
                // Absent where it has the default.
                config.retain(|_, value| !value.is_null());
            }
            "gemma3_text" => gemma(62),
            "qwen3_moe" => {
                config.insert("norm_topk_prob".to_owned(), json!(true));
            }
            "llama" if positive(config, "num_local_experts") => return "mixtral",
            "llama" if positive(config, "sliding_window") => return "mistral",
            "phi3" if !positive(config, "sliding_window") => {
                config.insert("sliding_window".to_owned(), Json::Null);
            }
            _ => {}
        }
        self.architecture.family
    }
}
