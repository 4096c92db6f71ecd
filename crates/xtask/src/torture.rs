//! The `torture` task: repeats the test suite's kills and interference for a given time, `[--minutes N]`. It
//! prints their counts, or the directory of a trail that failed the checks.

use crate::failure::Failure;
use crate::workspace::{self, Workspace};

const DEFAULT_MINUTES: u64 = 10;

/// Builds the programs in release mode and runs the loop.
pub(crate) fn run(workspace: &Workspace, arguments: &[String]) -> Result<(), Failure> {
    let minutes = parse(arguments)?;
    let mut build = workspace.cargo(&[
        "build",
        "--release",
        "--package",
        "auditx-tests",
        "--package",
        "auditx-cli",
        "--bins",
    ]);
    workspace::run(build.args(workspace.locked()))?;
    let mut run = workspace.cargo(&["run", "--release", "--package", "auditx-tests", "--bin", "torture"]);
    workspace::run(run.args(workspace.locked()).arg("--").arg(minutes.to_string()))
}

fn parse(arguments: &[String]) -> Result<u64, Failure> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [] => Some(DEFAULT_MINUTES),
        ["--minutes", number] => number.parse().ok().filter(|minutes| *minutes > 0),
        _ => None,
    }
    .ok_or_else(|| Failure::new("`torture` takes `--minutes N` with a number of at least 1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_of_minutes_is_accepted() {
        let parsed = |words: &[&str]| parse(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(parsed(&[]).unwrap(), DEFAULT_MINUTES);
        assert_eq!(parsed(&["--minutes", "20"]).unwrap(), 20);
        for wrong in [&["--minutes"][..], &["--minutes", "0"], &["20"], &["--minutes", "2", "3"]] {
            assert!(parsed(wrong).is_err(), "{wrong:?}");
        }
    }
}
