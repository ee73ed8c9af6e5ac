//! The errors of the library, each with the place where it occurred.
//!
//! Owns the library's one error type. Not here: printing (`cli`).

use std::any::Any;
use std::io;
use std::path::{Path, PathBuf};

/// The library's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Every failure that ends a command. An unreadable *row* is not one: it becomes a sample with a status
/// (see [`crate::sample::Status`]).
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An operation of the file system failed.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io {
        /// What was attempted, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },

    /// A dataset cannot be used at all, or a row of it may not be skipped.
    #[error("dataset `{}`{}: {what}", path.display(), place.as_ref().map(|place| format!(", {place}")).unwrap_or_default())]
    Dataset {
        /// The file or folder.
        path: PathBuf,
        /// Row or line.
        place: Option<String>,
        /// What was found, and what to do.
        what: String,
    },

    /// A model directory, its config, weights or tokenizer cannot be used.
    #[error("model `{model}`: {what}")]
    Model {
        /// Name or source of the model.
        model: String,
        /// What was found, and what to do.
        what: String,
    },

    /// A file of a model or of an earlier run does not contain what it should.
    #[error("`{}`: {what}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was found, and what to do.
        what: String,
    },

    /// An earlier run into the same output directory used other options.
    #[error(
        "`{}` was made with {field} = {values}: use the same options, or {instead}",
        manifest.display()
    )]
    Mismatch {
        /// The earlier run's manifest.
        manifest: PathBuf,
        /// The field that differs.
        field: String,
        /// Its earlier and its new value.
        values: String,
        /// What else the user can do.
        instead: String,
    },

    /// Another process writes the same results.
    #[error("{holder} writes {what} into `{}`: wait until it ends, or use another --output-dir", root.display())]
    Busy {
        /// What was found, and what to do.
        what: String,
        /// The output directory.
        root: PathBuf,
        /// The other process.
        holder: String,
    },

    /// A failure, and what the program was doing.
    #[error("{doing}: {source}")]
    While {
        /// What the program was doing.
        doing: String,
        /// The cause.
        source: Box<Self>,
    },

    /// Several things failed that do not depend on one another.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Several(Vec<Self>),

    /// The same request failed before and was not repeated.
    #[error("{0}")]
    Again(String),

    /// Options that contradict each other or the data.
    #[error("{0}")]
    Usage(String),

    /// Tables that must not be compared.
    #[error("cannot compare `{p}` with `{q}` on `{task}`: {what}")]
    Incomparable {
        /// Name of P.
        p: String,
        /// Name of Q.
        q: String,
        /// Name of the task.
        task: String,
        /// What was found, and what to do.
        what: String,
    },

    /// A cause outside the rows of a part (memory, a server): the part is not written.
    #[error("part {part} of `{model}`: {what}")]
    Part {
        /// Name or source of the model.
        model: String,
        /// Number of the part, from 0.
        part: u32,
        /// What was found, and what to do.
        what: String,
    },

    /// A stage of the pipeline panicked; the other stages were joined.
    #[error("the {stage} stage panicked: {message} (this is a bug in tokshift, please report it)")]
    Panic {
        /// Name of the stage.
        stage: &'static str,
        /// The panic message.
        message: String,
    },

    /// A library panicked over tables: most do on broken bytes somewhere.
    #[error(
        "reading the tables failed ({message}): run `tokshift verify` to find the damaged file; if it finds no problem, please \
         report this bug"
    )]
    Tables {
        /// The panic message.
        message: String,
    },

    /// Stopping was requested; everything finished is kept.
    #[error("stopped before the end; the same command continues where it left off")]
    Stopped,

    /// A tensor operation failed.
    #[error("tensor operation failed: {0}")]
    Tensor(#[from] candle_core::Error),

    /// Building or encoding a table failed.
    #[error("table: {0}")]
    Arrow(#[from] arrow::error::ArrowError),

    /// Reading or writing Parquet failed.
    #[error("parquet: {0}")]
    Parquet(#[from] parquet::errors::ParquetError),

    /// A query failed.
    #[error("query: {0}")]
    Polars(#[from] polars::error::PolarsError),
}

impl Error {
    /// An I/O failure with what was tried on which path; for `map_err`.
    pub fn io(action: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        let path = path.as_ref().to_owned();
        move |source| Self::Io { action, path, source }
    }

    /// Options that contradict each other or the data: what is wrong, and what to give instead.
    pub fn usage(what: impl Into<String>) -> Self {
        Self::Usage(what.into())
    }

    /// This error, which came while `doing` was going on.
    #[must_use]
    pub fn during(self, doing: impl Into<String>) -> Self {
        Self::While { doing: doing.into(), source: Box::new(self) }
    }

    /// Whether a stop was requested, as opposed to a failure.
    pub fn is_stopped(&self) -> bool {
        match self {
            Self::Stopped => true,
            Self::While { source, .. } => source.is_stopped(),
            _ => false,
        }
    }

    /// `what` is wrong with the file at `path`.
    pub fn file(path: impl AsRef<Path>, what: impl Into<String>) -> Self {
        Self::File { path: path.as_ref().to_owned(), what: what.into() }
    }

    /// `what` is wrong with `model`.
    pub fn model(model: impl Into<String>, what: impl Into<String>) -> Self {
        Self::Model { model: model.into(), what: what.into() }
    }

    /// `what` is wrong with the dataset at `path`, at `place` (`line 3`) if one row is to blame.
    pub fn dataset(path: impl AsRef<Path>, place: Option<String>, what: impl Into<String>) -> Self {
        Self::Dataset { path: path.as_ref().to_owned(), place, what: what.into() }
    }
}

/// What a thread that panicked said.
pub fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
