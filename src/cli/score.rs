//! `tokshift score`: from options to runs of the pipeline, one model after the other.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use candle_core::{DType, Device};

use super::Exit;
use super::args::{BoundaryArg, DtypeArg, OnErrorArg, OutFormat, ScoreArgs, TooLongArg};
use super::inputs::{self, Dataset, MOCK_CONTEXT, Model};
use super::{models, progress, signals};
use crate::dataset::Plan;
use crate::decoder::Checkpoint;
use crate::engine::local::{Local, LocalOptions};
use crate::engine::mock::Mock;
use crate::engine::{Engine, RANK_STRICT};
use crate::pipeline::{Input, Progress, Run, Snapshot};
use crate::sample::Status;
use crate::store::{Cell, CellStore, DatasetFacts, EngineFacts, Manifest, Store, TokenFacts};
use crate::table::Format;
use crate::tokenize::{Boundary, SampleOptions, TextTokenizer, TooLong};
use crate::{digest, schema, store, study};

/// Scores every dataset with every model.
pub fn run(args: &ScoreArgs) -> Result<Exit> {
    let preparation = Preparation::of(args)?;
    let store = Store::open(&args.output_dir)?;
    let mut unscored = 0;
    for model in &preparation.models {
        unscored += preparation.score(model, &store)?;
    }
    if args.out == OutFormat::TokenLosses {
        preparation.export(&store)?;
    }
    Ok(if unscored == 0 { Exit::Done } else { Exit::Unscored })
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
        let device = inputs::device(&args.device)?;
        let datasets = inputs::datasets(args)?;
        let models = models::resolve(&args.models)?.into_iter().map(|named| Model::open(named, args.engine));
        let models = models.collect::<Result<Vec<_>>>()?;
        let path = inputs::tokenizer_path(args, &datasets, &models)?;
        let tokenizer = TextTokenizer::from_file(&path)?;
        inputs::warn_of_other_bos(&models, &path, &tokenizer);
        let sample_options = SampleOptions {
            boundary: match args.boundary {
                BoundaryArg::Joint => Boundary::Joint,
                BoundaryArg::Separate => Boundary::Separate,
            },
            end: inputs::end_token(&args.end, &path)?,
            max_tokens: models.iter().map(Model::max_tokens).min().unwrap_or(MOCK_CONTEXT),
            too_long: match args.too_long {
                TooLongArg::Skip => TooLong::Skip,
                TooLongArg::Truncate => TooLong::Truncate,
                TooLongArg::Fail => TooLong::Fail,
            },
        };
        Ok(Self { args, device, datasets, models, tokenizer, sample_options })
    }

    /// Scores every dataset with one model; how many samples got no numbers.
    fn score(&self, model: &Model, store: &Store) -> Result<u64> {
        let facts = self.engine_facts(model)?;
        let format = self.format();
        let cell = |dataset: &Dataset| {
            let cell = Cell {
                generation_model: dataset.generation_model.clone(),
                task: dataset.task.clone(),
                model: model.named.name.clone(),
            };
            store.cell(&cell, &self.manifest(&cell, dataset, &facts), format)
        };
        let cells = self.datasets.iter().map(cell).collect::<Result<Vec<_>, _>>()?;
        let inputs = self.datasets.iter().zip(&cells);
        let inputs = inputs.map(|(dataset, cell)| Input::new(&dataset.plan, cell, self.args.retry_failed));
        let inputs = inputs.collect::<Result<Vec<_>, _>>()?;
        let name = &model.named.name;
        let all_done = || inputs.iter().all(Input::is_done);
        if !all_done() {
            cells.iter().try_for_each(CellStore::lock)?;
        }
        // Asked again, because another process may have done it by then.
        if all_done() {
            eprintln!("{name}: already scored");
            return Ok(0);
        }
        let engine = self.load(model)?;
        let progress = Progress::default();
        let run = |stop| Run {
            inputs: &inputs,
            tokenizer: &self.tokenizer,
            sample_options: &self.sample_options,
            fail_on_bad_row: self.args.on_error == OnErrorArg::Fail,
            engine: engine.as_ref(),
            progress: &progress,
            stop,
        };
        let started = Instant::now();
        progress::watch(name, &progress, || signals::heed(|stop| run(stop).score()))
            .with_context(|| format!("scoring with `{name}`"))?;
        let snapshot = progress.snapshot();
        eprintln!("{name}: {}", describe(&snapshot, started));
        Ok(snapshot.unscored())
    }

    /// Writes the study's file of every cell of this run.
    fn export(&self, store: &Store) -> Result<()> {
        let of_this_run = |cell: &Cell| {
            self.models.iter().any(|model| model.named.name == cell.model)
                && self.datasets.iter().any(|d| (&d.generation_model, &d.task) == (&cell.generation_model, &cell.task))
        };
        for found in store::cells(&self.args.output_dir)?.iter().filter(|found| of_this_run(&found.cell)) {
            eprintln!("wrote {}", study::export(store, found)?.display());
        }
        Ok(())
    }

    fn load(&self, model: &Model) -> Result<Box<dyn Engine>> {
        let name = model.named.name.clone();
        let Some(checkpoint) = &model.checkpoint else {
            return Ok(Box::new(Mock::new(&name, self.args.top_k)));
        };
        let options = LocalOptions {
            name,
            dtype: self.dtype(checkpoint),
            device: self.device.clone(),
            batch_tokens: self.args.batch_tokens,
            top_k: self.args.top_k,
        };
        Ok(Box::new(Local::load(checkpoint, options)?))
    }

    fn dtype(&self, checkpoint: &Checkpoint) -> DType {
        match self.args.dtype {
            DtypeArg::Auto => checkpoint.stored_dtype(),
            DtypeArg::F32 => DType::F32,
            DtypeArg::Bf16 => DType::BF16,
        }
    }

    fn format(&self) -> Format {
        match self.args.out {
            OutFormat::Parquet | OutFormat::TokenLosses => Format::Parquet,
            OutFormat::Jsonl => Format::Jsonl,
        }
    }

    fn engine_facts(&self, model: &Model) -> Result<EngineFacts> {
        let Some(checkpoint) = &model.checkpoint else {
            return Ok(EngineFacts {
                name: "mock".to_owned(),
                files: BTreeMap::new(),
                dtype: "f32".to_owned(),
                device: "cpu".to_owned(),
                top_k: self.args.top_k,
                rank_rule: RANK_STRICT.to_owned(),
            });
        };
        let hashed = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Ok((name, digest::file(&path)?))
        };
        Ok(EngineFacts {
            name: "local".to_owned(),
            files: checkpoint.files().into_iter().map(hashed).collect::<Result<_>>()?,
            dtype: self.dtype(checkpoint).as_str().to_owned(),
            device: if self.device.is_cpu() { "cpu" } else { "cuda" }.to_owned(),
            top_k: self.args.top_k.min(checkpoint.spec().vocab),
            rank_rule: RANK_STRICT.to_owned(),
        })
    }

    fn manifest(&self, cell: &Cell, dataset: &Dataset, engine: &EngineFacts) -> Manifest {
        let Plan { hash, rows, samples, options, parts, .. } = &dataset.plan;
        Manifest {
            format_version: schema::FORMAT_VERSION,
            generation_model: cell.generation_model.clone(),
            task: cell.task.clone(),
            model: cell.model.clone(),
            out: self.format().extension().to_owned(),
            dataset: DatasetFacts {
                blake3: hash.clone(),
                rows: *rows,
                samples: *samples,
                limit: options.limit,
                cluster: options.rows.cluster.clone(),
                keep_fields: options.rows.keep.clone(),
            },
            tokens: TokenFacts {
                tokenizer: self.tokenizer.identity().to_owned(),
                boundary: word(self.sample_options.boundary),
                end: self.sample_options.end,
                max_tokens: self.sample_options.max_tokens,
                too_long: word(self.sample_options.too_long),
            },
            engine: engine.clone(),
            parts: parts.clone(),
        }
    }
}

/// A fieldless enum's variant in lower case.
fn word(value: impl std::fmt::Debug) -> String {
    format!("{value:?}").to_lowercase()
}

/// A line about a finished run.
fn describe(snapshot: &Snapshot, started: Instant) -> String {
    let counts = Status::ALL.iter().map(|&status| (snapshot.samples_with(status), status.as_str()));
    let counts: Vec<String> = counts.filter(|(n, _)| *n > 0).map(|(n, name)| format!("{n} {name}")).collect();
    let elapsed = started.elapsed();
    format!(
        "{} samples; {} tokens, {} of them scored, in {:.1} s ({} tok/s)",
        counts.join(", "),
        snapshot.tokens,
        snapshot.response_tokens,
        elapsed.as_secs_f64(),
        progress::rate(snapshot.tokens, elapsed)
    )
}
