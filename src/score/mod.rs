//! From options to scored cells: what `tokshift score` does, for any program.
//!
//! Owns the order: datasets, models, the one tokenizer, then model after model. What is said on the way goes to a
//! [`Watch`]; a [`Stop`] ends it early. [`many`] does the same for the cells of a file of experiments. Not here: flags,
//! words for people, signals (`cli`).
//!
//! The files import one way: `watch`, `named`, `models`, `datasets`, `inputs`, `earlier_tokenizer`, `vocabularies`,
//! `session`, `windows`, `response_sets`, `assignment`, `fields`, `scorer`, `heads`, `logits_file`, `exact`, `in_one_go`;
//! for files of experiments `cells`, `exact_many`, `opened`, `prepare`, `many`.

mod assignment;
pub mod cells;
pub mod datasets;
mod earlier_tokenizer;
pub mod exact;
mod exact_many;
mod fields;
mod heads;
mod in_one_go;
pub mod inputs;
mod logits_file;
pub mod many;
pub mod models;
pub mod named;
pub mod noise_floor;
mod opened;
mod prepare;
pub mod response_sets;
mod scorer;
pub mod session;
mod vocabularies;
pub mod watch;
mod windows;

use std::path::{Path, PathBuf};
use std::rc::Rc;

pub use datasets::DatasetFile;
pub use logits_file::{LogitsRequest, write_logits_file};
pub use models::EngineChoice;
pub use response_sets::ResponseSet;
pub use watch::{Compared, Event, Log, Noticed, Outcome, Watch};
pub use windows::PlainText;

use crate::engine::local_source::Resident;
use crate::error::{Error, Result};
use crate::experiments::{Options, OutFormat};
use crate::pipeline::WhichParts;
use crate::stop::Stop;
use crate::store::{self, Cell, FoundCell, ResponseSetKey};
use assignment::Assignment;
use datasets::{Dataset, Names};
use exact::Exact;
use in_one_go::InOneGo;
use models::Model;
use scorer::Scorer;
use session::{Output, Session};

/// What is to be scored by what, and where the tables go.
#[derive(Clone, Debug)]
pub struct Request {
    /// Files of rows, each named `GENERATION-MODEL_TASK.jsonl` unless the names are given.
    pub datasets: Vec<DatasetFile>,
    /// A plain text to score besides them.
    pub text: Option<PlainText>,
    /// The models, each as `NAME=SOURCE` or `SOURCE`: a directory, a GGUF file or a hub id, with `+ADAPTER` behind it if
    /// there is one.
    pub models: Vec<String>,
    /// The output directory, which is created; what is there already is continued.
    pub output_dir: PathBuf,
    /// The model that wrote every response, if the files' names do not say so.
    pub generation_model: Option<String>,
    /// The task, if the files' names do not say so.
    pub task: Option<String>,
    /// Scoring options.
    pub options: Options,
    /// Whether P of each response set is compared exactly with the other models afterwards; hidden states are kept until
    /// then.
    pub exact: bool,
    /// With `exact`: whether the other models are compared with one another too.
    pub all_pairs: bool,
    /// With `exact`: whether one model may give ids that the other lacks more than 0.001 of its probability.
    pub allow_removed: bool,
    /// Whether what a model of the same name has scored is removed if its files or options were others.
    pub replace: bool,
    /// Which parts of what is left are scored.
    pub parts: WhichParts,
    /// What computes the scores.
    pub engine: EngineChoice,
}

impl Request {
    /// Scores the rows of `datasets` with every one of `models`, all else as the options' defaults say.
    pub fn new(datasets: Vec<PathBuf>, models: Vec<String>, output_dir: &Path) -> Self {
        Self {
            datasets: datasets.into_iter().map(DatasetFile::from).collect(),
            text: None,
            models,
            output_dir: output_dir.to_owned(),
            generation_model: None,
            task: None,
            options: Options::default(),
            exact: false,
            all_pairs: false,
            allow_removed: false,
            replace: false,
            parts: WhichParts::default(),
            engine: EngineChoice::Local,
        }
    }
}

/// What became of each model, in the request's order.
#[derive(Clone, Debug)]
pub struct Scores {
    /// One entry per model.
    pub models: Vec<ModelScores>,
}

/// What became of a model.
#[derive(Clone, Debug)]
pub struct ModelScores {
    /// Name of the model.
    pub name: String,
    /// What was done; `None` if it had scored everything before.
    pub outcome: Option<Outcome>,
}

impl Scores {
    /// Samples of this run that have no numbers; the samples tables say why.
    pub fn unscored(&self) -> u64 {
        self.models.iter().flat_map(|model| &model.outcome).map(|outcome| outcome.counts.unscored()).sum()
    }
}

/// Scores every dataset with every model, one model after the other, and writes the tables under the output directory.
///
/// # Errors
/// The first failure ends it: a dataset, model or option that is rejected, or a part that could not be scored or written.
/// [`Error::Stopped`] if `stop` was raised. Parts that are written stay, and the same request continues.
pub fn score(request: &Request, watch: &dyn Watch, stop: &Stop) -> Result<Scores> {
    let Request { options, output_dir, .. } = request;
    let (earlier, _) = store::cells_of_earlier_runs(output_dir)?;
    must_know_reference(request, &earlier)?;
    let Inputs { datasets, models, session } = open_inputs(request, &earlier, watch)?;
    let model_names: Vec<&str> = models.iter().map(|model| &*model.named.name).collect();
    let sets = datasets.iter().map(|dataset| ResponseSet::of(dataset, &model_names, options, &earlier));
    let sets: Vec<ResponseSet> = sets.collect();
    watch.event(&Event::ResponseSets(&sets));
    let in_one_go = InOneGo::new(output_dir, model_names, &sets, request.all_pairs);
    if request.exact {
        request.parts.must_be_all()?;
        in_one_go.must_have_p()?;
    }
    let output = Output::open(output_dir)?;
    if request.replace {
        replace(&models, &datasets, &earlier, (&session, &output), watch)?;
    }
    let exact = request.exact.then_some(Exact {
        root: output_dir,
        models: &request.models,
        temperature: 1.0,
        allow_removed: request.allow_removed,
    });
    let begun = exact.as_ref().map(|exact| in_one_go.begin(exact, &output.store)).transpose()?.unwrap_or_default();
    let score_with = |model: &Model| {
        let name = &model.named.name;
        let assignment = |dataset| {
            let none = &assignment::NONE;
            let all = Assignment { session: &session, output: &output, dataset, model: name, again: none };
            Assignment { again: begun.again.get(&all.cell()).unwrap_or(none), ..all }
        };
        let assignments: Vec<Assignment> = datasets.iter().map(assignment).collect();
        let outcome = Scorer::new(model, watch, stop, request.parts).score(name, &assignments)?;
        Ok(ModelScores { name: name.clone(), outcome })
    };
    let scores = Scores { models: models.iter().map(score_with).collect::<Result<_>>()? };
    if options.out() == OutFormat::TokenLosses {
        in_one_go.cells()?.iter().try_for_each(|found| output.export(found, watch))?;
    }
    if let Some(exact) = &exact {
        in_one_go.compare(exact, &output.store, begun, (watch, stop))?;
    }
    Ok(scores)
}

/// What is scored by what, opened, and the tokenizer that makes the ids.
struct Inputs {
    datasets: Vec<Dataset>,
    models: Vec<Model>,
    session: Session,
}

/// Opens datasets, models and the tokenizer, then cuts a plain text into windows by that tokenizer.
fn open_inputs(request: &Request, earlier: &[FoundCell], watch: &dyn Watch) -> Result<Inputs> {
    let Request { options, text, .. } = request;
    let [generation_model, task] = [&request.generation_model, &request.task].map(Option::as_deref);
    let requested = options.reference.as_deref();
    let names = Names { generation_model, task, models: &request.models, earlier, requested };
    let scoring = names.scoring();
    let mut datasets = datasets::open(&request.datasets, &names, options)?;
    let models = open_models(request)?;
    must_share_ids(&models, request.exact)?;
    let of_text = text.as_ref().map(|text| text.key(generation_model, task));
    let keys: Vec<ResponseSetKey> = datasets.iter().map(|dataset| dataset.set.clone()).chain(of_text).collect();
    let session = open_session(request, &keys, earlier, &models, watch)?;
    let windows = text.as_ref().map(|text| text.open(generation_model, task, (requested, &scoring), earlier, &session));
    datasets.extend(windows.transpose()?);
    Ok(Inputs { datasets, models, session })
}

/// # Errors
/// A requested P that neither scores now nor has scored anything in the output directory.
fn must_know_reference(request: &Request, earlier: &[FoundCell]) -> Result<()> {
    let names: Vec<String> = request.models.iter().map(|model| named::split(model).0).collect();
    let Some(requested) = &request.options.reference else { return Ok(()) };
    if names.contains(requested) || earlier.iter().any(|found| found.cell.model == *requested) {
        return Ok(());
    }
    let names = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    Err(Error::usage(format!("--reference: `{requested}` is none of the models: use one of {names}")))
}

/// A logits file is compared with models of its vocabulary alone.
///
/// # Errors
/// A model with another number of ids, before anything is scored.
fn must_share_ids(models: &[Model], exact: bool) -> Result<()> {
    let files = models.iter().filter(|model| model.is_logits_file() && exact);
    for (file, other) in files.flat_map(|file| models.iter().map(move |other| (file, other))) {
        if let (Some(own), Some(its)) = (file.vocab(), other.vocab())
            && own != its
        {
            let name = &other.named.name;
            let what = format!("has distributions over {own} ids (byte 12), `{name}` over {its}");
            return Err(Error::file(&file.named.path, format!("{what}: they do not have the same vocabulary")));
        }
    }
    Ok(())
}

/// Removes the cells that earlier runs made of other files or by other options. Rows that other
/// models have scored otherwise, and a model that cannot be loaded, are errors before the first deletion.
///
/// # Errors
/// [`Error::Mismatch`] if the rows or ids differ from those that models outside this run have scored; a model that cannot
/// be loaded.
fn replace(
    models: &[Model],
    datasets: &[Dataset],
    earlier: &[FoundCell],
    (session, output): (&Session, &Output),
    watch: &dyn Watch,
) -> Result<()> {
    let is_of_run = |name: &str| models.iter().any(|model| model.named.name == name);
    let mut stale: Vec<(&Model, Cell)> = Vec::new();
    for (model, dataset) in models.iter().flat_map(|model| datasets.iter().map(move |dataset| (model, dataset))) {
        let again = &assignment::NONE;
        let assignment = Assignment { session, output, dataset, model: &model.named.name, again };
        let cell = assignment.cell();
        let Err(error) = assignment.open(model) else { continue };
        let Error::Mismatch { manifest, .. } = &error else { continue };
        let is_others = |found: &FoundCell| found.cell.set == cell.set && !is_of_run(&found.cell.model);
        if store::is_response_set_manifest(manifest) && earlier.iter().any(is_others) {
            return Err(error);
        }
        stale.push((model, cell));
    }
    for model in models.iter().filter(|model| stale.iter().any(|(of, _)| of.named.name == model.named.name)) {
        model.load()?;
    }
    output.store.remove(&stale.iter().map(|(_, cell)| cell).collect::<Vec<_>>())?;
    for (_, cell) in &stale {
        watch.event(&Event::Replaced(cell));
    }
    Ok(())
}

/// The models, opened.
fn open_models(request: &Request) -> Result<Vec<Model>> {
    let models = named::resolve(&request.models)?;
    if request.exact && models.len() < 2 {
        return Err(Error::usage("--exact compares models with one another: use at least two in --models"));
    }
    let resident = Rc::new(Resident::default());
    let options = request.options.clone().for_adapters(models.iter().any(|named| named.adapter.is_some()));
    let models = models.into_iter().map(|named| {
        let model = Model::open(named, &options, request.engine, &resident)?;
        if request.exact { model.with_temporary_hidden() } else { Ok(model) }
    });
    models.collect()
}

/// The one tokenizer for every model: the requested one, else the one that made the ids of these responses before, else the
/// generation model's, else the first model's. `sets` are the responses.
fn open_session(
    request: &Request,
    sets: &[ResponseSetKey],
    earlier: &[FoundCell],
    models: &[Model],
    watch: &dyn Watch,
) -> Result<Session> {
    let Request { options, output_dir, .. } = request;
    let wrote = |model: &&Model| sets.iter().any(|set| set.generation_model == model.named.name);
    let tokenizer = if let Some(source) = &options.tokenizer {
        inputs::tokenizer_path(source)?
    } else {
        let has_tokenizer = |model: &&Model| !model.is_logits_file();
        let model = models.iter().find(wrote).or(models.iter().find(has_tokenizer)).or(models.first());
        let usual = model.ok_or_else(|| Error::usage("--models is empty"))?.named.tokenizer();
        earlier_tokenizer::of(output_dir, sets, earlier, usual, watch)?
    };
    Session::new(options, &models.iter().collect::<Vec<_>>(), &tokenizer, watch)
}
