//! Rotary embeddings in a config, in both forms: `rope_parameters` of transformers 5, and `rope_theta` with
//! `rope_scaling` of 4.x.
//!
//! Owns the meaning of these fields, with the formulas of transformers' `modeling_rope_utils.py` for derived values. An
//! unsupported kind is an error that names it. Fields that transformers ignores are listed in a note.

use std::f64::consts::PI;

use serde_json::{Map, Value};

use crate::decoder::config::fields::{Config, Parsed};
use crate::decoder::spec::{Rope, RopeScaling};

/// Fields of a rope object whose arithmetic is implemented.
const FIELDS: [&str; 16] = [
    "rope_type",
    "type",
    "rope_theta",
    "partial_rotary_factor",
    "factor",
    ORIGINAL,
    "low_freq_factor",
    "high_freq_factor",
    "attention_factor",
    "beta_fast",
    "beta_slow",
    "mscale",
    "mscale_all_dim",
    OUTER,
    "short_factor",
    "long_factor",
];
/// The context that a model was trained in before it was stretched.
const ORIGINAL: &str = "original_max_position_embeddings";
/// The one field that transformers 5 reads of the whole `rope_parameters`, also where it contains an object for each kind of layer.
const OUTER: &str = "truncate";
const DEFAULT_THETA: f64 = 10_000.0;
/// Gemma 3's theta of layers that see everything.
const GEMMA3_THETA: f64 = 1e6;

/// A head, and how many of its dimensions are rotated where that is said as a number of its own.
#[derive(Clone, Copy)]
pub struct HeadSize {
    pub dim: usize,
    pub rotated: Option<usize>,
}

/// What is said of one rotary embedding, and the theta that holds where it says none.
type Said = (Map<String, Value>, f64);

impl Config<'_> {
    /// The rotary embeddings that layers of `family` choose from, and what is said of them that transformers passes over.
    pub fn ropes(self, family: &str, head: HeadSize) -> Parsed<(Vec<Rope>, Vec<String>)> {
        let is_nested = family == "gemma3_text";
        let said = if is_nested { self.said_by_gemma3()? } else { vec![self.said_of_all()?] };
        let mut ropes = Vec::new();
        for (object, theta) in &said {
            let mut read = object.clone();
            read.retain(|field, _| !(is_nested && field == OUTER));
            let mut rope = self.rope(Config(&read), *theta, head)?;
            rope.interleaved = family == "glm4";
            if !["phi3", "glm4"].contains(&family) && rope.rotary_dim != head.dim {
                let some = format!("{} of {}", rope.rotary_dim, head.dim);
                return Err(format!("`partial_rotary_factor` is not implemented for model_type `{family}`: {some}"));
            }
            ropes.push(rope);
        }
        reject_two_switches(&ropes)?;
        let fields = said.iter().flat_map(|(object, _)| object).filter(|(_, value)| !value.is_null());
        let described = fields.filter_map(|(field, value)| {
            let by = match (FIELDS.contains(&field.as_str()), field.as_str()) {
                (false, _) => "transformers",
                (true, OUTER) if is_nested && *value == Value::Bool(false) => "transformers 5 of one kind of layer",
                _ => return None,
            };
            Some(format!("the rope field `{field}` ({value}) is passed over, as by {by}"))
        });
        Ok((ropes, described.collect()))
    }

    /// The one of most families; the spelling of transformers 4 comes first, as in transformers 5. Of two original contexts
    /// that of the config around the object is taken.
    fn said_of_all(self) -> Parsed<Said> {
        let old = self.object("rope_scaling")?.filter(|old| !old.0.is_empty());
        let object = if old.is_some() { old } else { self.object("rope_parameters")? };
        let theta = self.positive("rope_theta")?.unwrap_or(DEFAULT_THETA);
        let mut object = object.map(|object| object.0.clone()).unwrap_or_default();
        if let Some(tokens) = self.optional_size(ORIGINAL)? {
            object.insert(ORIGINAL.to_owned(), tokens.into());
        }
        Ok((object, theta))
    }

    /// That of layers that see everything, that of layers with a window. Nothing of the config around them is laid over an
    /// object of one kind of layer.
    fn said_by_gemma3(self) -> Parsed<Vec<Said>> {
        let nested = self.object("rope_parameters")?;
        let of_kind = |kind| nested.map_or(Ok(None), |nested| nested.object(kind));
        let kinds = ["full_attention", "sliding_attention"];
        let mut others = nested.iter().flat_map(|nested| nested.0).filter(|(kind, _)| !kinds.contains(&kind.as_str()));
        if let Some((field, value)) = others.find(|(_, value)| !value.is_null()) {
            return Err(format!("`rope_parameters` has `{field}` ({value}) together with {}", kinds.join(" and ")));
        }
        let [full, sliding] = kinds.map(of_kind);
        let object = |of: Option<Config>| of.map(|object| object.0.clone()).unwrap_or_default();
        let (mut full, sliding) = (object(full?), object(sliding?));
        if let Some(old) = self.object("rope_scaling")? {
            if old.has("type") && !old.has("rope_type") {
                let what = "`rope_scaling` has a `type` and no `rope_type`, which transformers 4 reads and 5 does not";
                return Err(format!("{what}: write `rope_type`"));
            }
            full.extend(old.0.clone());
        }
        let theta = self.positive("rope_theta")?.unwrap_or(GEMMA3_THETA);
        let local_theta = self.positive("rope_local_base_freq")?.unwrap_or(DEFAULT_THETA);
        Ok(vec![(full, theta), (sliding, local_theta)])
    }

    /// What `object` lacks is looked for in the config around it.
    fn rope(self, object: Config, theta: f64, head: HeadSize) -> Parsed<Rope> {
        if let Some((field, value)) = object.0.iter().find(|(_, value)| value.is_object()) {
            return Err(format!("the rope field `{field}` is {value}: layers that differ in it are not implemented"));
        }
        let theta = object.positive("rope_theta")?.unwrap_or(theta);
        let rotary_dim = match head.rotated {
            Some(rotated) => rotated,
            None => self.rotary_dim(object, head.dim)?,
        };
        if rotary_dim == 0 || rotary_dim > head.dim || !rotary_dim.is_multiple_of(2) {
            return Err(format!(
                "{rotary_dim} of {} dimensions are rotated: expected an even number of them",
                head.dim
            ));
        }
        let plain = Rope { theta, rotary_dim, interleaved: false, scaling: RopeScaling::None, attention_factor: 1.0 };
        self.scaled(&plain, object)
    }

    /// As Python's `int` of a product, which drops the fraction.
    fn rotary_dim(self, object: Config, head_dim: usize) -> Parsed<usize> {
        let partial = match object.positive("partial_rotary_factor")? {
            Some(partial) => partial,
            None => self.positive("partial_rotary_factor")?.unwrap_or(1.0),
        };
        match head_dim as f64 * partial {
            rotated if rotated < head_dim as f64 + 1.0 => Ok(rotated as usize),
            rotated => Err(format!("`partial_rotary_factor` is {partial}: {rotated} of {head_dim} dimensions")),
        }
    }

    /// `plain` with the scaling that `object` describes.
    fn scaled(self, plain: &Rope, object: Config) -> Parsed<Rope> {
        let (kind, old) = (object.optional::<String>("rope_type")?, object.optional::<String>("type")?);
        let is_phi3 = self.optional::<String>("model_type")?.as_deref() == Some("phi3");
        if let (Some(kind), Some(old), false) = (&kind, &old, is_phi3)
            && kind != old
        {
            return Err(format!(
                "`rope_type` is \"{kind}\" and `type` \"{old}\": transformers 5 reads one, 4 the other"
            ));
        }
        let kind = kind.or(old).unwrap_or_else(|| "default".to_owned());
        // Phi-3 was published under these names, which mean the same there and nothing or another thing elsewhere.
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
                return Err("rope type `dynamic` is rejected: a text's frequencies would change as it grows".to_owned());
            }
            other => {
                return Err(format!(
                    "rope type `{other}` is not known; known are default, linear, llama3, longrope, yarn"
                ));
            }
        };
        Ok(Rope { scaling, ..plain.clone() })
    }

    /// The context before it was stretched.
    fn original_tokens(self, object: Config) -> Parsed<usize> {
        object.optional_size(ORIGINAL)?.map_or_else(|| self.size("max_position_embeddings"), Ok)
    }

    fn stretch(self, object: Config, original: usize) -> Parsed<f64> {
        match object.positive("factor")? {
            Some(factor) => Ok(factor),
            None => Ok(self.size("max_position_embeddings")? as f64 / original as f64),
        }
    }

    fn yarn(self, plain: &Rope, object: Config) -> Parsed<Rope> {
        if !object.0.contains_key("factor") {
            return Err("rope type `yarn` without a `factor`, which transformers rejects".to_owned());
        }
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
        let truncate = object.optional(OUTER)?.unwrap_or(true);
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

/// A text is short or long for all of its layers alike here.
fn reject_two_switches(ropes: &[Rope]) -> Parsed<()> {
    let switches = ropes.iter().filter_map(|rope| match rope.scaling {
        RopeScaling::LongRope { original_max_tokens, .. } => Some(original_max_tokens),
        _ => None,
    });
    match switches.collect::<Vec<_>>()[..] {
        [a, b] if a != b => {
            Err(format!("`{ORIGINAL}` is {a} of some layers and {b} of others: one switch is implemented"))
        }
        _ => Ok(()),
    }
}
