//! Checks the links and paths in documents. URLs of other hosts are not requested.

use super::document::Document;
use super::project::Project;

/// The folders whose paths are relative to the root in all documents.
const ROOTED: &[&str] = &["crates/", "examples/", "tests/", "fuzz/", "docs/", ".ci/", ".cargo/", ".github/"];

/// Checks that a relative link points to a file, and its anchor to a heading.
pub(super) fn link(
    project: &Project,
    documents: &[Document],
    document: &Document,
    target: &str,
) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (link, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if link.is_empty() {
        document.path.clone()
    } else {
        match resolve(document.folder(), link) {
            Some(path) if (project.exists)(&path) => path,
            Some(path) => return Some(format!("links to {path}, which does not exist, correct the link")),
            None => {
                return Some(format!("links to {link}, outside the project, link relative to this file"));
            }
        }
    };
    let known = documents.iter().find(|document| document.path == path)?;
    let is_missing = !anchor.is_empty() && !known.anchors.iter().any(|heading| heading == anchor);
    is_missing.then(|| format!("links to #{anchor}, but {path} has no such heading, correct the anchor"))
}

/// Checks that each path from the root exists. Of patterns and placeholders, only the folder is checked.
pub(super) fn paths(project: &Project, document: &Document, text: &str) -> Vec<String> {
    let is_separator = |c: char| c.is_whitespace() || "\"'`()[],;=|<>".contains(c);
    let mut complaints = Vec::new();
    for word in text.split(is_separator) {
        let word = word.strip_prefix("./").unwrap_or(word);
        if !ROOTED.iter().any(|folder| word.starts_with(folder)) {
            continue;
        }
        let word = word.split([':', '#']).next().unwrap_or(word).trim_end_matches(['.', '!', '?', '…']);
        let path = match word.find(['*', '{', '$']) {
            Some(pattern) => word[..pattern].rfind('/').map_or("", |slash| &word[..=slash]),
            None => word,
        };
        let relative = format!("{}{path}", document.folder());
        if !(project.exists)(path) && !(project.exists)(&relative) {
            complaints.push(format!("names {path}, which does not exist, correct the path"));
        }
    }
    complaints
}

/// Converts a path relative to a folder to one from the root. `None` if it leaves the root or starts with
/// `/`.
fn resolve(folder: &str, path: &str) -> Option<String> {
    if path.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
