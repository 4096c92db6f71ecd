//! Checks that every test named in docs/COMPLIANCE.md exists.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Adds the names of all functions in the sources below a directory.
fn functions(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(directory).expect("a directory of the checkout") {
        let path = entry.expect("a directory entry").path();
        if path.is_dir() {
            functions(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            let names = text.split("fn ").skip(1).filter_map(|rest| rest.split(['(', '<']).next());
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn every_test_named_in_the_compliance_document_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the checkout");
    let mut known = BTreeSet::new();
    for folder in ["crates", "examples", "tests"] {
        functions(&root.join(folder), &mut known);
    }
    let document = fs::read_to_string(root.join("docs/COMPLIANCE.md")).expect("the document");
    // Names of fields have fewer words than names of tests.
    let named: Vec<&str> =
        document.split('`').skip(1).step_by(2).filter(|code| code.matches('_').count() >= 3).collect();
    assert!(named.len() > 30, "{named:?}");
    let missing: Vec<&&str> = named.iter().filter(|name| !known.contains(**name)).collect();
    assert!(missing.is_empty(), "docs/COMPLIANCE.md names tests that do not exist: {missing:?}");
}
