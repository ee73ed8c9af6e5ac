//! What differs from layer to layer: windows, rotation, experts.
//!
//! Owns the fields that say so, and what holds where they are absent.

use crate::decoder::config::fields::{Config, Parsed};
use crate::decoder::spec::{DecoderSpec, Experts};

type Windows = Vec<Option<usize>>;

impl Config<'_> {
    /// By `layer_types`, or on the layers that `slides` names where the config is older than that field.
    pub fn windows(self, layers: usize, window: Option<usize>, slides: impl Fn(usize) -> bool) -> Parsed<Windows> {
        let Some(types) = self.optional::<Vec<String>>("layer_types")? else {
            return Ok((0..layers).map(|layer| window.filter(|_| slides(layer))).collect());
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

    /// The window, if it is in use; some configs write 0 where it is not.
    pub fn used_window(self) -> Parsed<Option<usize>> {
        if self.flag("use_sliding_window")? { self.optional_size("sliding_window") } else { Ok(None) }
    }

    /// From `max_window_layers` on.
    pub fn qwen_windows(self, layers: usize) -> Parsed<Windows> {
        let first = self.optional("max_window_layers")?.unwrap_or(28);
        self.windows(layers, self.used_window()?, |layer| layer >= first)
    }

    /// Every other layer before `max_window_layers`.
    pub fn qwen2_moe_windows(self, layers: usize) -> Parsed<Windows> {
        let end = self.optional("max_window_layers")?.unwrap_or(28);
        self.windows(layers, self.used_window()?, |layer| layer % 2 == 0 && layer < end)
    }

    /// All but every `pattern`-th.
    pub fn pattern_windows(self, layers: usize, pattern: usize) -> Parsed<Windows> {
        let window = self.optional_size("sliding_window")?;
        self.windows(layers, window, |layer| (layer + 1) % pattern != 0)
    }

    /// Layers that rotate nothing (`no_rope_layers` has 0 for them), which are those with a window.
    pub fn smollm3_layers(self, spec: &mut DecoderSpec) -> Parsed<()> {
        let interval = self.optional_size("no_rope_layer_interval")?.unwrap_or(4);
        let by_interval = || (1..=spec.layers).map(|layer| u8::from(layer % interval != 0)).collect();
        let rotated: Vec<u8> = self.optional("no_rope_layers")?.unwrap_or_else(by_interval);
        if rotated.len() < spec.layers || rotated.iter().any(|&x| x > 1) {
            return Err(format!("`no_rope_layers` is {rotated:?}, expected 0 or 1 for each of {} layers", spec.layers));
        }
        let window = if self.has("layer_types") { self.optional_size("sliding_window")? } else { self.used_window()? };
        spec.windows = self.windows(spec.layers, window, |layer| rotated[layer] == 0)?;
        spec.rope_of_layer = rotated[..spec.layers].iter().map(|&rotated| (rotated == 1).then_some(0)).collect();
        spec.mlp_bias = self.flag("mlp_bias")?;
        Ok(())
    }

    /// The mixture of experts of the families that have one.
    pub fn experts(self, spec: &mut DecoderSpec, family: &str) -> Parsed<()> {
        let sizes = match family {
            "mixtral" => (self.size("num_local_experts")?, spec.intermediate, None),
            "qwen2_moe" => {
                let shared = self.size("shared_expert_intermediate_size")?;
                (self.size("num_experts")?, self.size("moe_intermediate_size")?, Some(shared))
            }
            "qwen3_moe" => {
                let field = if self.has("num_experts") { "num_experts" } else { "num_local_experts" };
                (self.optional_size(field)?.unwrap_or(128), self.size("moe_intermediate_size")?, None)
            }
            _ => return Ok(()),
        };
        let (count, intermediate, shared) = sizes;
        let chosen = self.size("num_experts_per_tok")?;
        if chosen > count {
            return Err(format!("`num_experts_per_tok` is {chosen}, but there are {count} experts"));
        }
        let normalised = family == "mixtral" || self.flag("norm_topk_prob")?;
        spec.experts = Some(Experts { count, chosen, intermediate, normalised, shared });
        let step = self.optional_size("decoder_sparse_step")?.unwrap_or(1);
        let dense: Vec<usize> = self.optional("mlp_only_layers")?.unwrap_or_default();
        spec.sparse = (0..spec.layers).map(|layer| !dense.contains(&layer) && (layer + 1) % step == 0).collect();
        Ok(())
    }
}
