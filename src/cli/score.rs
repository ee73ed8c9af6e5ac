//! `tokshift score`: from options to runs of the pipeline, one model after the other.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use candle_core::{DType, Device};

use super::Exit;
use super::args::{BoundaryArg, DtypeArg, EngineArg, OnErrorArg, OutFormat, ScoreArgs, TooLongArg};
use super::models::{self, NamedModel};
use super::progress;
use crate::dataset::{self, Plan, PlanOptions, RowOptions};
use crate::decoder::Checkpoint;
use crate::engine::Engine;
use crate::engine::local::{Local, LocalOptions};
use crate::engine::mock::Mock;
use crate::hub;
use crate::pipeline::{Input, Progress, Run, Snapshot};
use crate::sample::Status;
use crate::store::{Cell, Format, Store};
use crate::tokenize::{Boundary, SampleOptions, TextTokenizer, TooLong};

/// Scores every dataset with every model.
pub fn run(args: &ScoreArgs) -> Result<Exit> {
    let plan = Preparation::of(args)?;
    let store = Store::open(&args.output_dir)?;
    let mut unscored = 0;
    for model in &plan.models {
        unscored += plan.score(model, &store).with_context(|| format!("scoring with `{}`", model.named.name))?;
    }
    Ok(if unscored == 0 { Exit::Done } else { Exit::Unscored })
}

/// A dataset with its names.
struct Dataset {
    generation_model: String,
    task: String,
    plan: Plan,
}

/// A model whose files were looked at, so that what is wrong shows before anything is scored.
struct Model {
    named: NamedModel,
    /// `None` for the stand-in engine.
    checkpoint: Option<Checkpoint>,
}

/// Everything that is known before the first model is loaded.
struct Preparation<'a> {
    args: &'a ScoreArgs,
    device: Device,
    datasets: Vec<Dataset>,
    models: Vec<Model>,
    tokenizer: TextTokenizer,
    sample_options: SampleOptions,
}

impl<'a> Preparation<'a> {
    fn of(args: &'a ScoreArgs) -> Result<Self> {
        let device = device(&args.device)?;
        let datasets = datasets(args)?;
        let models = models::resolve(&args.models)?.into_iter().map(|named| Model::open(named, args.engine));
        let models = models.collect::<Result<Vec<_>>>()?;
        let (home, tokenizer) = tokenizer(args, &datasets, &models)?;
        warn_of_other_bos(&models, &home, &tokenizer);
        let sample_options = SampleOptions {
            boundary: match args.boundary {
                BoundaryArg::Joint => Boundary::Joint,
                BoundaryArg::Separate => Boundary::Separate,
            },
            end: end_token(&args.end, &home)?,
            max_tokens: models.iter().map(Model::max_tokens).min().unwrap_or(usize::MAX),
            too_long: match args.too_long {
                TooLongArg::Skip => TooLong::Skip,
                TooLongArg::Truncate => TooLong::Truncate,
                TooLongArg::Fail => TooLong::Fail,
            },
        };
        Ok(Self { args, device, datasets, models, tokenizer, sample_options })
    }

    /// Scores every dataset with one model; the number of samples that got no numbers.
    fn score(&self, model: &Model, store: &Store) -> Result<u64> {
        let manifest = self.engine_facts(model)?;
        let cells = self.datasets.iter().map(|dataset| {
            let cell = Cell {
                generation_model: dataset.generation_model.clone(),
                task: dataset.task.clone(),
                model: model.named.name.clone(),
            };
            Ok(store.cell(cell, self.manifest(dataset, &manifest), self.format())?)
        });
        let cells = cells.collect::<Result<Vec<_>>>()?;
        let inputs: Vec<Input> =
            self.datasets.iter().zip(&cells).map(|(dataset, cell)| Input { plan: &dataset.plan, cell }).collect();
        let name = &model.named.name;
        if inputs.iter().all(|input| (0..input.plan.parts.len() as u32).all(|part| input.cell.is_done(part))) {
            eprintln!("{name}: already scored");
            return Ok(0);
        }
        let engine = self.load(model)?;
        let (progress, stop) = (Progress::default(), AtomicBool::new(false));
        let run = Run {
            inputs: &inputs,
            tokenizer: &self.tokenizer,
            sample_options: &self.sample_options,
            fail_on_bad_row: self.args.on_error == OnErrorArg::Fail,
            engine: engine.as_ref(),
            progress: &progress,
            stop: &stop,
        };
        let started = Instant::now();
        progress::watch(name, &progress, || run.score())?;
        let snapshot = progress.snapshot();
        eprintln!("{name}: {}", describe(&snapshot, started));
        Ok(snapshot.unscored())
    }
}
