//! Checks the order of modules: each uses only modules that its `lib.rs` or `main.rs` names before it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the names of the modules that a root file declares, in order.
fn declared(root: &str) -> Vec<&str> {
    let names = root.lines().filter(|line| !line.starts_with(char::is_whitespace));
    names.filter_map(|line| line.split_once("mod ")?.1.strip_suffix(';')).collect()
}

/// Returns the files of a module, without its tests.
fn files_of(source: &Path, module: &str) -> Vec<PathBuf> {
    let mut files = vec![source.join(format!("{module}.rs"))];
    let mut directories = vec![source.join(module)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.ends_with("tests") || path.ends_with("tests.rs") {
                continue;
            }
            if path.is_dir() { directories.push(path) } else { files.push(path) }
        }
    }
    files.retain(|path| path.extension().is_some_and(|extension| extension == "rs") && path.is_file());
    files
}

/// Returns the modules of the crate that a file uses outside comments and tests.
fn used(text: &str) -> Vec<&str> {
    let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.flat_map(|line| line.split("crate::").skip(1)).flat_map(first_names).collect()
}

/// Returns the first names of the paths after `crate::`: of one path, or of each in braces.
fn first_names(paths: &str) -> Vec<&str> {
    let (inside, mut depth) = (paths.strip_prefix('{'), 0);
    let split = |c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    };
    let paths: Vec<&str> = inside.map_or_else(|| vec![paths], |inside| inside.split(split).collect());
    let end = |c: char| !c.is_alphanumeric() && c != '_';
    paths.iter().map(|path| path.trim_start().split(end).next().unwrap_or_default()).collect()
}

#[test]
fn names_are_found_in_paths_and_in_braces() {
    let text =
        "use crate::one::{A, B};\nuse crate::{two, three::{C, D}, four};\n// crate::five\ncrate::six::f()";
    assert_eq!(used(text), ["one", "two", "three", "four", "six"]);
}

#[test]
fn each_module_uses_only_earlier_ones() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut checked = 0;
    let mut faults = Vec::new();
    for entry in fs::read_dir(crates).unwrap() {
        let source = entry.unwrap().path().join("src");
        let root = ["lib.rs", "main.rs"].iter().find_map(|name| fs::read_to_string(source.join(name)).ok());
        let root = root.unwrap();
        let order = declared(&root);
        for (index, module) in order.iter().enumerate() {
            for file in files_of(&source, module) {
                let text = fs::read_to_string(&file).unwrap();
                checked += 1;
                for later in used(&text).iter().filter(|name| order[index + 1..].contains(name)) {
                    faults.push(format!("{} uses {later}, which is declared later", file.display()));
                }
            }
        }
    }
    assert!(checked > 300, "{checked} files");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
