//! How a checkpoint's weights were quantised.
//!
//! Owns `quantization_config`. Every method except block-wise FP8 is an error that names the method.

use serde_json::{Value, json};

use crate::decoder::config::fields::{Config, Parsed};

/// Fields that change no weight: the tensors show which modules were not quantised, and activations are not quantised
/// here.
const NEUTRAL: [&str; 5] =
    ["quant_method", "weight_block_size", "modules_to_not_convert", "activation_scheme", "scale_fmt"];

impl Config<'_> {
    /// Rows and columns of the blocks that share a scale, if the weights are stored in FP8.
    pub fn fp8_block(self) -> Parsed<Option<[usize; 2]>> {
        self.reject_unless("compression_config", &Value::Null)?;
        let Some(config) = self.object("quantization_config")? else { return Ok(None) };
        config.block().map(Some).map_err(|what| format!("`quantization_config`: {what}"))
    }

    fn block(self) -> Parsed<[usize; 2]> {
        let method = self.optional::<String>("quant_method")?.unwrap_or_default();
        if method != "fp8" {
            return Err(format!(
                "quant_method \"{method}\" is not read; the only one that is read in safetensors is \"fp8\""
            ));
        }
        self.reject_unless("fmt", &json!("e4m3"))?;
        self.reject_unless("activation_scheme", &json!("dynamic"))?;
        let known = |field: &String| field.as_str() == "fmt" || NEUTRAL.contains(&field.as_str());
        for (field, _) in self.0.iter().filter(|(field, _)| !known(field)) {
            self.reject_unless(field, &Value::Bool(false))?;
        }
        match self.optional::<[usize; 2]>("weight_block_size")? {
            Some(block) if block.iter().all(|n| (1..=1 << 24).contains(n)) => Ok(block),
            Some(block) => Err(format!("`weight_block_size` is {block:?}")),
            None => Err("no `weight_block_size`: FP8 with one scale per tensor is not read".to_owned()),
        }
    }
}
