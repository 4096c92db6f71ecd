//! The project's development commands, `cargo xtask COMMAND`. Developers, the CI script and hosted runners
//! run the same steps.
//!
//! The exit status is zero only if all steps passed. Except for `miri`, no step is skipped because a tool is
//! missing.

mod failure;
mod workspace;
mod command;
mod setup;
mod test;
mod deny;
mod docs;
mod miri;
mod ci;
mod bench;
mod fuzz;
mod torture;

use std::process::ExitCode;

use failure::Failure;
use workspace::Workspace;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

type Run = fn(&Workspace, &[String]) -> Result<(), Failure>;

/// Returns the function of a command in [`command::COMMANDS`].
fn function_of(name: &str) -> Option<Run> {
    Some(match name {
        "setup" => setup::run,
        "test" => test::run,
        "ci" => ci::run,
        "docs" => docs::run,
        "bench" => bench::run,
        "miri" => miri::run,
        "torture" => torture::run,
        "fuzz" => fuzz::run,
        _ => return None,
    })
}

/// Runs the command in the arguments, or prints the help.
fn dispatch(arguments: &[String]) -> Result<(), Failure> {
    let Some((name, rest)) = arguments.split_first() else {
        return Err(Failure::new(format!("no command given\n\n{}", command::help())));
    };
    if matches!(name.as_str(), "help" | "--help" | "-h") {
        println!("{}", command::help());
        return Ok(());
    }
    let Some(run) = function_of(name) else {
        return Err(Failure::new(format!("no command `{name}`\n\n{}", command::help())));
    };
    run(&Workspace::locate()?, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_its_function() {
        assert!(command::COMMANDS.iter().all(|command| function_of(command.name).is_some()));
    }

    #[test]
    fn an_unknown_command_is_refused_with_the_help() {
        let failure = dispatch(&["tset".to_owned()]).unwrap_err().to_string();
        assert_eq!(failure, format!("no command `tset`\n\n{}", command::help()));
    }
}
