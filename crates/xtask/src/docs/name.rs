//! Checks that each name `auditx-…` in documents is a package or a target.

use super::project::Project;

/// Checks that each crate of the family in the text exists.
pub(super) fn crates(project: &Project, text: &str) -> Vec<String> {
    const FAMILY: &str = "auditx-";
    let mut complaints = Vec::new();
    for (start, _) in text.match_indices(FAMILY) {
        let inside = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '/' | '.' | '#');
        if text[..start].chars().next_back().is_some_and(inside) {
            continue;
        }
        let rest = &text[start..];
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '-').unwrap_or(rest.len());
        // A pattern such as `auditx-*` ends in a hyphen; a name followed by a dot and an extension is a file.
        let (name, after) = rest.split_at(end);
        let mut following = after.chars();
        let file = following.next() == Some('.') && following.next().is_some_and(char::is_alphanumeric);
        if name.ends_with('-') || file || is_known(project, name) {
            continue;
        }
        complaints.push(format!("names the crate {name}, which does not exist, correct the name"));
    }
    complaints
}

fn is_known(project: &Project, name: &str) -> bool {
    let targets = project.packages.iter().flat_map(|package| &package.targets);
    project.package(name).is_some() || targets.into_iter().any(|target| target.name == name)
}
