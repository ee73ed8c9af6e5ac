//! Tiny output directories, written straight to the layout: no engine, no `store`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::common::{held, made};
use arrow::array::{
    ArrayRef, BooleanArray, Float32Array, Float64Array, ListArray, RecordBatch, StringArray, UInt32Array,
    new_null_array,
};
use arrow::compute::{concat_batches, take_record_batch};
use arrow::datatypes::{Field, Float32Type, SchemaRef, UInt32Type};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};
use serde_json::Value;
use tempfile::TempDir;
use tokshift::dataset::Part;
use tokshift::schema;
use tokshift::shift::{self, Comparison, Estimate, Limit, Options, Pair};
use tokshift::store::{Cell, Manifest, ResponseSetManifest};

/// A row of the tokens table; what is not here is null.
#[derive(Clone, Debug, Default)]
pub struct Token {
    pub id: Option<u32>,
    pub text: Option<String>,
    pub is_end: bool,
    pub logprob: Option<f32>,
    pub rank: Option<u32>,
    pub entropy: Option<f32>,
    pub top: Vec<u32>,
    /// As long as `top`; -1 everywhere if empty.
    pub top_logprobs: Vec<f32>,
    pub rest: Option<f32>,
    pub min: Option<f32>,
}

/// A token with an id and a log-probability.
pub fn token(id: u32, logprob: f32) -> Token {
    Token { id: Some(id), logprob: Some(logprob), ..Token::default() }
}

/// A sample and the rows it has in the tokens table.
#[derive(Clone, Debug)]
pub struct Sample {
    pub id: u32,
    /// Of the dataset.
    pub row: u32,
    pub cluster: String,
    pub status: &'static str,
    pub context_hash: Option<String>,
    pub context_tokens: Option<u32>,
    pub prompt_tokens_alone: Option<u32>,
    /// Its text; the tokens' texts must then lie along it.
    pub response: Option<String>,
    /// Whether a limit of tokens ended it.
    pub is_cut: Option<bool>,
    /// Kept fields, which the table has if any sample does.
    pub group: Option<String>,
    pub reward: Option<f64>,
    pub tokens: Vec<Token>,
}

/// A scored sample that is a cluster of its own.
pub fn sample(id: u32, tokens: Vec<Token>) -> Sample {
    let (context_hash, context_tokens) = (Some(format!("context {id}")), Some(3));
    let cluster = format!("cluster {id}");
    let (prompt_tokens_alone, response, group, reward, is_cut, status) = (None, None, None, None, None, "ok");
    Sample {
        id,
        row: id,
        cluster,
        status,
        context_hash,
        context_tokens,
        prompt_tokens_alone,
        response,
        is_cut,
        group,
        reward,
        tokens,
    }
}

/// Samples with the log-probabilities given, one list a sample; ids are places.
pub fn samples(logprobs: &[&[f32]]) -> Vec<Sample> {
    let tokens = |l: &&[f32]| l.iter().zip(0..).map(|(l, id)| token(id, *l)).collect();
    logprobs.iter().zip(0..).map(|(l, id)| sample(id, tokens(l))).collect()
}

/// Distributions over three tokens.
pub type Three = [f64; 3];

/// Samples of 20 tokens, drawn from a distribution.
pub fn drawn(samples: usize, from: &Three) -> Vec<Vec<usize>> {
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &[7; 32]);
    let mut draw = |_| {
        let u = f64::from(random.next_u32()) / 2f64.powi(32);
        let sums = from.iter().scan(0.0, |sum, p| {
            *sum += p;
            Some(*sum)
        });
        sums.into_iter().position(|sum| u < sum).unwrap_or(2)
    };
    (0..samples).map(|_| (0..20).map(&mut draw).collect()).collect()
}

/// What one model thinks of these tokens: everything that a table can keep.
pub fn scored(texts: &[Vec<usize>], model: &Three) -> Vec<Sample> {
    let mut order = [0, 1, 2];
    order.sort_by(|a, b| model[*b].total_cmp(&model[*a]));
    let scored = |&id: &usize| Token {
        entropy: Some(model.iter().map(|p| -p * p.ln()).sum::<f64>() as f32),
        top: order.iter().map(|id| *id as u32).collect(),
        top_logprobs: order.iter().map(|id| model[*id].ln() as f32).collect(),
        rest: Some(f32::NEG_INFINITY),
        min: Some(model[order[2]].ln() as f32),
        ..token(id as u32, model[id].ln() as f32)
    };
    texts.iter().zip(0..).map(|(ids, id)| sample(id, ids.iter().map(scored).collect())).collect()
}

/// What is said of the limits that are not met.
pub fn exceeded(comparison: &Comparison, limits: &[Limit]) -> Vec<String> {
    shift::unmet(comparison, limits).into_iter().map(|unmet| unmet.message).collect()
}

/// The rows of a Parquet file.
pub fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
    let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

/// An output directory.
pub struct Output {
    directory: TempDir,
}

impl Output {
    pub fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    pub fn root(&self) -> &Path {
        self.directory.path()
    }

    /// One model over the text `base` wrote for `task`, all in one part.
    pub fn model(&self, model: &str, samples: &[Sample]) {
        self.parts("base", "task", model, &[samples]);
    }

    /// One model over a text, in the parts given. Names are folder names as they stand on disk.
    pub fn parts(&self, generation_model: &str, task: &str, model: &str, parts: &[&[Sample]]) {
        let mut manifest = manifest(generation_model, task, model, parts);
        let folder = self.folder("runs", generation_model, task, model);
        let text = folder.with_file_name("text.json");
        // What the models of a text share is what the first of them says.
        match ResponseSetManifest::read(&text) {
            Ok(text) => manifest = manifest.over(text),
            Err(_) => write(&text, manifest.text().to_json().unwrap()),
        }
        write(&folder.join("manifest.json"), manifest.to_json().unwrap());
        for (part, samples) in parts.iter().enumerate() {
            let name = format!("part-{part:08}.parquet");
            parquet(&self.folder("samples", generation_model, task, model).join(&name), &samples_batch(samples));
            parquet(&self.folder("tokens", generation_model, task, model).join(&name), &tokens_batch(samples));
        }
    }

    pub fn folder(&self, table: &str, generation_model: &str, task: &str, model: &str) -> PathBuf {
        let cell = format!("{table}/generation_model={generation_model}/task={task}/model={model}");
        self.root().join(cell)
    }

    /// Marks a model of [`Output::model`] as read from another program's files.
    pub fn imported(&self, model: &str) {
        self.manifest(model, |manifest| {
            manifest["engine"]["name"] = "import".into();
            manifest["engine"]["source"] = "rows".into();
        });
    }

    /// Changes what the manifest of a model of [`Output::model`] says.
    pub fn manifest(&self, model: &str, change: impl Fn(&mut Value)) {
        let path = self.folder("runs", "base", "task", model).join("manifest.json");
        let mut manifest = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut manifest);
        fs::write(&path, manifest.to_string()).unwrap();
    }

    /// Says of the text of [`Output::model`] that its samples are windows: of models that are written after that.
    pub fn windows(&self) {
        let path = self.folder("runs", "base", "task", "any").with_file_name("text.json");
        let mut text = ResponseSetManifest::read(&path).unwrap();
        text.dataset.window = Some(64);
        fs::write(&path, text.to_json().unwrap()).unwrap();
    }

    /// A part's tokens of a model of [`Output::model`].
    pub fn tokens(&self, model: &str, part: u32) -> PathBuf {
        self.folder("tokens", "base", "task", model).join(format!("part-{part:08}.parquet"))
    }

    /// Writes a file again with its rows in the order given.
    pub fn reorder(&self, path: &Path, rows: &[u32]) {
        parquet(path, &take_record_batch(&read(path), &UInt32Array::from(rows.to_vec())).unwrap());
    }

    /// Writes a file again as a version that did not know these columns.
    pub fn without(&self, path: &Path, columns: &[&str]) {
        let mut batch = read(path);
        for name in columns {
            batch.remove_column(batch.schema().index_of(name).unwrap());
        }
        parquet(path, &batch);
    }

    /// Writes a file again as a program that keeps statistics of `sample_id` alone does.
    pub fn without_statistics(&self, path: &Path) {
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path).unwrap()).unwrap();
        let batches: Vec<_> = reader.build().unwrap().map(Result::unwrap).collect();
        let properties = WriterProperties::builder()
            .set_statistics_enabled(EnabledStatistics::None)
            .set_column_statistics_enabled(schema::token::SAMPLE_ID.into(), EnabledStatistics::Chunk)
            .build();
        let file = File::create(path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batches[0].schema(), Some(properties)).unwrap();
        for batch in batches {
            writer.write(&batch).unwrap();
        }
        writer.close().unwrap();
    }

    /// What `options` ask for: the pass and the queries give the same, and it can be read back from JSON.
    pub fn compare_with(&self, options: &Options) -> tokshift::Result<Comparison> {
        let comparison = shift::compare(self.root(), options);
        let plain = shift::compare(self.root(), &Options { plain: true, ..options.clone() });
        let json = |of: &Comparison| serde_json::to_value(of).unwrap();
        match (&comparison, &plain) {
            // Where values are too many for one list, only the query has all of them.
            (Ok(fast), Ok(_)) if fast.pairs.iter().any(|pair| pair.quantiles.iter().any(|of| !of.exact)) => {}
            (Ok(fast), Ok(plain)) => {
                held::assert_same(&json(fast), &json(plain));
                held::read_back::<Comparison>(&serde_json::to_string_pretty(fast).unwrap());
            }
            (fast, plain) => {
                let error = |of: &tokshift::Result<Comparison>| of.as_ref().err().map(ToString::to_string);
                assert_eq!(error(fast), error(plain));
            }
        }
        comparison
    }

    pub fn compare(&self) -> tokshift::Result<Comparison> {
        let comparison = self.compare_with(&Options::default());
        let of_study = comparison.as_ref().ok().map(shift::study_figures);
        // The study's figures alone are the same, and there are none where the tables are rejected.
        assert_eq!(shift::only_study(self.root(), &Options::default()).ok(), of_study);
        comparison
    }

    /// The only pair there is.
    pub fn pair(&self) -> Pair {
        let mut pairs = self.compare().unwrap().pairs;
        assert_eq!(pairs.len(), 1);
        pairs.remove(0)
    }

    /// What [`Output::compare`] says is wrong.
    pub fn error(&self) -> String {
        self.compare().unwrap_err().to_string()
    }
}

/// The mean of a measure over tokens.
pub fn token_mean(pair: &Pair, measure: &str) -> Estimate {
    named(pair, measure).token_mean.unwrap()
}

pub fn named<'a>(pair: &'a Pair, measure: &str) -> &'a shift::Measure {
    pair.measures.iter().find(|m| m.name == measure).unwrap()
}

#[track_caller]
pub fn assert_close(a: f64, b: f64) {
    assert!((a - b).abs() <= 1e-12 * (1.0 + b.abs()), "{a} for {b}");
}

fn manifest(generation_model: &str, task: &str, model: &str, parts: &[&[Sample]]) -> Manifest {
    let tokens = parts.iter().flat_map(|samples| samples.iter()).flat_map(|sample| &sample.tokens);
    let top_k = tokens.map(|token| token.top.len()).max().unwrap_or_default();
    let keep_fields = kept(parts.iter().copied().flatten()).into_iter().map(|field| field.name).collect();
    let parts = parts.iter().map(|samples| Part {
        first_row: samples[0].id,
        rows: samples.len() as u32,
        first_sample: samples[0].id,
        samples: samples.len() as u32,
        offset: 0,
        bytes: 0,
        first_line: 1,
    });
    let cell = Cell::new(generation_model, task, model);
    let mut manifest = made::manifest(&cell, parts.collect());
    manifest.dataset.keep_fields = keep_fields;
    manifest.engine.top_k = top_k;
    manifest
}

/// The kept fields of some samples.
fn kept<'a>(samples: impl Iterator<Item = &'a Sample> + Clone) -> Vec<schema::KeptField> {
    let field = |name: &str, kind| schema::KeptField { name: name.to_owned(), kind, per_response: false };
    let group = samples.clone().any(|s| s.group.is_some()).then(|| field("group", schema::KeptType::Text));
    let reward = samples.clone().any(|s| s.reward.is_some()).then(|| field("reward", schema::KeptType::Number));
    group.into_iter().chain(reward).collect()
}

/// Byte ranges of a sample's tokens in its response, if that is known.
fn ranges(sample: &Sample) -> Vec<Option<[u32; 2]>> {
    let mut at = 0;
    let range = |token: &Token| {
        let start = at;
        at += token.text.as_ref().map_or(0, |text| text.len() as u32);
        sample.response.is_some().then_some([start, at])
    };
    sample.tokens.iter().map(range).collect()
}

fn write(path: &Path, text: String) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Writes a batch with a row group for every two rows, so that samples are cut by them.
fn parquet(path: &Path, batch: &RecordBatch) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let mut writer = ArrowWriter::try_new(File::create(path).unwrap(), batch.schema(), None).unwrap();
    for start in (0..batch.num_rows()).step_by(2) {
        writer.write(&batch.slice(start, 2.min(batch.num_rows() - start))).unwrap();
        writer.flush().unwrap();
    }
    writer.close().unwrap();
}

fn tokens_batch(samples: &[Sample]) -> RecordBatch {
    let rows: Vec<_> = samples.iter().flat_map(|s| s.tokens.iter().zip(0..).map(|(t, i)| (s.id, i, t))).collect();
    let u32s = |f: fn(&(u32, u32, &Token)) -> Option<u32>| Arc::new(rows.iter().map(f).collect::<UInt32Array>());
    let f32s = |f: fn(&Token) -> Option<f32>| Arc::new(rows.iter().map(|r| f(r.2)).collect::<Float32Array>());
    let texts: StringArray = rows.iter().map(|r| r.2.text.clone()).collect();
    let ranges: Vec<_> = samples.iter().flat_map(ranges).collect();
    let bytes = |end: usize| Arc::new(ranges.iter().map(|r| r.map(|r| r[end])).collect::<UInt32Array>());
    let ends: BooleanArray = rows.iter().map(|r| Some(r.2.is_end)).collect();
    let item = |data_type| Arc::new(Field::new(schema::LIST_ITEM, data_type, false));
    let ids =
        ListArray::from_iter_primitive::<UInt32Type, _, _>(rows.iter().map(|r| Some(r.2.top.iter().map(|i| Some(*i)))));
    let (_, offsets, values, _) = ids.into_parts();
    let ids = ListArray::new(item(values.data_type().clone()), offsets, values, None);
    let logprobs = ListArray::from_iter_primitive::<Float32Type, _, _>(rows.iter().map(|(_, _, t)| {
        let given = |place| t.top_logprobs.get(place).copied().unwrap_or(-1.0);
        Some((0..t.top.len()).map(given).map(Some).collect::<Vec<_>>())
    }));
    let (_, offsets, values, _) = logprobs.into_parts();
    let logprobs = ListArray::new(item(values.data_type().clone()), offsets, values, None);
    batch(
        schema::tokens(),
        vec![
            (schema::token::SAMPLE_ID, u32s(|r| Some(r.0))),
            (schema::token::POSITION, u32s(|r| Some(r.1))),
            (schema::token::TOKEN_ID, u32s(|r| r.2.id)),
            (schema::token::TOKEN, Arc::new(texts)),
            (schema::token::IS_END, Arc::new(ends)),
            (schema::token::START, bytes(0)),
            (schema::token::END, bytes(1)),
            (schema::token::LOGPROB, f32s(|t| t.logprob)),
            (schema::token::RANK, u32s(|r| r.2.rank)),
            (schema::token::ENTROPY, f32s(|t| t.entropy)),
            (schema::token::TOP_IDS, Arc::new(ids)),
            (schema::token::TOP_LOGPROBS, Arc::new(logprobs)),
            (schema::token::REST_LOGPROB, f32s(|t| t.rest)),
            (schema::token::MIN_LOGPROB, f32s(|t| t.min)),
        ],
    )
}

fn samples_batch(samples: &[Sample]) -> RecordBatch {
    let u32s = |f: fn(&Sample) -> Option<u32>| Arc::new(samples.iter().map(f).collect::<UInt32Array>());
    let texts = |f: fn(&Sample) -> Option<&str>| Arc::new(samples.iter().map(f).collect::<StringArray>());
    batch(
        schema::samples(&kept(samples.iter())),
        vec![
            (schema::sample::SAMPLE_ID, u32s(|s| Some(s.id))),
            (schema::sample::ROW, u32s(|s| Some(s.row))),
            (schema::sample::TURN, u32s(|_| Some(0))),
            (schema::sample::IS_CUT, Arc::new(samples.iter().map(|s| s.is_cut).collect::<BooleanArray>())),
            (schema::sample::CLUSTER_ID, texts(|s| Some(&s.cluster))),
            (schema::sample::CONTEXT_HASH, texts(|s| s.context_hash.as_deref())),
            (schema::sample::CONTEXT_TOKENS, u32s(|s| s.context_tokens)),
            (schema::sample::RESPONSE_TOKENS, u32s(|s| Some(s.tokens.len() as u32))),
            (schema::sample::PROMPT_TOKENS_ALONE, u32s(|s| s.prompt_tokens_alone)),
            (schema::sample::RESPONSE, texts(|s| s.response.as_deref())),
            (schema::sample::STATUS, texts(|s| Some(s.status))),
            ("group", texts(|s| s.group.as_deref())),
            ("reward", Arc::new(samples.iter().map(|s| s.reward).collect::<Float64Array>())),
        ],
    )
}

/// A batch of `schema`; columns that are not given are null.
fn batch(schema: SchemaRef, columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    let rows = columns[0].1.len();
    let given = |field: &Arc<Field>| columns.iter().find(|(name, _)| *name == field.name()).map(|(_, c)| c.clone());
    let filled = schema.fields().iter().map(|f| given(f).unwrap_or_else(|| new_null_array(f.data_type(), rows)));
    RecordBatch::try_new(schema.clone(), filled.collect()).unwrap()
}
