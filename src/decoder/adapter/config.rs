//! From PEFT's `adapter_config.json` to the rank and the scale of each module.
//!
//! Owns the fields of a `LoraConfig`. Refuses, by name, every field that makes the arithmetic another, and every field
//! that it does not know unless it is off: the next version of PEFT may call something new by it.

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

use crate::decoder::config::fields::{Config, Parsed};

/// Fields that are read here, and those that change no number of an adapter that is applied: where it comes from, how it
/// was trained, what it was initialised from.
const KNOWN: [&str; 27] = [
    "peft_type",
    "r",
    "lora_alpha",
    "use_rslora",
    "rank_pattern",
    "alpha_pattern",
    "target_modules",
    "exclude_modules",
    "layers_to_transform",
    "layers_pattern",
    "init_lora_weights",
    "bias",
    "auto_mapping",
    "base_model_name_or_path",
    "revision",
    "task_type",
    "inference_mode",
    "peft_version",
    "lora_dropout",
    "megatron_config",
    "megatron_core",
    "loftq_config",
    "eva_config",
    "corda_config",
    "lora_ga_config",
    "runtime_config",
    "qalora_group_size",
];
/// Initialisations that leave the base's weights as they are; others (PiSSA, OLoRA, CorDA, LoftQ, LoRA-GA) subtract from them
/// what the adapter begins with, so that the adapter means nothing beside the weights as published.
const INITIALISATIONS: [&str; 3] = ["gaussian", "eva", "orthogonal"];
/// Bytes that a compiled pattern may take.
const MAX_PATTERN_BYTES: usize = 1 << 20;

/// An adapter's arithmetic.
#[derive(Debug)]
pub struct LoraConfig {
    rank: usize,
    alpha: f64,
    /// The scale is alpha / √rank (Kalajdzievski 2023), not alpha / rank.
    stabilised: bool,
    ranks: Vec<(Regex, usize)>,
    alphas: Vec<(Regex, f64)>,
    targets: Modules,
    excluded: Modules,
    layers: Option<Vec<usize>>,
}

/// Which modules a field names.
#[derive(Debug)]
enum Modules {
    /// Whole names, or their last parts.
    Listed(Vec<String>),
    /// The whole name matches.
    Matching(Regex),
    AllLinear,
}

impl LoraConfig {
    /// Reads the fields of an `adapter_config.json`.
    pub fn parse(map: &Map<String, Value>) -> Parsed<Self> {
        let config = Config(map);
        let kind = config.optional::<String>("peft_type")?.unwrap_or_default();
        if kind != "LORA" {
            return Err(format!("`peft_type` is \"{kind}\"; only \"LORA\" is implemented"));
        }
        config.refuse_other_arithmetic()?;
        config.refuse_other_base()?;
        Ok(Self {
            rank: config.size("r")?,
            alpha: config.optional::<f64>("lora_alpha")?.ok_or("no `lora_alpha`")?,
            stabilised: config.flag("use_rslora")?,
            ranks: config.patterns("rank_pattern")?,
            alphas: config.patterns("alpha_pattern")?,
            targets: config.modules("target_modules")?,
            excluded: config.modules("exclude_modules")?,
            layers: config.layers()?,
        })
    }

    /// Rank and scale of `module`, which is named as in the model that was trained, e.g. `model.layers.0.mlp.up_proj`.
    ///
    /// # Errors
    /// PEFT would not put an adapter there, or not of a rank or scale that can be.
    pub fn of(&self, module: &str) -> Parsed<(usize, f64)> {
        if !self.targets.name(module) || self.excluded.name(module) || !self.takes_layer_of(module) {
            return Err("is of a module that `target_modules` and its restrictions do not name".to_owned());
        }
        let rank = first(&self.ranks, module).unwrap_or(self.rank);
        let alpha = first(&self.alphas, module).unwrap_or(self.alpha);
        let divisor = if self.stabilised { (rank as f64).sqrt() } else { rank as f64 };
        match (rank, alpha / divisor) {
            (0, _) => Err("has rank 0 by `rank_pattern`".to_owned()),
            (rank, scale) if scale.is_finite() => Ok((rank, scale)),
            (_, scale) => Err(format!("is scaled by {scale}")),
        }
    }

    fn takes_layer_of(&self, module: &str) -> bool {
        let Some(layers) = &self.layers else { return true };
        let layer = module.split('.').find_map(|part| part.parse::<usize>().ok());
        layer.is_some_and(|layer| layers.contains(&layer))
    }
}

/// What belongs to the first pattern that `module` ends with.
fn first<T: Copy>(patterns: &[(Regex, T)], module: &str) -> Option<T> {
    patterns.iter().find(|(pattern, _)| pattern.is_match(module)).map(|(_, value)| *value)
}

impl Modules {
    fn name(&self, module: &str) -> bool {
        let is =
            |listed: &String| module.strip_suffix(listed.as_str()).is_some_and(|r| r.is_empty() || r.ends_with('.'));
        match self {
            Self::Listed(listed) => listed.iter().any(is),
            Self::Matching(pattern) => pattern.is_match(module),
            Self::AllLinear => true,
        }
    }
}

impl Config<'_> {
    fn refuse_other_arithmetic(self) -> Parsed<()> {
        self.refuse_unless("bias", &Value::from("none"))?;
        for (field, value) in self.0.iter().filter(|(field, _)| !KNOWN.contains(&field.as_str())) {
            let is_off = match value {
                Value::Null | Value::Bool(false) => true,
                Value::Array(items) => items.is_empty(),
                Value::Object(map) => map.is_empty(),
                _ => false,
            };
            if !is_off {
                return Err(format!("`{field}` is {value}, which is not implemented; plain LoRA is"));
            }
        }
        Ok(())
    }

    fn refuse_other_base(self) -> Parsed<()> {
        match self.0.get("init_lora_weights") {
            None | Some(Value::Null | Value::Bool(_)) => Ok(()),
            Some(Value::String(kind)) if INITIALISATIONS.contains(&kind.as_str()) => Ok(()),
            Some(kind) => Err(format!(
                "`init_lora_weights` is {kind}: it changes the base's weights, and the adapter belongs to the changed ones; \
                 PEFT converts such adapters to plain ones (`path_initial_model_for_weight_conversion`)"
            )),
        }
    }

    /// PEFT's rule: a key is a regular expression for the end of a module's name, from a dot on.
    fn patterns<T: serde::de::DeserializeOwned>(self, field: &str) -> Parsed<Vec<(Regex, T)>> {
        let Some(patterns) = self.object(field)? else { return Ok(Vec::new()) };
        let pattern = |key: &String| {
            let value = patterns.optional(key)?.ok_or_else(|| format!("no value for `{key}`"))?;
            Ok((compile(&format!("^(.*\\.)?({key})$"))?, value))
        };
        let all: Parsed<_> = patterns.0.keys().map(pattern).collect();
        all.map_err(|what| format!("`{field}`: {what}"))
    }

    fn modules(self, field: &str) -> Parsed<Modules> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(Modules::Listed(Vec::new())),
            Some(Value::String(all)) if all == "all-linear" => Ok(Modules::AllLinear),
            Some(Value::String(pattern)) => {
                compile(&format!("^(?:{pattern})$")).map(Modules::Matching).map_err(|what| format!("`{field}`: {what}"))
            }
            Some(_) => Ok(Modules::Listed(self.optional(field)?.unwrap_or_default())),
        }
    }

    fn layers(self) -> Parsed<Option<Vec<usize>>> {
        let pattern =
            self.0.get("layers_pattern").filter(|p| **p != Value::Null && p.as_array().is_none_or(|a| !a.is_empty()));
        if let Some(pattern) = pattern.filter(|p| **p != "layers" && **p != serde_json::json!(["layers"])) {
            return Err(format!("`layers_pattern` is {pattern}; only \"layers\" is implemented"));
        }
        let layers = match self.0.get("layers_to_transform") {
            Some(Value::Number(_)) => self.optional("layers_to_transform")?.map(|layer| vec![layer]),
            _ => self.optional::<Vec<usize>>("layers_to_transform")?,
        };
        Ok(layers.filter(|layers| !layers.is_empty()))
    }
}

fn compile(pattern: &str) -> Parsed<Regex> {
    RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build().map_err(|e| format!("not a pattern: {e}"))
}

#[cfg(test)]
mod tests;
