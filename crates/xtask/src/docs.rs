//! The `docs` task: proves that what the documents name exists.
//!
//! Comes in: the Markdown files of the checkout. Goes out: a finding for each link, path, command or crate
//! name that leads nowhere, as `file:line: what, and what to do`. It reads only; README code is compiled by
//! the tests crate, and here it is only made sure that this stays so.

mod document;
mod invocation;
mod name;
mod place;
mod project;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::command;
use crate::failure::Failure;
use crate::workspace::Workspace;
use document::{Document, Piece};
use project::Project;

/// One thing that a document says and that is not so.
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
        println!("docs: {} documents name nothing that is missing", documents.len());
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    Err(Failure::new(format!("places to correct in the documents: {}", findings.len())))
}

/// Everything in these documents that is not so, in the order of the files and their lines.
fn check(project: &Project, documents: &[Document]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for document in documents {
        let mut report = |line: usize, what: String| {
            findings.push(Finding { path: document.path.clone(), line, what });
        };
        for (line, text) in document.unfinished() {
            report(line, format!("says `{text}`, finish the text or take it out"));
        }
        for located in &document.pieces {
            let mut complaints = Vec::new();
            match &located.piece {
                Piece::Link(target) => complaints.extend(place::link(project, documents, document, target)),
                Piece::Prose(text) => {
                    complaints.extend(place::paths(project, document, text));
                    complaints.extend(name::crates(project, text));
                }
                Piece::Span(code) | Piece::Block { line: code, .. } => {
                    complaints.extend(place::paths(project, document, code));
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

/// The documents that a reader meets; one that must be there and is not is a finding already.
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
                findings.push(Finding { path, line: 1, what: format!("cannot be read ({error}), write it") });
            }
        }
    }
    Ok((documents, findings))
}

/// What lies in a folder, as sorted paths from the root; nothing when there is no such folder.
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
