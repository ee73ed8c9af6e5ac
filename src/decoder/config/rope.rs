//! Rotary embeddings in a config, in either spelling: `rope_parameters` of transformers 5, `rope_theta` and
//! `rope_scaling` of 4.x.
//!
//! Owns what those fields mean, with the formulas of `modeling_rope_utils.py` in transformers for what follows from
//! them. Refuses kinds and fields that are not implemented, by name.

use std::f64::consts::PI;

use crate::decoder::config::fields::{Config, Parsed};
use crate::decoder::spec::{Rope, RopeScaling};

/// Fields of a rope object whose arithmetic is implemented.
const FIELDS: [&str; 16] = [
    "rope_type",
    "type",
    "rope_theta",
    "partial_rotary_factor",
    "factor",
    "original_max_position_embeddings",
    "low_freq_factor",
    "high_freq_factor",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    "truncate",
    "short_factor",
    "long_factor",
];
const DEFAULT_THETA: f64 = 10_000.0;
/// Gemma 3's theta of layers that see everything.
const GEMMA3_THETA: f64 = 1e6;

impl Config<'_> {
    /// The one rotary embedding of most families.
    pub fn rope_of_all(self, head_dim: usize) -> Parsed<Rope> {
        let object = match self.object("rope_parameters")? {
            Some(parameters) => Some(parameters),
            None => self.object("rope_scaling")?,
        };
        self.rope(object, self.positive("rope_theta")?.unwrap_or(DEFAULT_THETA), head_dim)
    }

    /// That of layers that see everything, that of layers with a window.
    pub fn ropes_of_gemma3(self, head_dim: usize) -> Parsed<Vec<Rope>> {
        let nested = self.object("rope_parameters")?;
        let of_kind = |kind| nested.map_or(Ok(None), |nested| nested.object(kind));
        let full = match of_kind("full_attention")? {
            Some(full) => Some(full),
            None => self.object("rope_scaling")?,
        };
        let theta = self.positive("rope_theta")?.unwrap_or(GEMMA3_THETA);
        let local_theta = self.positive("rope_local_base_freq")?.unwrap_or(DEFAULT_THETA);
        Ok(vec![self.rope(full, theta, head_dim)?, self.rope(of_kind("sliding_attention")?, local_theta, head_dim)?])
    }

    /// `object` may be absent; what it lacks is looked for in the config around it.
    fn rope(self, object: Option<Config>, theta: f64, head_dim: usize) -> Parsed<Rope> {
        let none = serde_json::Map::new();
        let object = object.unwrap_or(Config(&none));
        if let Some((field, value)) =
            object.0.iter().find(|(field, v)| !FIELDS.contains(&field.as_str()) && !v.is_null())
        {
            return Err(format!("the rope field `{field}` ({value}) is not known"));
        }
        let theta = object.positive("rope_theta")?.unwrap_or(theta);
        let partial = match object.positive("partial_rotary_factor")? {
            Some(partial) => partial,
            None => self.positive("partial_rotary_factor")?.unwrap_or(1.0),
        };
        let rotary_dim = (head_dim as f64 * partial) as usize;
        if rotary_dim == 0 || rotary_dim > head_dim || !rotary_dim.is_multiple_of(2) {
            return Err(format!("`partial_rotary_factor` is {partial}: {rotary_dim} of {head_dim} dimensions"));
        }
        let plain = Rope { theta, rotary_dim, interleaved: false, scaling: RopeScaling::None, attention_factor: 1.0 };
        self.scaled(&plain, object)
    }

    /// `plain` with the scaling that `object` describes.
    fn scaled(self, plain: &Rope, object: Config) -> Parsed<Rope> {
        let kind = match object.optional::<String>("rope_type")? {
            Some(kind) => kind,
            None => object.optional("type")?.unwrap_or_else(|| "default".to_owned()),
        };
        // Phi-3 was published under these names, which mean the same there and nothing or another thing elsewhere.
        let is_phi3 = self.optional::<String>("model_type")?.as_deref() == Some("phi3");
        let scaling = match kind.as_str() {
            "su" | "yarn" if is_phi3 => return self.longrope(plain, object),
            "longrope" => return self.longrope(plain, object),
            "yarn" => return self.yarn(plain, object),
            "default" => RopeScaling::None,
            "linear" => RopeScaling::Linear { factor: object.required_positive("factor")? },
            "llama3" => RopeScaling::Llama3 {
                factor: object.required_positive("factor")?,
                low_freq_factor: object.required_positive("low_freq_factor")?,
                high_freq_factor: object.required_positive("high_freq_factor")?,
                original_max_tokens: self.original_tokens(object)? as f64,
            },
            "dynamic" => {
                return Err("rope type `dynamic` is refused: a text's frequencies would change as it grows".to_owned());
            }
            other => {
                return Err(format!(
                    "rope type `{other}` is not known; known are default, linear, llama3, longrope, yarn"
                ));
            }
        };
        Ok(Rope { scaling, ..plain.clone() })
    }

    /// The context before it was stretched; where both objects say it, transformers takes the outer one.
    fn original_tokens(self, object: Config) -> Parsed<usize> {
        let field = "original_max_position_embeddings";
        match self.optional_size(field)? {
            Some(tokens) => Ok(tokens),
            None => object.optional_size(field)?.map_or_else(|| self.size("max_position_embeddings"), Ok),
        }
    }

    fn stretch(self, object: Config, original: usize) -> Parsed<f64> {
        match object.positive("factor")? {
            Some(factor) => Ok(factor),
            None => Ok(self.size("max_position_embeddings")? as f64 / original as f64),
        }
    }

    fn yarn(self, plain: &Rope, object: Config) -> Parsed<Rope> {
        let original = self.original_tokens(object)?;
        let factor = self.stretch(object, original)?;
        let magnitude = |scale: f64| if factor <= 1.0 { 1.0 } else { 0.1 * scale * factor.ln() + 1.0 };
        let attention_factor = match (object.positive("attention_factor")?, object.optional::<f64>("mscale")?) {
            (Some(given), _) => given,
            (None, mscale) => match (mscale, object.optional::<f64>("mscale_all_dim")?) {
                (Some(scale), Some(all)) if scale != 0.0 && all != 0.0 => magnitude(scale) / magnitude(all),
                _ => magnitude(1.0),
            },
        };
        // The pair of dimensions that turns this often within the original context.
        let dim = plain.rotary_dim as f64;
        let pair = |turns: f64| dim * (original as f64 / (turns * 2.0 * PI)).ln() / (2.0 * plain.theta.ln());
        let low = pair(object.positive("beta_fast")?.unwrap_or(32.0));
        let high = pair(object.positive("beta_slow")?.unwrap_or(1.0));
        let truncate = object.optional("truncate")?.unwrap_or(true);
        let (low, high) = if truncate { (low.floor(), high.ceil()) } else { (low, high) };
        let (low, mut high) = (low.max(0.0), high.min(dim - 1.0));
        if low == high {
            high += 0.001;
        }
        Ok(Rope { scaling: RopeScaling::Yarn { factor, ramp: (low, high) }, attention_factor, ..plain.clone() })
    }

    fn longrope(self, plain: &Rope, object: Config) -> Parsed<Rope> {
        let original = self.original_tokens(object)?;
        let factor = self.stretch(object, original)?;
        let attention_factor = match object.positive("attention_factor")? {
            Some(given) => given,
            None if factor <= 1.0 => 1.0,
            None => (1.0 + factor.ln() / (original as f64).ln()).sqrt(),
        };
        let factors = |field: &str| {
            let factors: Vec<f64> = object.optional(field)?.ok_or_else(|| format!("no `{field}`"))?;
            let wanted = plain.rotary_dim / 2;
            if factors.len() != wanted || factors.iter().any(|&x| !(x > 0.0 && x.is_finite())) {
                return Err(format!("`{field}` has {} numbers, expected {wanted} above 0", factors.len()));
            }
            Ok(factors)
        };
        let scaling = RopeScaling::LongRope {
            short: factors("short_factor")?,
            long: factors("long_factor")?,
            original_max_tokens: original,
        };
        Ok(Rope { scaling, attention_factor, ..plain.clone() })
    }
}
