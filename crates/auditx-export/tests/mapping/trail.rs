//! The golden trail, read by `auditx-reader`.

use std::fs;
use std::path::{Path, PathBuf};

use auditx_export::{Exporter, Format};
use auditx_format::line::StoredEntry;
use auditx_reader::Lines;
use serde_json::Value;

pub(crate) fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// Each line of the golden trail, with its parsed entry.
pub(crate) fn entries() -> Vec<(Vec<u8>, StoredEntry)> {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(golden("trail.jsonl"), directory.path().join("audit.jsonl")).unwrap();
    let entries: Vec<_> = Lines::last(directory.path(), u64::MAX)
        .unwrap()
        .map(|line| line.unwrap())
        .map(|line| (line.bytes().to_vec(), line.parse().unwrap()))
        .collect();
    assert_eq!(entries.len(), fs::read_to_string(golden("trail.jsonl")).unwrap().lines().count());
    entries
}

/// One mapped entry, without header and footer.
pub(crate) fn mapped(exporter: &Exporter, line: &[u8], entry: &StoredEntry) -> String {
    let mut out = Vec::new();
    exporter.entry(line, entry, &mut out);
    String::from_utf8(out).unwrap()
}

/// The whole trail in a JSON format, one object per entry.
pub(crate) fn objects(format: Format) -> Vec<Value> {
    let exporter = Exporter::new(format);
    entries()
        .iter()
        .map(|(line, entry)| {
            let text = mapped(&exporter, line, entry);
            assert_eq!(text.find('\n'), Some(text.len() - 1), "one line: {text}");
            let object: Value = serde_json::from_str(&text).unwrap();
            assert_no_member_is_empty(&object, &text);
            object
        })
        .collect()
}

/// Absent values are omitted, except inside control records and metadata.
fn assert_no_member_is_empty(value: &Value, text: &str) {
    match value {
        Value::Null => panic!("null in {text}"),
        Value::String(string) => assert!(!string.is_empty(), "empty text in {text}"),
        Value::Array(items) => items.iter().for_each(|item| assert_no_member_is_empty(item, text)),
        Value::Object(map) => map
            .iter()
            .filter(|(name, _)| *name != "record" && *name != "metadata")
            .for_each(|(_, member)| assert_no_member_is_empty(member, text)),
        Value::Bool(_) | Value::Number(_) => {}
    }
}

/// The member at a dotted path; null if there is none.
pub(crate) fn at<'v>(value: &'v Value, path: &str) -> &'v Value {
    value.pointer(&format!("/{}", path.replace('.', "/"))).unwrap_or(&Value::Null)
}
