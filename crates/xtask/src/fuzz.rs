//! The `fuzz` task: fuzzes the decoders with libFuzzer, `[--minutes N] [TARGET…]`.
//!
//! It prints libFuzzer's report for each target, and the path of the input that made a target fail. New
//! corpus inputs are stored below `target/`; the corpus in the repository is not changed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command;
use crate::failure::Failure;
use crate::setup::works;
use crate::workspace::{self, Workspace};

const DEFAULT_MINUTES: u64 = 2;

/// The time limit for one input, in seconds. No decoder needs more.
const INPUT_TIMEOUT: &str = "-timeout=20";

/// Leak detection is off: the sanitizer reports threads that have not ended yet, and the verifier starts some
/// for each input.
const NO_LEAK_DETECTION: &str = "-detect_leaks=0";

/// Runs the named targets, or all of them, one after the other.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let known = command::find("fuzz").map_or(&[][..], |command| command.modes);
    let (minutes, targets) = parse(arguments, known)?;
    find_tools()?;
    for target in targets {
        fuzz(workspace, target, minutes)?;
    }
    Ok(())
}

fn parse<'t>(arguments: &[String], known: &[&'t str]) -> Result<(u64, Vec<&'t str>), Failure> {
    let (mut minutes, mut targets) = (DEFAULT_MINUTES, Vec::new());
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        if word == "--minutes" {
            minutes = words
                .next()
                .and_then(|number| number.parse().ok())
                .filter(|minutes| *minutes > 0)
                .ok_or_else(|| Failure::new("`--minutes` needs a number of at least 1"))?;
        } else if let Some(target) = known.iter().find(|target| **target == word.as_str()) {
            targets.push(*target);
        } else {
            return Err(Failure::new(format!("no target `{word}`, use one of: {}", known.join(", "))));
        }
    }
    if targets.is_empty() {
        targets = known.to_vec();
    }
    Ok((minutes, targets))
}

fn find_tools() -> Result<(), Failure> {
    if !works(&["cargo", "+nightly", "--version"]) {
        return Err(Failure::new(
            "fuzzing needs a nightly compiler: run `rustup toolchain install nightly --profile minimal`",
        ));
    }
    if works(&["cargo", "fuzz", "--version"]) {
        return Ok(());
    }
    println!("fuzz: installing cargo-fuzz");
    workspace::run(Command::new("cargo").args(["install", "cargo-fuzz", "--locked"]))
}

fn fuzz(workspace: &Workspace, target: &str, minutes: u64) -> Result<(), Failure> {
    let root = workspace.root();
    let scratch = format!("target/fuzz/{target}");
    fs::create_dir_all(root.join(&scratch))
        .map_err(|error| Failure::new(format!("cannot create {scratch}: {error}")))?;
    let artifacts = root.join("fuzz/artifacts").join(target);
    let before = files(&artifacts);
    println!("\n==== {target}, {minutes} min");
    workspace::run(&mut nightly(root, &["build", target]))?;
    // libFuzzer writes into the first directory only.
    let corpus = format!("tests/data/corpus/{target}");
    let seconds = format!("-max_total_time={}", minutes.saturating_mul(60));
    let options = [&seconds, INPUT_TIMEOUT, NO_LEAK_DETECTION, "-print_final_stats=1"];
    let mut run = nightly(root, &["run", target, &scratch, &corpus, "--"]);
    workspace::run(run.args(options)).map_err(|failure| {
        let inputs: Vec<String> = files(&artifacts)
            .into_iter()
            .filter(|file| !before.contains(file))
            .map(|file| file.display().to_string())
            .collect();
        if inputs.is_empty() {
            return failure;
        }
        Failure::new(format!("target {target} failed; its input is in {}", inputs.join(", ")))
    })
}

/// Returns the command `cargo +nightly fuzz …`, without the variables by which a child process inherits the
/// toolchain of this task.
fn nightly(root: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(["+nightly", "fuzz"]).args(arguments).current_dir(root);
    for variable in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(variable);
    }
    command
}

/// Returns the entries of a directory; empty if it does not exist.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    entries.filter_map(|entry| entry.ok().map(|entry| entry.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn without_a_target_all_targets_run() {
        let known = ["note", "proof"];
        assert_eq!(parse(&[], &known).unwrap(), (DEFAULT_MINUTES, vec!["note", "proof"]));
        assert_eq!(parse(&words("proof --minutes 30"), &known).unwrap(), (30, vec!["proof"]));
        for wrong in ["prof", "--minutes", "--minutes 0", "--minutes x", "--minuets 3"] {
            assert!(parse(&words(wrong), &known).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_target_has_a_program_and_a_corpus() {
        let workspace = Workspace::locate().unwrap();
        let known = command::find("fuzz").unwrap().modes;
        for target in known {
            assert!(workspace.root().join(format!("fuzz/fuzz_targets/{target}.rs")).is_file(), "{target}");
            assert!(!files(&workspace.root().join("tests/data/corpus").join(target)).is_empty(), "{target}");
        }
        assert_eq!(files(&workspace.root().join("fuzz/fuzz_targets")).len(), known.len());
    }
}
