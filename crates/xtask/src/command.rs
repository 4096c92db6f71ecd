//! The commands of `cargo xtask`, in one table for dispatch, help and the documentation check.

use crate::failure::Failure;
use crate::workspace::Workspace;
use crate::{bench, ci, docs, fuzz, miri, setup, test, torture};

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// The words that may follow the name; empty if the command takes none.
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
        summary: "install the tools that the tests need",
        run: setup::run,
    },
    Command {
        name: "test",
        modes: &[],
        usage: "test [ARGS…]",
        summary: "run setup, then all tests of the workspace; ARGS are passed to cargo test",
        run: test::run,
    },
    Command { name: "ci", modes: &[], usage: "ci", summary: "run all checks of CI in order", run: ci::run },
    Command {
        name: "docs",
        modes: &[],
        usage: "docs",
        summary: "check that paths and commands in the documents exist",
        run: docs::run,
    },
    Command {
        name: "bench",
        modes: &["record", "durable", "performance", "http", "verify", "read", "ship", "open"],
        usage: "bench record|durable|performance|http|verify|read|ship|open [--json] [ARGS…]",
        summary: "compare auditx with other programs; ARGS are passed to auditx-bench",
        run: bench::run,
    },
    Command {
        name: "miri",
        modes: &[],
        usage: "miri",
        summary: "run the ring's tests under Miri, if a nightly compiler with Miri is installed",
        run: miri::run,
    },
    Command {
        name: "torture",
        modes: &[],
        usage: "torture [--minutes N]",
        summary: "kill recording processes at random times and check their trails; default: ten minutes",
        run: torture::run,
    },
    Command {
        name: "fuzz",
        modes: &["note", "proof", "cursor", "segment", "ring", "query"],
        usage: "fuzz [--minutes N] [TARGET…]",
        summary: "fuzz the decoders, two minutes each; needs a nightly compiler",
        run: fuzz::run,
    },
];

/// Runs the command in the arguments, or prints the help.
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

/// Returns the command of this name.
pub(crate) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

/// Fails if there are arguments. Commands without arguments call it, so that a mistyped flag is not ignored
/// silently.
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
    fn an_unknown_command_is_refused_with_a_list_of_commands() {
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
