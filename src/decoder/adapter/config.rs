//! From PEFT's `adapter_config.json` to the rank and the scale of each module.
//!
//! Owns the fields of a `LoraConfig`. A field that changes the arithmetic in an unsupported way is an error that names
//! it. So is an unknown field unless it is off, because a later version of PEFT may give it a meaning.

use serde_json::{Map, Value};

use super::pattern::Pattern;
use crate::decoder::config::fields::{Config, Parsed};
use crate::decoder::names::{EMBEDDING, HEAD};

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
/// what the adapter begins with, so that the adapter means nothing with the weights as published.
const INITIALISATIONS: [&str; 3] = ["gaussian", "eva", "orthogonal"];

/// An adapter's arithmetic.
#[derive(Debug)]
pub struct LoraConfig {
    rank: usize,
    alpha: f64,
    /// The scale is alpha / √rank (Kalajdzievski 2023), not alpha / rank.
    stabilised: bool,
    ranks: Vec<(Pattern, usize)>,
    alphas: Vec<(Pattern, f64)>,
    targets: Modules,
    excluded: Modules,
    layers: Option<Layers>,
}

/// Layers by their number, the first one in a name that stands after one of the patterns.
#[derive(Debug)]
struct Layers {
    numbers: Vec<usize>,
    after: Vec<Pattern>,
}

/// Which modules a field names.
#[derive(Debug)]
enum Modules {
    /// Whole names, or their last parts.
    Listed(Vec<String>),
    /// The whole name matches.
    Matching(Pattern),
    /// All but head and embedding.
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
        config.reject_other_arithmetic()?;
        config.reject_other_base()?;
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
        let is_taken = match self.targets.name(module)? {
            None => false,
            Some(Named::Wholly) => true,
            Some(Named::AtItsEnd) => self.takes_layer_of(module)?,
        };
        if !is_taken || self.excluded.name(module)?.is_some() {
            return Err("is of a module that `target_modules` and its restrictions do not name".to_owned());
        }
        let rank = first(&self.ranks, module)?.unwrap_or(self.rank);
        let alpha = first(&self.alphas, module)?.unwrap_or(self.alpha);
        let divisor = if self.stabilised { (rank as f64).sqrt() } else { rank as f64 };
        match (rank, alpha / divisor) {
            (0, _) => Err("has rank 0 by `rank_pattern`".to_owned()),
            (rank, scale) if scale.is_finite() => Ok((rank, scale)),
            (_, scale) => Err(format!("is scaled by {scale}")),
        }
    }

    fn takes_layer_of(&self, module: &str) -> Parsed<bool> {
        let Some(Layers { numbers, after }) = &self.layers else { return Ok(true) };
        for pattern in after {
            if let Some(number) = pattern.index(module)? {
                return Ok(number.parse().is_ok_and(|number| numbers.contains(&number)));
            }
        }
        Ok(false)
    }
}

/// What belongs to the first pattern that `module` ends with.
fn first<T: Copy>(patterns: &[(Pattern, T)], module: &str) -> Parsed<Option<T>> {
    for (pattern, value) in patterns {
        if pattern.is_match(module)? {
            return Ok(Some(*value));
        }
    }
    Ok(None)
}

/// How a module is named: what is named wholly is taken in every layer, whatever `layers_to_transform` says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Wholly,
    AtItsEnd,
}

impl Modules {
    fn name(&self, module: &str) -> Parsed<Option<Named>> {
        let ends = |listed: &String| module.strip_suffix(listed.as_str()).is_some_and(|rest| rest.ends_with('.'));
        let (is_whole, is_end) = match self {
            Self::Listed(listed) => (listed.iter().any(|listed| listed == module), listed.iter().any(ends)),
            Self::Matching(pattern) => (pattern.is_match(module)?, false),
            Self::AllLinear => {
                let last = module.rsplit('.').next().unwrap_or_default();
                (![HEAD, EMBEDDING].contains(&last), false)
            }
        };
        Ok(if is_whole { Some(Named::Wholly) } else { is_end.then_some(Named::AtItsEnd) })
    }
}

impl Config<'_> {
    fn reject_other_arithmetic(self) -> Parsed<()> {
        self.reject_unless("bias", &Value::from("none"))?;
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

    fn reject_other_base(self) -> Parsed<()> {
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
    fn patterns<T: serde::de::DeserializeOwned>(self, field: &str) -> Parsed<Vec<(Pattern, T)>> {
        let Some(patterns) = self.object(field)? else { return Ok(Vec::new()) };
        let pattern = |key: &String| {
            let value = patterns.optional(key)?.ok_or_else(|| format!("no value for `{key}`"))?;
            Ok((Pattern::end(key)?, value))
        };
        let all: Parsed<_> = patterns.0.keys().map(pattern).collect();
        all.map_err(|what| format!("`{field}`: {what}"))
    }

    fn modules(self, field: &str) -> Parsed<Modules> {
        match self.0.get(field) {
            None | Some(Value::Null) => Ok(Modules::Listed(Vec::new())),
            Some(Value::String(all)) if all == "all-linear" => Ok(Modules::AllLinear),
            Some(Value::String(pattern)) => {
                Pattern::whole(pattern).map(Modules::Matching).map_err(|what| format!("`{field}`: {what}"))
            }
            Some(_) => Ok(Modules::Listed(self.optional(field)?.unwrap_or_default())),
        }
    }

    fn layers(self) -> Parsed<Option<Layers>> {
        let (numbers, pattern) = ("layers_to_transform", "layers_pattern");
        let after: Vec<String> = match self.0.get(pattern) {
            Some(Value::String(one)) if one.is_empty() => Vec::new(),
            Some(Value::String(one)) => vec![one.clone()],
            _ => self.optional(pattern)?.unwrap_or_default(),
        };
        let numbers: Vec<usize> = match self.0.get(numbers) {
            Some(Value::Number(_)) => self.optional(numbers)?.into_iter().collect(),
            _ => self.optional(numbers)?.unwrap_or_default(),
        };
        if numbers.is_empty() && !after.is_empty() {
            return Err(format!("`{pattern}` is {after:?} without `layers_to_transform`, which PEFT rejects"));
        }
        if !numbers.is_empty() && self.0.get("target_modules").is_some_and(Value::is_string) {
            return Err("`layers_to_transform` together with a text in `target_modules`, which PEFT rejects".to_owned());
        }
        let after: Vec<Option<&str>> =
            if after.is_empty() { vec![None] } else { after.iter().map(|after| Some(after.as_str())).collect() };
        let after: Parsed<_> = after.into_iter().map(Pattern::layers).collect();
        let after = after.map_err(|what| format!("`{pattern}`: {what}"))?;
        Ok((!numbers.is_empty()).then_some(Layers { numbers, after }))
    }
}

#[cfg(test)]
mod tests;
