//! Two models' shifts from a third, each on its own text, and their difference.
//!
//! Owns the shape. Not here: computing it (`figures`), and showing it (`output`).

use super::kl_estimate::KlEstimate;
use crate::shift::numbers::contrast::Contrast;

/// KL(model‖to) on the model's own responses minus KL(minus‖to) on the other's, over the prompts (clusters) of both response sets.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Between {
    /// The model whose shift is taken, and the one whose shift is subtracted from it.
    pub model: String,
    /// The model whose shift is subtracted.
    pub minus: String,
    /// Q of both: what they are compared with.
    pub to: String,
    /// In the order of their names.
    pub tasks: Vec<BetweenTask>,
    /// Over all of them, if they are several.
    #[serde(default)]
    pub overall: Option<BetweenTasks>,
    /// What only one of the two wrote, or what could not be compared, and why.
    #[serde(default)]
    pub missing: Vec<MissingTask>,
}

/// A task that is not among those of [`Between`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MissingTask {
    /// Name of the task.
    pub task: String,
    /// Why it has no difference.
    pub why: String,
}

/// Of one task.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BetweenTask {
    /// Name of the task.
    pub task: String,
    /// What logits were divided by for exact measures, which are left out unless both response sets have them at the same.
    pub temperature: Option<f64>,
    /// Prompts of both texts, and samples of each in them.
    pub prompts: u64,
    /// Number of samples.
    pub samples: BothTexts,
    /// Prompts that the other text lacks, and their samples: in no mean.
    pub left_out_prompts: BothTexts,
    /// Samples of these prompts.
    pub left_out_samples: BothTexts,
    /// Parts of a table are missing.
    pub partial: bool,
    /// Whether the difference by k1 estimates that by KL.
    pub kl_estimate: KlEstimate,
    /// Differences by measure.
    pub measures: Vec<BetweenMeasure>,
    /// What qualifies the numbers.
    pub notes: Vec<String>,
}

/// Of several tasks.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BetweenTasks {
    /// Names of the tasks.
    pub tasks: Vec<String>,
    /// As that of a task; exact measures are left out unless all tasks have them at the same.
    pub temperature: Option<f64>,
    /// Prompts of both texts.
    pub prompts: u64,
    /// Parts of a table of one of the tasks are missing, or a text of the two could not be compared.
    pub partial: bool,
    /// Whether the difference by k1 estimates that by KL.
    pub kl_estimate: KlEstimate,
    /// Differences by measure, over all prompts of all tasks.
    pub measures: Vec<BetweenMeasure>,
    /// Means over tasks of each task's means, every task with the same weight.
    pub mean_of_tasks: Vec<BetweenMeasure>,
}

/// A number of each text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct BothTexts {
    /// Name of the model.
    pub model: u64,
    /// Of the text of the model that is subtracted.
    pub minus: u64,
}

/// The means of one measure. An estimate's `clusters` are prompts.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct BetweenMeasure {
    /// Its name.
    pub name: String,
    /// Of all means but `response_mean`, which is in nats/response.
    pub unit: String,
    /// Difference of the means over tokens.
    pub token_mean: Option<Contrast>,
    /// Difference of the means over samples.
    pub sample_mean: Option<Contrast>,
    /// Every prompt with the same weight, whatever the numbers of its samples: the mean over prompts of each prompt's
    /// mean over samples.
    pub prompt_mean: Option<Contrast>,
    /// Mean over samples of each sample's sum.
    pub response_mean: Option<Contrast>,
}

impl BetweenMeasure {
    /// Each mean with its name.
    pub fn means(&self) -> [(&'static str, Option<Contrast>); 4] {
        [
            ("token_mean", self.token_mean),
            ("sample_mean", self.sample_mean),
            ("prompt_mean", self.prompt_mean),
            ("response_mean", self.response_mean),
        ]
    }
}
