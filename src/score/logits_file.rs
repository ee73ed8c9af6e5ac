//! A logits file of llama.cpp from a model's kept hidden states.
//!
//! Owns the check that the text's windows are those that were scored, and the way from hidden states to the file's rows.
//! Not here: the file's bytes (`llama_logits`).

use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};

use super::heads::Heads;
use super::named::NamedModel;
use super::windows::PlainText;
use crate::decoder::Head;
use crate::digest;
use crate::error::{Error, Result};
use crate::exact::Side;
use crate::hidden::Reader;
use crate::llama_logits::Writer;
use crate::schema::{sample, token};
use crate::stop::Stop;
use crate::store::{self, FoundCell, ResultFile};
use crate::table::{SampleColumns, TableReader, TokenColumns};
use crate::tokenize::TextTokenizer;

/// Rows of logits that are in memory at once: 10 MB at 150,000 ids.
const ROWS: usize = 16;

/// What is to be written.
#[derive(Clone, Debug)]
pub struct LogitsRequest {
    /// The output directory of `score --text --keep-hidden`.
    pub output_dir: PathBuf,
    /// The text that was scored; its windows are those of the run.
    pub text: PathBuf,
    /// The model, as `NAME=SOURCE`.
    pub model: String,
    /// The task, if the model has scored several texts.
    pub task: Option<String>,
    /// The file to write.
    pub output: PathBuf,
}

/// Writes the file; gives the number of its rows. Memory: the head, and some rows of logits.
///
/// # Errors
/// A text or model that was not scored, or not all of it, or without hidden states; files that are not those of the run;
/// [`Error::Stopped`].
pub fn write_logits_file(request: &LogitsRequest, stop: &Stop) -> Result<usize> {
    let mut heads = Heads::new(std::slice::from_ref(&request.model))?;
    let cells = store::cells(&request.output_dir)?;
    let cell = one_cell(&cells, request, &heads)?;
    let path = heads.directory(cell).unwrap_or(Path::new("")).to_owned();
    heads.must_have_scored(cell)?;
    let [Side::Head(head), _] = heads.load([cell, cell])? else {
        return Err(Error::usage(format!("`{}` is a logits file already", path.display())));
    };
    let windows = windows(request, cell, &NamedModel { name: cell.cell.model.clone(), path, adapter: None })?;
    let written = |out: &mut dyn Write| windows.write(cell, head, out, stop);
    store::write_file_with(&request.output, written)
}

/// The one cell of the model whose rows are windows, all of it scored and all hidden states there.
fn one_cell<'a>(cells: &'a [FoundCell], request: &LogitsRequest, heads: &Heads) -> Result<&'a FoundCell> {
    let is_meant = |found: &&FoundCell| {
        heads.directory(found).is_some()
            && found.manifest.dataset.window.is_some()
            && request.task.as_ref().is_none_or(|task| *task == found.cell.set.task)
    };
    let meant: Vec<&FoundCell> = cells.iter().filter(is_meant).collect();
    let (model, out) = (&request.model, request.output_dir.display());
    let [cell] = meant[..] else {
        let what = if meant.is_empty() {
            "has scored no text of that task"
        } else {
            "has scored several texts: choose one by --task"
        };
        return Err(Error::usage(format!("`{model}` {what} in `{out}` (llama.cpp's files are of `score --text`)")));
    };
    if !cell.missing.is_empty() {
        return Err(Error::usage(format!("{}: {} parts are not scored yet", cell.cell, cell.missing.len())));
    }
    if cell.hidden.iter().any(Option::is_none) {
        return Err(Error::usage(format!(
            "{}: its hidden states are not there: score it with --keep-hidden into another --output-dir",
            cell.cell
        )));
    }
    Ok(cell)
}

/// The ids of the text, as the model's tokenizer cuts it.
fn windows(request: &LogitsRequest, cell: &FoundCell, model: &NamedModel) -> Result<Windows> {
    let (name, facts) = (&model.name, &cell.manifest.tokens);
    let tokenizer = TextTokenizer::from_file(&model.tokenizer()?)?;
    if tokenizer.identity() != facts.tokenizer {
        return Err(Error::usage(format!("the ids of `{name}`'s scores were not made by its own tokenizer")));
    }
    let window = cell.manifest.dataset.window.unwrap_or_default();
    let (mut ids, size) = PlainText { path: request.text.clone(), window }.ids(&tokenizer)?;
    let (rows, size) = (cell.manifest.dataset.rows as usize, size as usize);
    if size != window as usize || ids.len() < rows * size {
        return Err(Error::file(&request.text, format!("is not the text that `{name}` scored: it has other windows")));
    }
    ids.truncate(rows * size);
    Ok(Windows { text: request.text.clone(), ids, size, prefix: tokenizer.prefix().to_vec() })
}

/// A text's ids in windows.
struct Windows {
    text: PathBuf,
    ids: Vec<u32>,
    size: usize,
    /// What every window begins with in place of its own ids; llama.cpp puts it there by itself.
    prefix: Vec<u32>,
}

impl Windows {
    fn write(&self, cell: &FoundCell, head: &Head, out: &mut dyn Write, stop: &Stop) -> Result<usize> {
        let mut writer = Writer::new(out, self.size, head.vocab(), &self.ids)?;
        let mut expected = self.keys();
        let mut rows = 0;
        for ((tokens, samples), hidden) in cell.tokens.iter().zip(&cell.samples).zip(cell.hidden.iter().flatten()) {
            self.must_be_scored(tokens, samples)?;
            let reader = Reader::new(hidden.open()?)?;
            if !reader.is_beside(tokens.footer()?.1.as_deref()) {
                return Err(Error::file(hidden, "was made with another tokens table than the one that is here"));
            }
            let of_tokens: Vec<usize> =
                (0..reader.index().len()).filter(|&row| self.is_token(reader.index().key(row))).collect();
            if !of_tokens.iter().all(|&row| expected.next() == Some(reader.index().key(row))) {
                return Err(Error::file(hidden, "lacks rows of a window: not every sample was scored"));
            }
            for some in of_tokens.chunks(ROWS) {
                logits(head, &reader, some, stop)?.iter().try_for_each(|logits| writer.row(logits))?;
            }
            rows += of_tokens.len();
        }
        if expected.next().is_some() {
            return Err(Error::usage(format!("{}: rows of some windows are missing", cell.cell)));
        }
        writer.finish().map(|()| rows)
    }

    /// Tokens of a window that are scored.
    fn scored(&self) -> usize {
        self.size - 1 - self.size / 2
    }

    fn is_token(&self, (_, position): (u32, u32)) -> bool {
        (position as usize) < self.scored()
    }

    /// Sample and position of every row, in order.
    fn keys(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let windows = (self.ids.len() / self.size) as u32;
        (0..windows).flat_map(|window| (0..self.scored() as u32).map(move |position| (window, position)))
    }

    /// The tables must have the ids of the text: the scored tokens themselves, the others by their hash.
    fn must_be_scored(&self, tokens: &ResultFile, samples: &ResultFile) -> Result<()> {
        let other = |file: &ResultFile, sample: u32| {
            let text = self.text.display();
            Error::file(
                file,
                format!("its sample {sample} is not window {} of `{text}`: was another text scored?", sample + 1),
            )
        };
        let window = |sample: u32| self.ids.chunks_exact(self.size).nth(sample as usize);
        for batch in TableReader::<TokenColumns>::open(tokens.open()?)?.columns(&[
            token::SAMPLE_ID,
            token::POSITION,
            token::TOKEN_ID,
        ])? {
            let batch = batch?;
            for row in 0..batch.rows {
                let (sample, position) = batch.sample_id.get(row).zip(batch.position.get(row)).unwrap_or_default();
                let id = window(sample).and_then(|ids| ids.get(self.size / 2 + 1 + position as usize));
                if id.is_none() || id.copied() != batch.token_id.get(row) {
                    return Err(other(tokens, sample));
                }
            }
        }
        for batch in
            TableReader::<SampleColumns>::open(samples.open()?)?.columns(&[sample::SAMPLE_ID, sample::CONTEXT_HASH])?
        {
            let batch = batch?;
            for row in 0..batch.rows {
                let id = batch.sample_id.get(row).unwrap_or_default();
                let hash = window(id).map(|ids| {
                    let mut context = ids[..=self.size / 2].to_vec();
                    context.iter_mut().zip(&self.prefix).for_each(|(id, special)| *id = *special);
                    digest::ids(&context)
                });
                if hash.as_deref() != batch.context_hash.get(row) {
                    return Err(other(samples, id));
                }
            }
        }
        Ok(())
    }
}

/// The logits of all ids at some rows.
fn logits(head: &Head, reader: &Reader, rows: &[usize], stop: &Stop) -> Result<Vec<Vec<f32>>> {
    let mut hidden = Vec::new();
    for run in rows.chunk_by(|a, b| a + 1 == *b) {
        hidden.extend(reader.read(run[0]..run[0] + run.len())?);
    }
    let hidden = Tensor::from_vec(hidden, (rows.len(), reader.shape().width), &Device::Cpu)?;
    let mut logits = vec![vec![0.0; head.vocab()]; rows.len()];
    head.for_each_block(&hidden, stop, |block| {
        for (row, logits) in logits.iter_mut().enumerate() {
            logits[block.first as usize..][..block.width].copy_from_slice(block.row(row));
        }
    })?;
    Ok(logits)
}
