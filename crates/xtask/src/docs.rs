//! The `docs` task: checks that everything the Markdown documents refer to exists.
//!
//! It prints a finding for each link, path, command or crate name that does not exist, as `file:line:
//! problem, remedy`. It changes nothing. The code of the README is compiled by the tests crate; this task
//! only checks that it still is.

mod document;
mod invocation;
mod name;
mod path;
mod project;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::command;
use crate::failure::Failure;
use crate::workspace::Workspace;
use document::{Document, Piece};
use project::Project;

/// An error in a document.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Finding {
    path: String,
    line: usize,
    what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// Checks every document of the checkout.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    command::refuse_arguments("docs", arguments)?;
    let project = Project::of(workspace)?;
    let (documents, mut findings) = read_documents(workspace)?;
    findings.extend(check(&project, &documents));
    findings.extend(readme_is_compiled(workspace));
    if findings.is_empty() {
        println!("docs: {} documents checked, no errors", documents.len());
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    Err(Failure::new(format!("errors in the documents: {}", findings.len())))
}

/// Returns the errors in these documents, ordered by file and line.
fn check(project: &Project, documents: &[Document]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in documents {
        let mut report = |line: usize, what: String| {
            findings.push(Finding { path: document.path.clone(), line, what });
        };
        for (line, text) in document.unfinished() {
            report(line, format!("contains `{text}`, finish the text or remove it"));
        }
        for located in &document.pieces {
            let mut complaints = Vec::new();
            match &located.piece {
                Piece::Link(target) => complaints.extend(path::link(project, documents, document, target)),
                Piece::Prose(text) => {
                    complaints.extend(path::paths(project, document, text));
                    complaints.extend(name::crates(project, text));
                }
                Piece::Span(code) | Piece::Block { line: code, .. } => {
                    complaints.extend(path::paths(project, document, code));
                    complaints.extend(name::crates(project, code));
                    complaints.extend(invocation::cargo(project, code));
                    if located.piece.is_shell() {
                        complaints.extend(invocation::auditx(project, code));
                    }
                }
            }
            for complaint in complaints {
                report(located.line, complaint);
            }
        }
    }
    findings.sort();
    findings.dedup();
    findings
}

/// Reads all documents. A missing document is a finding.
fn read_documents(workspace: &Workspace) -> Result<(Vec<Document>, Vec<Finding>), Failure> {
    let mut paths = vec!["README.md".to_owned(), "CHANGELOG.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    paths.extend(entries(workspace, "docs")?.into_iter().filter(|path| path.ends_with(".md")));
    for folder in entries(workspace, "crates")? {
        let path = format!("{folder}/README.md");
        if workspace.root().join(&path).is_file() {
            paths.push(path);
        }
    }
    let (mut documents, mut findings) = (Vec::new(), Vec::new());
    for path in paths {
        match std::fs::read_to_string(workspace.root().join(&path)) {
            Ok(text) => documents.push(Document::parse(&path, &text)),
            Err(error) => {
                findings.push(Finding {
                    path,
                    line: 1,
                    what: format!("cannot be read ({error}), create it"),
                });
            }
        }
    }
    Ok((documents, findings))
}

/// Returns the entries of a folder as sorted paths from the root; empty if the folder does not exist.
fn entries(workspace: &Workspace, folder: &str) -> Result<Vec<String>, Failure> {
    let full = workspace.root().join(folder);
    if !full.is_dir() {
        return Ok(Vec::new());
    }
    let unreadable = |error: std::io::Error| Failure::new(format!("cannot list {}: {error}", full.display()));
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(&full).map_err(unreadable)? {
        let name = entry.map_err(unreadable)?.file_name();
        paths.push(format!("{folder}/{}", name.to_string_lossy()));
    }
    paths.sort();
    Ok(paths)
}

fn readme_is_compiled(workspace: &Workspace) -> Option<Finding> {
    const COMPILED_IN: &str = "tests/src/lib.rs";
    const INCLUDE: &str = "include_str!(\"../../README.md\")";
    let source = std::fs::read_to_string(workspace.root().join(COMPILED_IN)).unwrap_or_default();
    (!source.contains(INCLUDE)).then(|| Finding {
        path: COMPILED_IN.to_owned(),
        line: 1,
        what: format!("does not compile the README's code, add `#[doc = {INCLUDE}]`"),
    })
}
