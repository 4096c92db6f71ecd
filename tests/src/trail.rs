//! An independent reader of trails, which uses only file names, Zstandard and JSON. It also checks that the
//! library's reader finds the same lines.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use auditx_store::TrailReader;
use serde_json::Value;

/// One line of a trail.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// The line's seq.
    pub seq: u64,
    /// The line without its newline.
    pub text: String,
    /// The parsed line.
    pub json: Value,
}

impl Line {
    /// Returns the kind of a control record; `None` for other entries.
    #[must_use]
    pub fn kind(&self) -> Option<&str> {
        self.json["auditx"]["kind"].as_str()
    }

    /// Returns the description.
    ///
    /// # Panics
    /// If the line has no description.
    #[must_use]
    pub fn description(&self) -> &str {
        self.json["description"].as_str().expect("a line has a description")
    }
}

/// Returns all lines of a trail that has no running writer.
///
/// # Panics
/// If a line is incomplete or is not a JSON object of at most 65,535 bytes, a seq is missing or repeated, a
/// segment's name is not its first line's seq, or the library's reader finds other lines.
#[must_use]
pub fn lines(directory: &Path) -> Vec<Line> {
    lines_from(directory, None)
}

/// Returns the text of each line of a trail that may be damaged, in the order of its files.
///
/// # Panics
/// If a file cannot be read.
#[must_use]
pub fn texts(directory: &Path) -> Vec<String> {
    let files = segments(directory);
    let text = |(_, path): &(_, PathBuf)| String::from_utf8_lossy(&read(path)).into_owned();
    files
        .iter()
        .flat_map(|file| text(file).split_terminator('\n').map(str::to_owned).collect::<Vec<_>>())
        .collect()
}

/// Returns the lines from a seq on, for long trails; reads the whole segment that contains the line.
///
/// # Panics
/// As [`lines`].
#[must_use]
pub fn lines_from(directory: &Path, first: impl Into<Option<u64>>) -> Vec<Line> {
    let first = first.into();
    let mut lines: Vec<Line> = Vec::new();
    let segments = segments(directory);
    let begin = segments
        .iter()
        .rposition(|(seq, _)| first.is_some_and(|first| seq.is_some_and(|seq| seq <= first)))
        .unwrap_or(0);
    for (named, path) in &segments[begin..] {
        let bytes = read(path);
        let text = String::from_utf8(bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.is_empty() || text.ends_with('\n'), "{} ends with an incomplete line", path.display());
        let before = lines.len();
        for text in text.split_terminator('\n') {
            let line = parse(text, path);
            let expected = lines.last().map_or(line.seq, |last| last.seq + 1);
            assert_eq!(line.seq, expected, "{}: {text}", path.display());
            lines.push(line);
        }
        if let (Some(named), Some(line)) = (named, lines.get(before)) {
            assert_eq!(*named, line.seq, "the name of {} is not its first line's seq", path.display());
        }
    }
    lines.retain(|line| first.is_none_or(|first| line.seq >= first));
    check_library_reader(directory, &lines);
    lines
}

/// Returns all lines except control records.
///
/// # Panics
/// As [`lines`].
#[must_use]
pub fn entries(directory: &Path) -> Vec<Line> {
    lines(directory).into_iter().filter(|line| line.kind().is_none()).collect()
}

/// Returns the segments in order, each with the seq in its name; the active segment is last and has none.
fn segments(directory: &Path) -> Vec<(Option<u64>, PathBuf)> {
    let mut sealed: BTreeMap<u64, PathBuf> = BTreeMap::new();
    let mut active = None;
    for found in fs::read_dir(directory).expect("the trail's directory can be listed") {
        let path = found.expect("the trail's directory can be listed").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("names are text").to_owned();
        if name == "audit.jsonl" {
            active = Some(path);
            continue;
        }
        let plain = name.strip_suffix(".zst").unwrap_or(&name);
        let number = plain.strip_prefix("audit-").and_then(|rest| rest.strip_suffix(".jsonl"));
        let Some(number) = number.and_then(|digits| digits.parse().ok()) else { continue };
        // After a kill between compression and removal both files exist; the plain one counts.
        if name == plain || !sealed.contains_key(&number) {
            sealed.insert(number, path);
        }
    }
    let sealed = sealed.into_iter().map(|(number, path)| (Some(number), path));
    sealed.chain(active.map(|path| (None, path))).collect()
}

fn read(path: &Path) -> Vec<u8> {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    if path.extension().is_some_and(|extension| extension == "zst") {
        return zstd::decode_all(bytes.as_slice())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
    bytes
}

fn parse(text: &str, path: &Path) -> Line {
    assert!(text.len() < 65_535, "a line of {} bytes in {}", text.len(), path.display());
    let json: Value =
        serde_json::from_str(text).unwrap_or_else(|error| panic!("{}: {error}: {text}", path.display()));
    let seq = json["seq"].as_u64().unwrap_or_else(|| panic!("a line without a seq: {text}"));
    assert!(text.starts_with(&format!("{{\"seq\":{seq},")), "{text}");
    Line { seq, text: text.to_owned(), json }
}

fn check_library_reader(directory: &Path, lines: &[Line]) {
    let mut reader = TrailReader::new(directory, lines.first().map_or(0, |line| line.seq));
    for line in lines {
        let (seq, text) = reader
            .next_line()
            .unwrap_or_else(|error| panic!("line {}: {error}", line.seq))
            .unwrap_or_else(|| panic!("the library's reader does not find line {}", line.seq));
        assert_eq!((seq, text), (line.seq, line.text.as_bytes()), "line found by the library's reader");
    }
    let more = reader.next_line().expect("the end of a trail can be read");
    assert!(more.is_none(), "the library's reader finds a line after the last: {more:?}");
}
