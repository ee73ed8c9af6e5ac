//! Dumps of rollouts whose texts were decoded without their special tokens.
//!
//! Owns the fields that such rows have: verl's of `trainer.rollout_data_dir` and `validation_data_dir`
//! (`verl/trainer/ppo/ray_trainer.py`), and TRL's completions (`trl/trainer/grpo_trainer.py`, `log_completions`). Both
//! decode with `skip_special_tokens=True`. Not here: whether a text has special tokens all the same (`tokenize`).

use crate::dataset::json::Fields;

/// The fields of verl's rows, and those of TRL's.
const DUMPS: [&[&str]; 2] =
    [&["input", "output", "gts", "score", "step"], &["step", "prompt", "completion", "advantage"]];

/// Every field that recognises one.
pub fn fields() -> impl Iterator<Item = &'static str> {
    DUMPS.into_iter().flatten().copied()
}

/// Whether a row has all the fields of one; a value may be null.
pub fn is_dump(fields: &Fields) -> bool {
    DUMPS.iter().any(|dump| dump.iter().all(|name| fields.has(name)))
}
