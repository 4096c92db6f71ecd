//! Links and paths in documents: do they lead to a file?
//!
//! Comes in: a link's target or a line of text. Goes out: a complaint for each place that is not there.
//! Addresses on other hosts are not visited.

use super::document::Document;
use super::project::Project;

/// The folders whose paths are spelled from the root, wherever a document lies.
const ROOTED: &[&str] = &["crates/", "examples/", "tests/", "fuzz/", "docs/", ".ci/", ".cargo/", ".github/"];

/// Whether a relative link leads to a file, and its anchor to a heading.
pub(super) fn link(
    project: &Project,
    documents: &[Document],
    document: &Document,
    target: &str,
) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (place, anchor) = target.split_once('#').unwrap_or((target, ""));
    let path = if place.is_empty() {
        document.path.clone()
    } else {
        match resolve(document.folder(), place) {
            Some(path) if (project.exists)(&path) => path,
            Some(path) => return Some(format!("links to {path}, which does not exist, correct the link")),
            None => {
                return Some(format!("links to {place}, outside the project, link relative to this file"));
            }
        }
    };
    let known = documents.iter().find(|document| document.path == path)?;
    let leads_nowhere = !anchor.is_empty() && !known.anchors.iter().any(|heading| heading == anchor);
    leads_nowhere.then(|| format!("links to #{anchor}, but {path} has no such heading, correct the anchor"))
}

/// Whether each path that starts at the root exists; patterns and placeholders count up to their folder.
pub(super) fn paths(project: &Project, document: &Document, text: &str) -> Vec<String> {
    let apart = |c: char| c.is_whitespace() || "\"'`()[],;=|<>".contains(c);
    let mut complaints = Vec::new();
    for word in text.split(apart) {
        let word = word.strip_prefix("./").unwrap_or(word);
        if !ROOTED.iter().any(|folder| word.starts_with(folder)) {
            continue;
        }
        let word = word.split([':', '#']).next().unwrap_or(word).trim_end_matches(['.', '!', '?', '…']);
        let path = match word.find(['*', '{', '$']) {
            Some(pattern) => word[..pattern].rfind('/').map_or("", |slash| &word[..=slash]),
            None => word,
        };
        let beside = format!("{}{path}", document.folder());
        if !(project.exists)(path) && !(project.exists)(&beside) {
            complaints.push(format!("names {path}, which does not exist, correct the path"));
        }
    }
    complaints
}

/// A path from the root, from one that is relative to a folder; nothing when it leads out or starts at `/`.
fn resolve(folder: &str, place: &str) -> Option<String> {
    if place.starts_with('/') {
        return None;
    }
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in place.split('/') {
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
