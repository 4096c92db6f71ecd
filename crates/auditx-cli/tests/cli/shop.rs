//! Trails with fixed content, for comparison with golden files.

use std::fs;
use std::io::Write;

use auditx_store::ACTIVE;
use tempfile::TempDir;

use crate::trail::directory;

/// Two days of a shop: entries of each kind, an erased line and a legacy line.
pub(crate) const SHOP: &str = include_str!("shop.jsonl");

/// Entries of an attacker: control sequences, formulas, bidirectional text.
pub(crate) const HOSTILE: &str = include_str!("hostile.jsonl");

/// Creates a trail of these lines.
pub(crate) fn trail_of(lines: impl AsRef<[u8]>) -> TempDir {
    let directory = directory();
    fs::write(directory.path().join(ACTIVE), lines).expect("an active segment");
    directory
}

/// Creates a trail of the hostile lines, an entry with a description of sixty thousand bytes, and lines that
/// are not entries: invalid UTF-8, a duplicate field, zeros, and a torn line.
pub(crate) fn hostile_trail() -> TempDir {
    let mut lines = HOSTILE.as_bytes().to_vec();
    let mut line =
        |bytes: &[u8]| lines.write_all(bytes).and_then(|()| lines.write_all(b"\n")).expect("memory");
    line(format!("{{\"seq\":9,\"id\":\"i\",\"description\":\"{}\"}}", "long ".repeat(12_000)).as_bytes());
    line(b"{\"seq\":10,\"description\":\"\xff\xfe\x1b[31m\"}");
    line(b"{\"seq\":11,\"user\":\"one\",\"user\":\"two\",\"description\":\"twice\"}");
    line(b"\0\0\0\0");
    lines.write_all(b"{\"seq\":12,\"description\":\"torn \x1b[31m").expect("memory");
    trail_of(lines)
}

/// The number of entries of the hostile trail, and of its unreadable lines.
pub(crate) const HOSTILE_ENTRIES: usize = 10;
pub(crate) const HOSTILE_OTHERS: usize = 3;

/// Compares a text with the golden file of this name; `AUDITX_BLESS=1` rewrites the file.
pub(crate) fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/golden").join(name);
    if std::env::var_os("AUDITX_BLESS").is_some_and(|value| value == "1") {
        fs::create_dir_all(path.parent().expect("a folder")).expect("the folder");
        fs::write(&path, text).expect("the golden file is written");
    }
    let golden = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(text, golden, "{name}: if the change is intended, run this test with AUDITX_BLESS=1");
}
