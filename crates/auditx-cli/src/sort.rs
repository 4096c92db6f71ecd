//! `--sort`: entries in the order of a field's values.
//!
//! Each thread keeps the text of entries beside a key whose bytes compare as the values do. With a limit it keeps only the
//! best; what is more than [`MEMORY`] goes to a temporary file as sorted runs, which are merged at the end. So memory is
//! bounded, and the disk takes about what is shown.

use std::io;
use std::ops::ControlFlow;
use std::str::FromStr;

use auditx_reader::{Field, Found, Json, Moment, sortable_number};

use crate::failure::Failure;
use crate::fields::FieldPath;
use crate::spill::{self, Runs};

/// What all threads together keep of entries. Twice as much may be needed for a moment.
const MEMORY: usize = 64 << 20;

/// What an entry costs beside its bytes.
const OVERHEAD: usize = 64;

/// So much text is made before it is written.
const CHUNK: usize = 64 << 10;

/// A field, and in which direction.
#[derive(Debug, Clone)]
pub(crate) struct SortBy {
    path: FieldPath,
    is_descending: bool,
}

impl FromStr for SortBy {
    type Err = String;

    /// `amount`, `amount:desc`, `metadata.party:asc`
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

/// How the kinds of values follow each other. What is absent is last in both directions.
const BOOL: u8 = 1;
const NUMBER: u8 = 2;
const TIME: u8 = 3;
const TEXT: u8 = 4;
const OTHER: u8 = 5;
const ABSENT: u8 = u8::MAX;

impl SortBy {
    /// Bytes that compare as the entry's value does: numbers as decimals, times as moments, text by its code points. Equal
    /// values compare as the entries stand in the trail.
    fn key(&self, found: &Found<'_>, key: &mut Vec<u8>) {
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
        match found.row.seq() {
            Some(seq) => {
                key.push(1);
                key.extend_from_slice(&seq.to_be_bytes());
            }
            // Lines of the Python package are older.
            None => {
                key.push(0);
                text(found.path.as_os_str().as_encoded_bytes(), key);
                key.extend_from_slice(&found.offset.to_be_bytes());
            }
        }
    }

    fn value(&self, value: Json<'_>, key: &mut Vec<u8>) {
        match value {
            Json::Bool(value) => key.extend_from_slice(&[BOOL, u8::from(value)]),
            Json::Number(digits) => {
                key.push(NUMBER);
                // A value was read as JSON before, so it is a number.
                let _is_number = sortable_number(digits, key);
            }
            Json::Object(raw) | Json::Array(raw) => {
                key.push(OTHER);
                text(raw.as_bytes(), key);
            }
            value => {
                let words = value.text().unwrap_or_default();
                let is_time = self.path.whole() == Some(Field::Timestamp);
                match Moment::parse(&words).filter(|_| is_time) {
                    Some(moment) => {
                        key.push(TIME);
                        // With its first bit turned a negative number precedes the others.
                        key.extend_from_slice(&(moment.micros() ^ i64::MIN).to_be_bytes());
                    }
                    None => {
                        key.push(TEXT);
                        text(words.as_bytes(), key);
                    }
                }
            }
        }
    }
}

/// Bytes of any length, so that no key begins with another one.
fn text(bytes: &[u8], key: &mut Vec<u8>) {
    for byte in bytes {
        key.push(*byte);
        if *byte == 0 {
            key.push(u8::MAX);
        }
    }
    key.extend_from_slice(&[0, 0]);
}

struct Item {
    key: Box<[u8]>,
    text: Box<[u8]>,
}

/// The entries that one thread met.
pub(crate) struct Sorter {
    limit: usize,
    budget: usize,
    items: Vec<Item>,
    bytes: usize,
    /// With a limit: an entry with this key or a higher one is not among the first.
    end: Option<Box<[u8]>>,
    runs: Runs,
    failure: Option<io::Error>,
    key: Vec<u8>,
    text: Vec<u8>,
}

impl Sorter {
    /// For one of so many threads.
    pub(crate) fn new(limit: Option<u64>, threads: usize) -> Self {
        let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
        Self::within(limit, MEMORY / threads.max(1))
    }

    fn within(limit: usize, budget: usize) -> Self {
        Self {
            limit,
            budget,
            items: Vec::new(),
            bytes: 0,
            end: None,
            runs: Runs::default(),
            failure: None,
            key: Vec::new(),
            text: Vec::new(),
        }
    }

    /// One entry, whose text is made only where it may be shown.
    pub(crate) fn add(
        &mut self,
        by: &SortBy,
        found: &Found<'_>,
        render: impl FnOnce(&Found<'_>, &mut Vec<u8>),
    ) {
        by.key(found, &mut self.key);
        if self.end.as_ref().is_some_and(|end| *self.key >= **end) || self.failure.is_some() {
            return;
        }
        self.text.clear();
        render(found, &mut self.text);
        self.bytes += self.key.len() + self.text.len() + OVERHEAD;
        self.items.push(Item { key: self.key.as_slice().into(), text: self.text.as_slice().into() });
        let is_much = self.items.len() / 2 > self.limit.max(1_000);
        if is_much || self.bytes > self.budget {
            self.settle();
            if self.bytes > self.budget / 2
                && let Err(error) = self.spill()
            {
                self.failure = Some(error);
            }
        }
    }

    /// Sorts, and forgets what is beyond the limit.
    fn settle(&mut self) {
        self.items.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        if self.items.len() >= self.limit {
            self.items.truncate(self.limit);
            self.end = Some(self.items.last().map_or_else(Box::default, |last| last.key.clone()));
        }
        self.bytes = self.items.iter().map(|item| item.key.len() + item.text.len() + OVERHEAD).sum();
    }

    fn spill(&mut self) -> io::Result<()> {
        self.runs.add(self.items.iter().map(|item| (&*item.key, &*item.text)))?;
        self.items = Vec::new();
        self.bytes = 0;
        Ok(())
    }

    /// Writes the text of all entries in order.
    pub(crate) fn write(
        mut sorters: Vec<Self>,
        mut out: impl FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let limit = sorters.first().map_or(0, |sorter| sorter.limit);
        let has_runs = sorters.iter().any(|sorter| !sorter.runs.is_empty());
        for sorter in &mut sorters {
            sorter.settle();
            let spilled = if has_runs { sorter.spill() } else { Ok(()) };
            if let Some(error) = sorter.failure.take().or(spilled.err()) {
                return Err(spill::failure(&error));
            }
        }
        let (mut text, mut count, mut refusal) = (Vec::new(), 0, None);
        let mut each = |item: &[u8]| {
            if count == limit {
                return ControlFlow::Break(());
            }
            count += 1;
            text.extend_from_slice(item);
            if text.len() >= CHUNK {
                refusal = out(&text).err();
                text.clear();
            }
            if refusal.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        if has_runs {
            let runs: Vec<Runs> = sorters.into_iter().map(|sorter| sorter.runs).collect();
            spill::merge(&runs, |_, text| each(text)).map_err(|error| spill::failure(&error))?;
        } else {
            let mut items: Vec<Item> = sorters.into_iter().flat_map(|sorter| sorter.items).collect();
            items.sort_unstable_by(|one, other| one.key.cmp(&other.key));
            let _whole = items.iter().try_for_each(|item| each(&item.text));
        }
        match refusal {
            Some(error) => Err(error.into()),
            None => Ok(out(&text)?),
        }
    }
}

#[cfg(test)]
mod tests;
