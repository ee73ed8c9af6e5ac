//! Two models' shifts from a third, each on its own responses: their difference by task and over tasks.
//!
//! Owns the pairing by prompt. Only sums by prompt are kept of each response set. Not here: the estimate (`contrast`).

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::schema::pair::KL;
use crate::shift::numbers::contrast::{Contrast, contrast};
use crate::shift::numbers::stats::{Estimate, FEW_CLUSTERS, InCommon, Share, mean_of_tasks};
use crate::shift::options::BetweenModels;
use crate::shift::pass::sums::Sums;
use crate::shift::result::between::{Between, BetweenMeasure, BetweenTask, BetweenTasks, BothTexts, MissingTask};
use crate::shift::result::comparison::NotCompared;
use crate::shift::result::kl_estimate::KlEstimate;
use crate::shift::result::pair::Pair;
use crate::shift::tables::files::{PairTables, Weights};
use crate::shift::tables::samples;
use crate::shift::token::measures::{self, is_of_pairs};

/// What shifts are measured by: exactly, and by k1 where that estimates KL.
const MEASURES: [&str; 2] = [KL, "kl_k1"];

/// One measure's sums over one prompt's rows: of tokens, of samples' means, of samples' sums.
#[derive(Clone, Copy, Default)]
struct OfPrompt {
    tokens: Share,
    samples: Share,
    responses: Share,
}

/// The sums of a prompt by measure, and its number of samples.
#[derive(Clone, Copy, Default)]
struct Prompt {
    samples: u64,
    measures: [OfPrompt; MEASURES.len()],
}

/// One model's shift on its own text of a task.
struct Shift {
    model: String,
    task: String,
    temperature: Option<f64>,
    is_partial: bool,
    kl_estimate: KlEstimate,
    /// What computed P's and Q's numbers.
    weights: [Weights; 2],
    prompts: BTreeMap<String, Prompt>,
}

/// The shifts so far.
pub struct Shifts<'a> {
    wanted: Option<&'a BetweenModels>,
    found: Vec<Shift>,
}

/// The two texts' sums of a prompt that both have.
type Both<'a> = [&'a Prompt; 2];

impl<'a> Shifts<'a> {
    /// None yet; none at all unless they are `wanted`.
    pub fn new(wanted: Option<&'a BetweenModels>) -> Self {
        Self { wanted, found: Vec::new() }
    }

    /// Keeps what is needed of a pair, if it is one of those two with the third.
    pub fn add(&mut self, tables: &PairTables, pair: &Pair, sums: &Sums) -> Result<()> {
        let is_of = |wanted: &&BetweenModels| wanted.is_pair(&pair.generation_model, &pair.p, &pair.q);
        if !self.wanted.as_ref().is_some_and(is_of) {
            return Ok(());
        }
        let names = samples::clusters(&tables.p)?;
        let of_measures = MEASURES.map(|name| sums.of(name));
        let mut prompts: BTreeMap<String, Prompt> = BTreeMap::new();
        for (place, facts) in sums.facts.iter().enumerate() {
            let name = names.get(&facts.id).cloned().unwrap_or_default();
            let prompt = prompts.entry(name).or_default();
            prompt.samples += 1;
            for (of_prompt, of_samples) in prompt.measures.iter_mut().zip(&of_measures) {
                let (sum, n) = of_samples.as_ref().map_or((0.0, 0), |of_samples| of_samples[place]);
                of_prompt.add(sum, n);
            }
        }
        self.found.push(Shift {
            model: pair.p.clone(),
            task: pair.task.clone(),
            temperature: pair.exact.as_ref().map(|exact| exact.temperature),
            is_partial: pair.partial.is_some(),
            kl_estimate: pair.kl_estimate.clone(),
            weights: [&tables.p, &tables.q].map(|table| table.weights.clone()),
            prompts,
        });
        Ok(())
    }

    /// The differences of all tasks; `None` unless they were requested.
    ///
    /// # Errors
    /// [`Error::Usage`] if no task has a prompt of both response sets.
    pub fn finish(self, not_compared: &[NotCompared]) -> Result<Option<Between>> {
        let Some(wanted) = self.wanted else { return Ok(None) };
        let of_pairs = |pair: &&NotCompared| wanted.is_pair(&pair.generation_model, &pair.p, &pair.q);
        let lost: Vec<&NotCompared> = not_compared.iter().filter(of_pairs).collect();
        let (found, missing) = self.by_task(wanted, &lost);
        if found.is_empty() {
            let why: Vec<_> = missing.iter().map(|MissingTask { task, why }| format!("`{task}`: {why}")).collect();
            return Err(Error::Usage(format!("--between: nothing to compare: {}", why.join("; "))));
        }
        let mut tasks: Vec<BetweenTask> = found.iter().map(|(one, other)| of_task(one, other, wanted)).collect();
        let is_mixed = found.windows(2).any(|two| {
            let [one, other] = [two[0], two[1]].map(|(one, other)| (&one.weights, &other.weights));
            one != other
        });
        if is_mixed {
            let note = "tasks are not pooled: the files or the dtype of a model differ between them";
            for task in &mut tasks {
                task.notes.push(note.to_owned());
            }
        }
        let overall = (found.len() > 1 && !is_mixed).then(|| over_tasks(&found, &tasks, !lost.is_empty()));
        let [model, minus, to] = [&wanted.model, &wanted.minus, &wanted.to].map(Clone::clone);
        Ok(Some(Between { model, minus, to, tasks, overall, missing }))
    }

    /// The two shifts of every task that has both, and the reason for every other task. `lost` are the pairs that could
    /// not be compared.
    fn by_task(&self, wanted: &BetweenModels, lost: &[&NotCompared]) -> (Vec<(&Shift, &Shift)>, Vec<MissingTask>) {
        let BetweenModels { model, minus, .. } = wanted;
        let tasks: BTreeSet<&str> = self
            .found
            .iter()
            .map(|shift| shift.task.as_str())
            .chain(lost.iter().map(|pair| pair.task.as_str()))
            .collect();
        let find = |model: &str, task: &str| self.found.iter().find(|of| of.model == model && of.task == task);
        let (mut found, mut missing) = (Vec::new(), Vec::new());
        for task in tasks {
            let lacks = |model: &str| {
                let lost = lost.iter().find(|pair| pair.p == model && pair.task == task);
                lost.map_or_else(
                    || format!("`{model}` wrote no responses to it that were scored"),
                    |pair| pair.why.clone(),
                )
            };
            let why = match (find(model, task), find(minus, task)) {
                (Some(one), Some(other)) if common(one, other).is_empty() => NO_PROMPT.to_owned(),
                (Some(one), Some(other)) => {
                    found.push((one, other));
                    continue;
                }
                (one, _) => lacks(if one.is_none() { model } else { minus }),
            };
            missing.push(MissingTask { task: task.to_owned(), why });
        }
        (found, missing)
    }
}

/// Why two texts of a task have no difference.
const NO_PROMPT: &str = "no prompt is in both response sets: prompts are the same if their `cluster_id` is, the hash of the \
                         prompt's token ids or the value of --cluster; score both texts with one tokenizer, chat template and \
                         --cluster";

impl OfPrompt {
    /// Adds a sample's sum over `n` tokens; one without a token that has the measure is in no mean.
    fn add(&mut self, sum: f64, n: u64) {
        if n == 0 {
            return;
        }
        for (share, sum, n) in
            [(&mut self.tokens, sum, n), (&mut self.samples, sum / n as f64, 1), (&mut self.responses, sum, 1)]
        {
            share.sum += sum;
            share.n += n;
        }
    }

    /// The prompt's mean over samples, as one row.
    fn one_row(self) -> Share {
        let Share { sum, n } = self.samples;
        if n == 0 { Share::default() } else { Share { sum: sum / n as f64, n: 1 } }
    }
}

/// The prompts of both texts, in the order of their names.
fn common<'a>(one: &'a Shift, other: &'a Shift) -> Vec<Both<'a>> {
    let both = one.prompts.iter().filter_map(|(name, prompt)| Some([prompt, other.prompts.get(name)?]));
    both.collect()
}

fn of_task(one: &Shift, other: &Shift, BetweenModels { model, minus, to }: &BetweenModels) -> BetweenTask {
    let both = common(one, other);
    let temperature = one.temperature.filter(|_| one.temperature == other.temperature);
    let prompts = both.len() as u64;
    let samples = [0, 1].map(|side| both.iter().map(|both| both[side].samples).sum::<u64>());
    let all = [one, other].map(|shift| shift.prompts.values().map(|prompt| prompt.samples).sum::<u64>());
    let left_out = [one, other].map(|shift| shift.prompts.len() as u64 - prompts);
    let left_out_samples = [all[0] - samples[0], all[1] - samples[1]];
    let mut notes = Vec::new();
    for (name, (prompts, samples)) in [model, minus].into_iter().zip(left_out.into_iter().zip(left_out_samples)) {
        if prompts > 0 {
            notes.push(format!(
                "left out: {prompts} prompts that only the responses of `{name}` have ({samples} samples)"
            ));
        }
    }
    if prompts < FEW_CLUSTERS {
        notes.push(format!("only {prompts} prompts: standard errors and intervals are rough below {FEW_CLUSTERS}"));
    }
    if one.weights[1] != other.weights[1] {
        notes.push(format!("the files or the dtype of `{to}` differ between the two response sets"));
    }
    if temperature.is_none() && (one.temperature.is_some() || other.temperature.is_some()) {
        notes.push("exact measures are left out: not both response sets have them at one temperature".to_owned());
    }
    let side = |[model, minus]: [u64; 2]| BothTexts { model, minus };
    BetweenTask {
        task: one.task.clone(),
        temperature,
        prompts,
        samples: side(samples),
        left_out_prompts: side(left_out),
        left_out_samples: side(left_out_samples),
        partial: one.is_partial || other.is_partial,
        kl_estimate: KlEstimate::of_all(&[(model, &one.kl_estimate), (minus, &other.kl_estimate)]),
        measures: of_prompts(&both, temperature.is_some()),
        notes,
    }
}

/// The measures over some prompts.
fn of_prompts(both: &[Both], has_exact: bool) -> Vec<BetweenMeasure> {
    let wanted = MEASURES.iter().enumerate().filter(|(_, name)| has_exact || !is_of_pairs(name));
    let measure = |(place, name): (usize, &&str)| {
        let of = |row: fn(OfPrompt) -> Share| -> Option<Contrast> {
            let shares = both.iter().map(|both| both.map(|prompt| row(prompt.measures[place])));
            contrast(&shares.collect::<Vec<_>>())
        };
        let unit = measures::ALL.iter().find(|m| m.name == *name).map_or("", |m| m.unit);
        BetweenMeasure {
            name: (*name).to_owned(),
            unit: unit.to_owned(),
            token_mean: of(|of| of.tokens),
            sample_mean: of(|of| of.samples),
            prompt_mean: of(OfPrompt::one_row),
            response_mean: of(|of| of.responses),
        }
    };
    wanted.map(measure).collect()
}

fn over_tasks(found: &[(&Shift, &Shift)], tasks: &[BetweenTask], lacks_a_task: bool) -> BetweenTasks {
    let first = tasks.first().and_then(|task| task.temperature);
    let temperature = first.filter(|_| tasks.iter().all(|task| task.temperature == first));
    // A prompt belongs to one task, though it were in two.
    let all: Vec<Both> = found.iter().flat_map(|(one, other)| common(one, other)).collect();
    let measures = of_prompts(&all, temperature.is_some());
    let mean_of = |measure: &BetweenMeasure| {
        let of_tasks: Vec<&BetweenMeasure> =
            tasks.iter().filter_map(|task| task.measures.iter().find(|m| m.name == measure.name)).collect();
        let mean = |of: fn(&BetweenMeasure) -> Option<Contrast>| mean_of_contrasts(&of_tasks, of);
        BetweenMeasure {
            token_mean: mean(|m| m.token_mean),
            sample_mean: mean(|m| m.sample_mean),
            prompt_mean: mean(|m| m.prompt_mean),
            response_mean: mean(|m| m.response_mean),
            ..measure.clone()
        }
    };
    let of_each: Vec<_> = tasks.iter().map(|task| (task.task.as_str(), &task.kl_estimate)).collect();
    BetweenTasks {
        tasks: tasks.iter().map(|task| task.task.clone()).collect(),
        temperature,
        prompts: all.len() as u64,
        partial: lacks_a_task || tasks.iter().any(|task| task.partial),
        kl_estimate: KlEstimate::of_all(&of_each),
        mean_of_tasks: measures.iter().map(mean_of).collect(),
        measures,
    }
}

/// `None` if a task lacks it.
fn mean_of_contrasts(tasks: &[&BetweenMeasure], of: impl Fn(&BetweenMeasure) -> Option<Contrast>) -> Option<Contrast> {
    let all: Vec<Contrast> = tasks.iter().map(|task| of(task)).collect::<Option<_>>()?;
    let mean = |of: fn(&Contrast) -> Estimate| mean_of_tasks(all.iter().map(of), InCommon::default());
    let (model, minus) = (mean(|of| of.model)?, mean(|of| of.minus)?);
    Some(Contrast { model, minus, difference: mean(|of| of.difference)? })
}
