//! The rows of a text as bytes, one at a time: its lines, or the elements of its one array.
//!
//! Owns where a row begins and ends, including blank lines. Not here: what a row means (`row`).

use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use crate::dataset::foreign;
use crate::dataset::unpack::{Packing, Tally, Text};
use crate::error::{Error, Result};
use crate::json_strings::JsonStrings;

/// Written at the head of files by some editors; no part of the first row.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Longest row: some 60 million tokens. What is longer is no row, whatever memory there is.
const ROW_BYTES: u64 = 256 << 20;

/// How rows follow one another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Lines,
    Array,
}

impl Form {
    /// Describes the place of a row.
    pub fn place(self, number: u64) -> String {
        match self {
            Self::Lines => format!("line {number}"),
            Self::Array => format!("element {number}"),
        }
    }
}

/// One row.
pub struct Record<'a> {
    /// From 1: its line, or its place in the array.
    pub number: u64,
    /// Where it begins in the text, and where the next one does or what stands between them.
    pub offset: u64,
    pub end: u64,
    /// All of it, with its line end.
    pub raw: &'a [u8],
}

impl<'a> Record<'a> {
    /// The row without its line end and the white space around it; empty for a blank line.
    pub fn text(&self) -> &'a [u8] {
        self.raw.trim_ascii()
    }
}

/// Reads rows from some place of a text on. Memory: the longest row.
pub struct Records {
    path: PathBuf,
    text: Text,
    form: Form,
    buffer: Vec<u8>,
    number: u64,
    offset: u64,
    /// The current place in an array.
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    BeforeFirst,
    AtElement,
    AfterElement,
    End,
}

impl Records {
    /// From the beginning of the text; its first character decides the form.
    ///
    /// # Errors
    /// A file that cannot be read, or is known to be something else.
    pub fn begin(path: &Path, packing: Packing, tally: &Tally, wanted: &[&str]) -> Result<Self> {
        let text = packing.open(path, 0, Some(tally), wanted)?;
        let mut records = Self::new(path, text, Form::Lines, 0, 1);
        if let Some(what) = foreign::kind(records.peek()?) {
            return Err(Error::dataset(path, None, what));
        }
        if records.peek()?.starts_with(BYTE_ORDER_MARK) {
            records.pass(BYTE_ORDER_MARK.len());
        }
        if records.peek()?.trim_ascii_start().starts_with(b"[") {
            (records.form, records.place) = (Form::Array, Place::BeforeFirst);
            records.skip_space()?;
            records.pass(1);
        }
        Ok(records)
    }

    /// From an offset on, where the row of a number begins.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn resume(path: &Path, packing: Packing, form: Form, from: (u64, u64), wanted: &[&str]) -> Result<Self> {
        let (offset, number) = from;
        Ok(Self::new(path, packing.open(path, offset, None, wanted)?, form, offset, number))
    }

    fn new(path: &Path, text: Text, form: Form, offset: u64, number: u64) -> Self {
        Self { path: path.to_owned(), text, form, buffer: Vec::new(), number, offset, place: Place::AtElement }
    }

    pub fn form(&self) -> Form {
        self.form
    }

    /// Bytes of the text behind us.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The next line, blank or not, of which the last may lack its end; or the next element.
    ///
    /// # Errors
    /// A file that cannot be read, a row that is too long, or an array that is broken between its elements.
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>> {
        self.buffer.clear();
        if self.form == Form::Array && !self.reach_element()? {
            return Ok(None);
        }
        let (number, offset) = (self.number, self.offset);
        match self.form {
            Form::Lines => self.read_line()?,
            Form::Array => self.read_element()?,
        }
        if self.buffer.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        Ok(Some(Record { number, offset, end: self.offset, raw: &self.buffer }))
    }

    fn read_line(&mut self) -> Result<()> {
        let read = self.text.by_ref().take(ROW_BYTES + 1).read_until(b'\n', &mut self.buffer);
        self.offset += read.map_err(Error::io("read the dataset", &self.path))? as u64;
        self.check_length()
    }

    /// Passes over what stands between elements; whether there is one more.
    fn reach_element(&mut self) -> Result<bool> {
        let next = self.skip_space()?;
        match (self.place, next) {
            (Place::BeforeFirst | Place::AfterElement, Some(b']')) => {
                self.pass(1);
                self.place = Place::End;
                self.reach_element()
            }
            (Place::End, None) => Ok(false),
            (Place::End, Some(_)) => Err(self.broken("text stands after the end of its array")),
            (Place::AfterElement, Some(b',')) => {
                self.pass(1);
                self.place = Place::AtElement;
                self.reach_element()
            }
            (Place::AfterElement, Some(_)) => Err(self.broken("no comma stands before it")),
            (Place::BeforeFirst | Place::AtElement, Some(byte)) if !b",]}:".contains(&byte) => Ok(true),
            (_, Some(_)) => Err(self.broken("it is missing")),
            (_, None) => Err(self.broken("the array ends before it")),
        }
    }

    /// Reads to the comma or bracket that ends an element.
    fn read_element(&mut self) -> Result<()> {
        let (mut depth, mut strings) = (0_u64, JsonStrings::default());
        loop {
            let chunk = self.text.fill_buf().map_err(Error::io("read the dataset", &self.path))?;
            if chunk.is_empty() {
                return Err(self.broken("the array ends inside it"));
            }
            let ends = |&byte: &u8| {
                let is_outermost = !strings.is_inside() && depth == 0;
                if !strings.step(char::from(byte)) {
                    match byte {
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => depth = depth.saturating_sub(1),
                        _ => {}
                    }
                }
                is_outermost && b",]}".contains(&byte)
            };
            let end = chunk.iter().position(ends);
            let read = end.unwrap_or(chunk.len());
            self.buffer.extend_from_slice(&chunk[..read]);
            self.pass(read);
            self.check_length()?;
            if end.is_some() {
                self.place = Place::AfterElement;
                return Ok(());
            }
        }
    }

    fn check_length(&self) -> Result<()> {
        if self.buffer.len() as u64 <= ROW_BYTES {
            return Ok(());
        }
        Err(self.broken(&format!("it is longer than {} MiB", ROW_BYTES >> 20)))
    }

    fn broken(&self, what: &str) -> Error {
        Error::dataset(&self.path, Some(self.form.place(self.number)), what)
    }

    /// Skips white space and returns the next byte.
    fn skip_space(&mut self) -> Result<Option<u8>> {
        loop {
            let chunk = self.peek()?;
            if chunk.is_empty() {
                return Ok(None);
            }
            let space = chunk.len() - chunk.trim_ascii_start().len();
            let next = chunk.get(space).copied();
            self.pass(space);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    fn peek(&mut self) -> Result<&[u8]> {
        self.text.fill_buf().map_err(Error::io("read the dataset", &self.path))
    }

    fn pass(&mut self, bytes: usize) {
        self.text.consume(bytes);
        self.offset += bytes as u64;
    }
}
