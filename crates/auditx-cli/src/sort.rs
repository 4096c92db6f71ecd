//! `--sort`: entries in the order of a field.
//!
//! Each thread keeps the rendered text of entries with a key whose bytes compare like the values. With a
//! limit it keeps only the first entries; beyond [`MEMORY`], sorted runs go to a temporary file and are
//! merged at the end. So memory is bounded, and the temporary file is about as large as the output.

use std::io;
use std::ops::ControlFlow;
use std::str::FromStr;

use auditx_reader::{Field, Found, Json, Moment, sortable_number};

use crate::failure::Failure;
use crate::fields::FieldPath;
use crate::spill::{Sorted, push_number, push_text};

/// Memory for the entries of all threads together. Sorting may briefly need twice as much.
const MEMORY: usize = 64 << 20;

/// Bytes of text that are collected before they are written.
const CHUNK: usize = 64 << 10;

/// The field to sort by, and the direction.
#[derive(Debug, Clone)]
pub(crate) struct SortBy {
    path: FieldPath,
    is_descending: bool,
}

impl FromStr for SortBy {
    type Err = String;

    /// Parses `amount`, `amount:desc` or `metadata.party:asc`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, is_descending) = match text.rsplit_once(':') {
            Some((name, "asc")) => (name, false),
            Some((name, "desc")) => (name, true),
            Some((_, other)) => return Err(format!("invalid direction {other:?}: expected asc or desc")),
            None => (text, false),
        };
        Ok(Self { path: name.parse()?, is_descending })
    }
}

/// The order of the types of values. Absent values are last in both directions.
const BOOL: u8 = 1;
const NUMBER: u8 = 2;
const TIME: u8 = 3;
const TEXT: u8 = 4;
const OTHER: u8 = 5;
const ABSENT: u8 = u8::MAX;

impl SortBy {
    /// Writes the sort key of an entry: numbers compare as decimals, times as instants, text by code points.
    /// Entries with equal values stay in the order of the trail; those of several trails are in the order of
    /// their times, then of the trails.
    fn key(&self, found: &Found<'_>, trail: Option<&str>, key: &mut Vec<u8>) {
        key.clear();
        match self.path.of(found.row) {
            None | Some(Json::Null) => key.push(ABSENT),
            Some(value) => {
                self.value(value, key);
                if self.is_descending {
                    key.iter_mut().for_each(|byte| *byte = !*byte);
                }
            }
        }
        if let Some(trail) = trail {
            push_number(found.row.moment().map_or(i64::MIN, Moment::micros), key);
            push_text(trail.as_bytes(), key);
        }
        match found.row.seq() {
            Some(seq) => {
                key.push(1);
                key.extend_from_slice(&seq.to_be_bytes());
            }
            // Legacy lines are older than the lines with a number.
            None => {
                key.push(0);
                push_text(found.path.as_os_str().as_encoded_bytes(), key);
                key.extend_from_slice(&found.offset.to_be_bytes());
            }
        }
    }

    fn value(&self, value: Json<'_>, key: &mut Vec<u8>) {
        match value {
            Json::Bool(value) => key.extend_from_slice(&[BOOL, u8::from(value)]),
            Json::Number(digits) => {
                key.push(NUMBER);
                // The value was parsed as JSON, so the digits are a number.
                let _is_number = sortable_number(digits, key);
            }
            Json::Object(raw) | Json::Array(raw) => {
                key.push(OTHER);
                push_text(raw.as_bytes(), key);
            }
            value => {
                let words = value.text().unwrap_or_default();
                let is_time = self.path.field() == Some(Field::Timestamp);
                match Moment::parse(&words).filter(|_| is_time) {
                    Some(moment) => {
                        key.push(TIME);
                        push_number(moment.micros(), key);
                    }
                    None => {
                        key.push(TEXT);
                        push_text(words.as_bytes(), key);
                    }
                }
            }
        }
    }
}

/// The entries that one thread found.
#[derive(Debug)]
pub(crate) struct Sorter {
    sorted: Sorted,
    /// The name of the trail, if there are several.
    trail: Option<String>,
    key: Vec<u8>,
    text: Vec<u8>,
}

impl Sorter {
    /// Creates the sorter of one of `threads` threads.
    pub(crate) fn new(limit: Option<u64>, threads: usize) -> Self {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        Self::within(limit, MEMORY / threads.max(1))
    }

    fn within(limit: usize, budget: usize) -> Self {
        Self { sorted: Sorted::new(limit, budget), trail: None, key: Vec::new(), text: Vec::new() }
    }

    /// Sets the name of the trail, if there are several.
    pub(crate) fn of_trail(self, name: Option<&str>) -> Self {
        Self { trail: name.map(str::to_owned), ..self }
    }

    /// Adds an entry. Its text is rendered only if it may be within the limit.
    pub(crate) fn add(
        &mut self,
        by: &SortBy,
        found: &Found<'_>,
        render: impl FnOnce(&Found<'_>, &mut Vec<u8>),
    ) {
        by.key(found, self.trail.as_deref(), &mut self.key);
        if self.sorted.is_beyond(&self.key) {
            return;
        }
        self.text.clear();
        render(found, &mut self.text);
        self.sorted.add(&self.key, &self.text);
    }

    /// Writes the text of the entries of all sorters in order.
    pub(crate) fn write(
        sorters: Vec<Self>,
        mut out: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let (mut text, mut write_error) = (Vec::new(), None);
        Sorted::each(sorters.into_iter().map(|sorter| sorter.sorted).collect(), |entry| {
            text.extend_from_slice(entry);
            if text.len() >= CHUNK {
                write_error = out(&text).err();
                text.clear();
            }
            if write_error.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        })?;
        match write_error {
            Some(error) => Err(error.into()),
            None => Ok(out(&text)?),
        }
    }
}

#[cfg(test)]
mod tests;
