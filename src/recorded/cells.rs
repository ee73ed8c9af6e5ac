//! What an import's cells are called, and their manifests.
//!
//! Owns which names are taken from files, and what manifests say of recorded numbers. Not here: rows.

use std::path::Path;

use super::formats::{Format, Reads};
use super::plan::Plan;
use super::request::Request;
use crate::dataset::{self, RowHashes};
use crate::error::{Error, Result};
use crate::schema;
use crate::store::{
    Cell, DatasetFacts, EngineFacts, IMPORT, Manifest, ReferenceFacts, ResponseSetKey, TokenFacts, UNKNOWN,
};
use crate::table::EXTENSION;

/// The names that a request gives.
pub struct Names<'a> {
    generation_model: Option<&'a str>,
    task: Option<&'a str>,
    model: Option<&'a str>,
}

impl<'a> Names<'a> {
    /// Those of a request.
    pub fn of(request: &'a Request) -> Self {
        let [generation_model, task, model] =
            [&request.generation_model, &request.task, &request.model].map(Option::as_deref);
        Self { generation_model, task, model }
    }

    /// These names; where one is not given, that of `cell`.
    pub fn over(&self, cell: Cell) -> Cell {
        let choose = |given: Option<&str>, found: String| given.map_or(found, str::to_owned);
        let Cell { set: ResponseSetKey { generation_model, task }, model } = cell;
        Cell::new(choose(self.generation_model, generation_model), choose(self.task, task), choose(self.model, model))
    }

    /// The cells of a plan, in the order of the rows' numbers.
    ///
    /// # Errors
    /// [`Error::Usage`]: a name that neither the request nor the files give, or one for several models.
    pub fn cells(&self, format: Format, plan: &Plan) -> Result<Vec<Cell>> {
        let several = format.model_names();
        if let Some([first, ..]) = several.first_chunk::<1>() {
            if self.model.is_some() {
                let names = several.join("` and `");
                return Err(Error::usage(format!("--model: the files have numbers of the models `{names}`")));
            }
            let generation_model = self.generation_model.unwrap_or(first).to_owned();
            let task = self.task.unwrap_or("rollouts").to_owned();
            let set = ResponseSetKey::new(generation_model, task);
            return Ok(several.iter().map(|model| set.cell(*model)).collect());
        }
        Ok(vec![self.cell(plan)?])
    }

    /// The cell of files with one model's numbers. Its name may stand in the rows; the writer and the task, in the
    /// file's name.
    fn cell(&self, plan: &Plan) -> Result<Cell> {
        let path = &plan.files[0].0;
        if let (None, [one, other, ..]) = (self.model, &plan.named[..]) {
            let what = format!("rows name the models `{one}` and `{other}`: import them apart, or give --model");
            return Err(Error::dataset(path, None, what));
        }
        let named = plan.named.first().map(|name| name.trim_end_matches('/').rsplit('/').next().unwrap_or(name));
        let from_path = if plan.files.len() == 1 { dataset::names_from_path(path, &[]) } else { None };
        let (writer, task) = from_path.unzip();
        let generation_model = self.generation_model.map(str::to_owned).or(writer);
        // What a model was given, another may have written.
        let writer = generation_model.clone().filter(|_| !plan.is_given);
        let model = self.model.or(named).map(str::to_owned).or(writer);
        let own = model.clone().filter(|_| !plan.is_given);
        let generation_model = generation_model.or(own);
        let task = self.task.map(str::to_owned).or(task).or_else(|| stem(path).map(str::to_owned));
        match (generation_model, task, model) {
            (Some(generation_model), Some(task), Some(model)) => Ok(Cell::new(generation_model, task, model)),
            _ => Err(Error::usage(format!(
                "`{}` does not say who wrote the text, or which model the numbers are of: name it GENERATION-MODEL_TASK.jsonl, or give --generation-model, --task \
                 and --model",
                path.display()
            ))),
        }
    }
}

/// The manifest of a cell: what all files of one response set have in common, and what made these numbers.
pub fn manifest(cell: &Cell, plan: &Plan, format: Format, reads: &Reads, model: usize) -> Manifest {
    let files = plan.files.iter().enumerate().map(|(place, (_, hash))| (plan.file_name(place), hash.clone()));
    let fields = reads.names.to_words();
    let source = format.models()[model].to_owned();
    Manifest {
        format_version: schema::FORMAT_VERSION,
        generation_model: cell.set.generation_model.clone(),
        task: cell.set.task.clone(),
        model: cell.model.clone(),
        out: EXTENSION.to_owned(),
        dataset: DatasetFacts {
            blake3: plan.text.clone(),
            rows: plan.rows,
            samples: plan.samples,
            limit: None,
            window: None,
            fields: Vec::new(),
            cluster: reads.cluster.clone(),
            keep_fields: plan.kept.iter().map(|(_, field)| field.name.clone()).collect(),
        },
        tokens: TokenFacts {
            tokenizer: unknown(),
            vocabulary: None,
            bos: None,
            boundary: unknown(),
            end: None,
            max_tokens: 0,
            too_long: unknown(),
            chat_template: None,
            chat_template_kwargs: None,
        },
        engine: EngineFacts {
            name: IMPORT.to_owned(),
            source: Some(if fields.is_empty() { source } else { format!("{source}, {}", fields.join(", ")) }),
            files: files.collect(),
            dtype: unknown(),
            device: unknown(),
            arithmetic: None,
            top_k: plan.top_k[model],
            vocab: reads.vocab.map(|vocab| vocab as usize),
            vocabulary: None,
            other_texts: Vec::new(),
            chat_template: None,
            tokenizer: None,
            rank_rule: format.rank_rule().to_owned(),
            keep_hidden: None,
        },
        reference: ReferenceFacts::default(),
        begun_as: None,
        hashes: RowHashes::default(),
        parts: plan.parts.clone(),
    }
}

/// The name of a file without its endings.
fn stem(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()?.split('.').next()
}

fn unknown() -> String {
    UNKNOWN.to_owned()
}
