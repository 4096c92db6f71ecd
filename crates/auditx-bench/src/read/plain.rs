//! Determines the expected answers by parsing every line of every file.
//!
//! The trail must consist of plain files. The values to search for are taken from its middle. The files are
//! in the page cache afterwards.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::Outcome;

/// A word in the names of a few parties.
pub(super) const WORD: &str = "timber";

pub(super) const ENTITY_TYPE: &str = "sales_invoice";

/// A trail, the values to search for, and the expected counts.
#[derive(Debug)]
pub(super) struct Trail {
    pub(super) directory: PathBuf,
    pub(super) files: Vec<PathBuf>,
    pub(super) bytes: u64,
    pub(super) entity: String,
    pub(super) user: String,
    pub(super) since: String,
    pub(super) until: String,
    pub(super) counts: Counts,
}

/// The number of lines that match each query.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) lines: u64,
    pub(super) entity: u64,
    pub(super) hour: u64,
    pub(super) word: u64,
    /// The number of lines by user; the empty name stands for lines without a user.
    pub(super) users: BTreeMap<String, u64>,
}

impl Trail {
    pub(super) fn read(directory: &Path) -> Outcome<Self> {
        let files = files(directory)?;
        let middle = middle(&files[files.len() / 2])?;
        let [entity, user, time] = ["entity_id", "user", "timestamp"].map(|name| text(&middle, name));
        let hour = time.get(..13).ok_or("a line of the trail has no timestamp")?;
        let since = format!("{hour}:00:00Z");
        let until = humantime::parse_rfc3339(&since)? + Duration::from_secs(3_600);
        let mut trail = Self {
            directory: directory.to_owned(),
            files,
            bytes: 0,
            entity: entity.to_owned(),
            user: user.to_owned(),
            until: humantime::format_rfc3339_seconds(until).to_string(),
            since,
            counts: Counts::default(),
        };
        for path in &trail.files {
            for line in BufReader::new(File::open(path)?).split(b'\n') {
                let line = line?;
                trail.bytes += line.len() as u64 + 1;
                trail.counts.add(&line, &trail.entity, hour)?;
            }
        }
        Ok(trail)
    }
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, entity, user, since, until, counts, .. } = self;
        let (lines, mb) = (counts.lines, bytes / 1_000_000);
        write!(f, "{lines} lines, {mb} MB; {ENTITY_TYPE}/{entity}, user {user}, from {since} to {until}")
    }
}

impl Counts {
    fn add(&mut self, line: &[u8], entity: &str, hour: &str) -> Outcome<()> {
        let entry: Value = serde_json::from_slice(line)?;
        let has = |name, value| text(&entry, name) == value;
        self.lines += 1;
        self.entity += u64::from(has("entity_type", ENTITY_TYPE) && has("entity_id", entity));
        self.hour += u64::from(text(&entry, "timestamp").starts_with(hour));
        let is_named = memchr::memmem::find(&line.to_ascii_lowercase(), WORD.as_bytes()).is_some();
        self.word += u64::from(is_named);
        *self.users.entry(text(&entry, "user").to_owned()).or_default() += 1;
        Ok(())
    }
}

/// Returns the text of a field; empty if it is missing.
fn text<'e>(entry: &'e Value, name: &str) -> &'e str {
    entry[name].as_str().unwrap_or_default()
}

fn files(directory: &Path) -> Outcome<Vec<PathBuf>> {
    let sealed = auditx_store::sealed_segments(directory)?;
    if let Some(compressed) = sealed.iter().find(|segment| segment.compressed) {
        let path = compressed.path.display();
        return Err(format!("{path} is compressed, but the other programs read only plain files").into());
    }
    let active = directory.join(auditx_store::ACTIVE);
    if !active.exists() {
        return Err(format!("{} contains no trail", directory.display()).into());
    }
    Ok(sealed.into_iter().map(|segment| segment.path).chain([active]).collect())
}

/// Returns the first entry of an invoice in the second half of a file.
fn middle(path: &Path) -> Outcome<Value> {
    let text = std::fs::read_to_string(path)?;
    for line in text.lines().skip(text.lines().count() / 2) {
        let entry: Value = serde_json::from_str(line)?;
        if entry["entity_type"] == ENTITY_TYPE {
            return Ok(entry);
        }
    }
    Err(format!("no entry of a {ENTITY_TYPE} in the second half of {}", path.display()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_for_each_matching_query() {
        let mut counts = Counts::default();
        for line in [
            concat!(
                r#"{"timestamp":"2026-11-15T12:00:00.000000Z","user":"su.6","#,
                r#""entity_type":"sales_invoice","entity_id":"inv-7"}"#
            ),
            concat!(
                r#"{"timestamp":"2026-11-15T12:59:59.999999Z","user":"su.6","#,
                r#""entity_type":"customer","entity_id":"inv-7"}"#
            ),
            r#"{"timestamp":"2026-11-15T13:00:00.000000Z","metadata":{"party":"Northern TIMBER"}}"#,
        ] {
            counts.add(line.as_bytes(), "inv-7", "2026-11-15T12").unwrap();
        }
        let users = [("su.6".to_owned(), 2), (String::new(), 1)].into();
        assert_eq!(counts, Counts { lines: 3, entity: 1, hour: 2, word: 1, users });
    }

    #[test]
    fn an_invalid_line_is_an_error() {
        Counts::default().add(b"{", "inv-7", "2026").unwrap_err();
    }
}
