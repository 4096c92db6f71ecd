//! The commands of `cargo xtask`, in one table for the help and the documentation check.

use crate::failure::Failure;

/// A command.
#[derive(Debug)]
pub(crate) struct Command {
    pub(crate) name: &'static str,
    /// The words that may follow the name; empty if the command takes none.
    pub(crate) modes: &'static [&'static str],
    usage: &'static str,
    summary: &'static str,
}

pub(crate) const COMMANDS: &[Command] = &[
    Command { name: "setup", modes: &[], usage: "setup", summary: "install the tools that the tests need" },
    Command {
        name: "test",
        modes: &[],
        usage: "test [ARGS…]",
        summary: "run setup, then all tests of the workspace; ARGS are passed to cargo test",
    },
    Command { name: "ci", modes: &[], usage: "ci", summary: "run all checks of CI in order" },
    Command {
        name: "docs",
        modes: &[],
        usage: "docs",
        summary: "check that paths and commands in the documents exist",
    },
    Command {
        name: "bench",
        modes: &[
            "record",
            "processes",
            "durable",
            "performance",
            "http",
            "verify",
            "read",
            "ui",
            "ship",
            "capture",
            "open",
            "witness",
        ],
        usage: "bench record|processes|durable|performance|http|verify|read|ui|ship|capture|open|witness [--json] [ARGS…]",
        summary: "compare auditx with other programs; ARGS are passed to auditx-bench",
    },
    Command {
        name: "miri",
        modes: &[],
        usage: "miri",
        summary: "run the ring's tests under Miri, if a nightly compiler with Miri is installed",
    },
    Command {
        name: "torture",
        modes: &[],
        usage: "torture [--minutes N]",
        summary: "kill recording processes at random times and check their trails; default: ten minutes",
    },
    Command {
        name: "fuzz",
        modes: &["note", "proof", "cursor", "segment", "ring", "query", "stamp"],
        usage: "fuzz [--minutes N] [TARGET…]",
        summary: "fuzz the decoders, two minutes each; needs a nightly compiler",
    },
];

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

/// Returns the list of the commands.
pub(crate) fn help() -> String {
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
    fn a_command_without_arguments_refuses_them() {
        assert!(refuse_arguments("ci", &[]).is_ok());
        assert!(refuse_arguments("ci", &["--fast".to_owned()]).is_err());
    }
}
