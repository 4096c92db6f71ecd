//! Reads trails, while the service runs or after it has ended.

use std::fs;
use std::path::Path;

use auditx_core::{RecordedEntry, StoredEntry};
use auditx_store::TrailReader;
use auditx_tests::deadline::wait_for;

/// Returns all entries that the trail has now.
pub(crate) fn read(logs: &Path) -> Vec<StoredEntry> {
    let mut reader = TrailReader::new(logs, 0);
    let mut entries = Vec::new();
    while let Some((_, line)) = reader.next_line().unwrap() {
        entries.push(RecordedEntry::from_line(line).unwrap().parse().unwrap());
    }
    entries
}

/// Waits for an entry that matches and returns it.
pub(crate) fn wait_for_entry(logs: &Path, what: &str, matches: impl Fn(&StoredEntry) -> bool) -> StoredEntry {
    let mut reader = TrailReader::new(logs, 0);
    wait_for(what, || {
        while let Some((_, line)) = reader.next_line().unwrap() {
            let entry = RecordedEntry::from_line(line).unwrap().parse().unwrap();
            if matches(&entry) {
                return Some(entry);
            }
        }
        None
    })
}

/// Waits for the closing entry of a request and returns it.
pub(crate) fn wait_for_closing(logs: &Path, request_id: &str) -> StoredEntry {
    wait_for_entry(logs, "a closing entry", |entry| is_closing(entry) && entry.request_id == request_id)
}

pub(crate) fn is_closing(entry: &StoredEntry) -> bool {
    !entry.method.is_empty()
}

/// Returns the kind of a control record; `None` for other entries.
pub(crate) fn kind(entry: &StoredEntry) -> Option<&str> {
    entry.control_record.as_ref().map(|record| record["kind"].as_str().unwrap())
}

pub(crate) fn closings(entries: &[StoredEntry]) -> Vec<&StoredEntry> {
    entries.iter().filter(|entry| is_closing(entry)).collect()
}

/// Returns the closing entry of a request, which must have exactly one.
pub(crate) fn closing<'e>(entries: &'e [StoredEntry], request_id: &str) -> &'e StoredEntry {
    let found: Vec<_> =
        entries.iter().filter(|entry| is_closing(entry) && entry.request_id == request_id).collect();
    assert_eq!(found.len(), 1, "closing entries of {request_id}: {found:?}");
    found[0]
}

/// Returns the entries of a request except its closing entry.
pub(crate) fn recorded_in<'e>(entries: &'e [StoredEntry], request_id: &str) -> Vec<&'e StoredEntry> {
    entries.iter().filter(|entry| !is_closing(entry) && entry.request_id == request_id).collect()
}

/// Returns level, status, success and outcome of a closing entry.
pub(crate) fn ending(entry: &StoredEntry) -> (&str, Option<u16>, bool, &str) {
    (&entry.level, entry.status, entry.success, entry.metadata["outcome"].as_str().unwrap())
}

/// Returns whether any file below the directory contains these bytes.
pub(crate) fn holds(directory: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(directory).unwrap().any(|found| {
        let path = found.unwrap().path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}
