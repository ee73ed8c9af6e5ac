//! Writes a report: one file, or a folder with blocks next to the page.
//!
//! Owns the two forms and the limit of a file's size. Not here: what a page contains (`page`, `contents`).

use std::fs;
use std::io::Write;
use std::path::Path;

use super::contents::Contents;
use super::page::{self, Carrier};
use crate::error::{Error, Result};
use crate::store::{self, FoundCell};

/// Base64 of a deflated block, per byte before compression, of the first try.
const FIRST_RATIO: f64 = 0.6;

/// Tries until a page fits.
const TRIES: usize = 6;

/// Writes the page to `path` as one file of at most `most` bytes, if that is given: then of some of the samples. Gives its
/// size.
///
/// # Errors
/// A file that cannot be read or written; a limit below what a page without samples takes.
pub fn file(contents: &mut Contents, cells: &[FoundCell], path: &Path, most: Option<u64>) -> Result<u64> {
    let Some(most) = most else { return whole(contents, cells, path) };
    let fixed = {
        contents.limit(0);
        sized(contents, cells)?
    };
    if fixed > most {
        return Err(Error::usage(format!("a page without any sample has {fixed} bytes: --max-size must be larger")));
    }
    let (all, mut ratio) = (contents.cost(), FIRST_RATIO);
    for _ in 0..TRIES {
        let room = (most - fixed) as f64 / ratio;
        contents.limit(room.min(all as f64) as u64);
        let size = sized(contents, cells)?;
        if size <= most {
            return whole(contents, cells, path);
        }
        ratio *= size.saturating_sub(fixed) as f64 / (most - fixed).max(1) as f64 * 1.01;
    }
    Err(Error::usage(format!("no choice of samples fits into {most} bytes: --max-size must be larger")))
}

fn whole(contents: &Contents, cells: &[FoundCell], path: &Path) -> Result<u64> {
    store::write_file_with(path, |out| page(contents, cells, out).map_err(|failed| failed.at(path)))
}

/// The size that the file would have.
fn sized(contents: &Contents, cells: &[FoundCell]) -> Result<u64> {
    page(contents, cells, &mut std::io::sink()).map_err(|failed| failed.at(Path::new("a report")))
}

/// Why a page was not written.
enum Failed {
    Reading(Error),
    Writing(std::io::Error),
}

impl Failed {
    fn at(self, path: &Path) -> Error {
        match self {
            Self::Reading(error) => error,
            Self::Writing(error) => Error::io("write", path)(error),
        }
    }
}

fn page(contents: &Contents, cells: &[FoundCell], out: &mut dyn Write) -> Result<u64, Failed> {
    let mut size = 0;
    let mut put = |text: &str| {
        size += text.len() as u64;
        out.write_all(text.as_bytes())
    };
    put(&page::beginning(contents, cells, Carrier::Page).map_err(Failed::Reading)?).map_err(Failed::Writing)?;
    let mut broken = None;
    let blocks = contents.blocks(|number, block| {
        put(&page::element(number, block)).map_err(|error| {
            let kind = error.kind();
            broken = Some(error);
            Error::io("write", "a report")(kind.into())
        })
    });
    blocks.map_err(|error| broken.take().map_or(Failed::Reading(error), Failed::Writing))?;
    put(page::END).map_err(Failed::Writing)?;
    Ok(size)
}

/// Writes `folder/report.html` and its blocks as `folder/data/b0.js`, …; gives the size of all.
///
/// # Errors
/// A file that cannot be read or written.
pub fn folder(contents: &Contents, cells: &[FoundCell], folder: &Path) -> Result<u64> {
    let data = folder.join("data");
    fs::create_dir_all(&data).map_err(Error::io("create", &data))?;
    let mut size = 0;
    contents.blocks(|number, block| {
        let (path, script) = (data.join(format!("b{number}.js")), page::script(number, block));
        size += script.len() as u64;
        fs::write(&path, script).map_err(Error::io("write", &path))
    })?;
    let html = page::beginning(contents, cells, Carrier::Folder)? + page::END;
    store::write_file(&folder.join("report.html"), html.as_bytes())?;
    Ok(size + html.len() as u64)
}
