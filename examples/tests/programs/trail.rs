//! The trail as an auditor reads it, while the service writes on or after it has ended.

use std::fs;
use std::path::Path;

use auditx_core::{RecordedEntry, StoredEntry, TrailReader};
use auditx_tests::deadline::wait_for;

/// Everything there is now.
pub(crate) fn read(logs: &Path) -> Vec<StoredEntry> {
    let mut reader = TrailReader::new(logs, 0);
    let mut entries = Vec::new();
    while let Some((_, line)) = reader.next_line().unwrap() {
        entries.push(RecordedEntry::from_line(line).unwrap().parse().unwrap());
    }
    entries
}

/// The first entry that is so, once there is one.
pub(crate) fn wait_for_entry(logs: &Path, what: &str, is_so: impl Fn(&StoredEntry) -> bool) -> StoredEntry {
    let mut reader = TrailReader::new(logs, 0);
    wait_for(what, || {
        while let Some((_, line)) = reader.next_line().unwrap() {
            let entry = RecordedEntry::from_line(line).unwrap().parse().unwrap();
            if is_so(&entry) {
                return Some(entry);
            }
        }
        None
    })
}

/// The closing entry of a request, once there is one.
pub(crate) fn wait_for_closing(logs: &Path, request_id: &str) -> StoredEntry {
    wait_for_entry(logs, "a closing entry", |entry| is_closing(entry) && entry.request_id == request_id)
}

pub(crate) fn is_closing(entry: &StoredEntry) -> bool {
    !entry.method.is_empty()
}

/// What the library's own record says it is.
pub(crate) fn kind(entry: &StoredEntry) -> Option<&str> {
    entry.control_record.as_ref().map(|record| record["kind"].as_str().unwrap())
}

pub(crate) fn closings(entries: &[StoredEntry]) -> Vec<&StoredEntry> {
    entries.iter().filter(|entry| is_closing(entry)).collect()
}

/// The one closing entry a request must have.
pub(crate) fn closing<'e>(entries: &'e [StoredEntry], request_id: &str) -> &'e StoredEntry {
    let found: Vec<_> =
        entries.iter().filter(|entry| is_closing(entry) && entry.request_id == request_id).collect();
    assert_eq!(found.len(), 1, "closing entries of {request_id}: {found:?}");
    found[0]
}

/// What a request's handlers recorded.
pub(crate) fn recorded_in<'e>(entries: &'e [StoredEntry], request_id: &str) -> Vec<&'e StoredEntry> {
    entries.iter().filter(|entry| !is_closing(entry) && entry.request_id == request_id).collect()
}

/// Level, status, success and outcome: how a request ended.
pub(crate) fn ending(entry: &StoredEntry) -> (&str, Option<u16>, bool, &str) {
    (&entry.level, entry.status, entry.success, entry.metadata["outcome"].as_str().unwrap())
}

/// Whether any file below the directory holds these bytes.
pub(crate) fn holds(directory: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(directory).unwrap().any(|found| {
        let path = found.unwrap().path();
        if path.is_dir() {
            return holds(&path, bytes);
        }
        fs::read(&path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}
