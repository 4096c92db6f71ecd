//! The commands of `cargo xtask`: one table that dispatch, help and the documentation check all read.
//!
//! Comes in: the arguments. Goes out: the chosen task's outcome.

use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{bench, ci, docs, fuzz, miri, setup, test, torture};

/// One command: what it is called, what may follow, and what it does.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// The words that may come right after the name; empty when the command takes none.
    pub(crate) modes: &'static [&'static str],
    usage: &'static str,
    summary: &'static str,
    run: fn(&Workspace, &[String]) -> Result<(), Failure>,
}

pub(crate) const COMMANDS: &[Command] = &[
    Command {
        name: "setup",
        modes: &[],
        usage: "setup",
        summary: "make sure that what the tests need is installed",
        run: setup::run,
    },
    Command {
        name: "test",
        modes: &[],
        usage: "test [ARGS…]",
        summary: "setup, then every test of the workspace; ARGS go to cargo test",
        run: test::run,
    },
    Command {
        name: "ci",
        modes: &[],
        usage: "ci",
        summary: "everything that CI checks, in order",
        run: ci::run,
    },
    Command {
        name: "docs",
        modes: &[],
        usage: "docs",
        summary: "prove that paths and commands in the documents exist",
        run: docs::run,
    },
    Command {
        name: "bench",
        modes: &["record", "durable", "performance", "http", "verify", "read", "ship", "open", "tree"],
        usage: "bench record|durable|performance|http|verify|read|ship|open|tree [--json] [ARGS…]",
        summary: "measure auditx beside its peers; ARGS go to auditx-bench",
        run: bench::run,
    },
    Command {
        name: "miri",
        modes: &[],
        usage: "miri",
        summary: "interpret the ring's tests, where a nightly compiler has Miri",
        run: miri::run,
    },
    Command {
        name: "torture",
        modes: &[],
        usage: "torture [--minutes N]",
        summary: "kill recording processes at random moments and look at what is left, ten minutes long",
        run: torture::run,
    },
    Command {
        name: "fuzz",
        modes: &["note", "proof", "cursor", "segment", "ring", "query"],
        usage: "fuzz [--minutes N] [TARGET…]",
        summary: "feed the decoders random input, two minutes each; needs a nightly compiler",
        run: fuzz::run,
    },
];

/// Runs the command that the arguments name, or prints the table when they ask for help.
pub(crate) fn dispatch(arguments: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        return Err(Failure::new(format!("no command given\n\n{}", help())));
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        println!("{}", help());
        return Ok(());
    }
    let Some(command) = find(name) else {
        return Err(Failure::new(format!("no command `{name}`\n\n{}", help())));
    };
    (command.run)(&Workspace::locate()?, rest)
}

/// The command of this name.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// Refuses arguments on behalf of commands that take none, so that a mistyped flag is not silently ignored.
pub(crate) fn refuse_arguments(name: &str, arguments: &[String]) -> Result<(), Failure> {
    match arguments.first() {
        None => Ok(()),
        Some(argument) => Err(Failure::new(format!("`{name}` takes no arguments, got `{argument}`"))),
    }
}

fn help() -> String {
    let width = COMMANDS.iter().map(|command| command.usage.chars().count()).max().unwrap_or(0);
    let mut text = String::from("usage: cargo xtask COMMAND\n");
    for command in COMMANDS {
        text.push_str(&format!("\n  {:width$}  {}", command.usage, command.summary));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_command_is_refused_and_the_known_ones_are_listed() {
        let failure = dispatch(&["tset".to_owned()]).unwrap_err().to_string();
        assert!(failure.contains("no command `tset`"), "{failure}");
        for command in COMMANDS {
            assert!(failure.contains(command.summary), "{failure}");
        }
    }

    #[test]
    fn a_command_without_arguments_refuses_them() {
        assert!(refuse_arguments("ci", &[]).is_ok());
        assert!(refuse_arguments("ci", &["--fast".to_owned()]).is_err());
    }
}
