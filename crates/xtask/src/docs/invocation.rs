//! Checks the commands in documents: the tasks, packages, targets and subcommands of `cargo …` and `auditx
//! …`.
//!
//! No command from a document is ever executed. Only `auditx WORDS --help` is, with plain words.

use super::project::Project;
use crate::command;

/// Checks that the task, package and target of each cargo call in the line exist.
pub(super) fn cargo(project: &Project, line: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for call in calls(line) {
        let Some(at) = call.iter().position(|word| *word == "cargo") else { continue };
        let arguments: Vec<&str> =
            call[at + 1..].iter().copied().skip_while(|word| word.starts_with('+')).collect();
        match arguments.split_first() {
            Some((&"xtask", rest)) => complaints.extend(task(rest)),
            Some((_, rest)) => complaints.extend(cargo_options(project, rest)),
            None => {}
        }
    }
    complaints
}

/// Checks that the binary knows the subcommand of each `auditx` call in the line.
pub(super) fn auditx(project: &Project, line: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    for call in calls(line) {
        let mut words = call.iter().skip_while(|word| matches!(**word, "sudo" | "$") || is_assignment(word));
        if words.next() == Some(&"auditx") {
            let arguments: Vec<&str> = words.copied().collect();
            complaints.extend(subcommand(project, &arguments));
        }
    }
    complaints
}

/// Splits a line into its commands, each as words without quotes.
fn calls(line: &str) -> Vec<Vec<&str>> {
    let code = line.find(" # ").map_or(line, |comment| &line[..comment]);
    let strip = |word: &'_ str| -> bool { !word.is_empty() && word != "\\" };
    code.split(['|', ';', '(', ')', '&', '>', '<'])
        .map(|call| {
            call.split_whitespace()
                .map(|word| word.trim_matches(['"', '\'', '`', ',']))
                .filter(|w| strip(w))
                .collect()
        })
        .collect()
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| name.chars().all(|c| c.is_ascii_uppercase() || c == '_'))
}

fn is_word(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_lowercase())
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

fn task(arguments: &[&str]) -> Option<String> {
    let (name, rest) = arguments.split_first()?;
    if !is_word(name) {
        return None;
    }
    let Some(command) = command::find(name) else {
        let names: Vec<&str> = command::COMMANDS.iter().map(|command| command.name).collect();
        return Some(format!("runs the task {name}, which does not exist, use one of: {}", names.join(", ")));
    };
    let mode = rest.first().filter(|mode| is_word(mode) && !command.modes.is_empty())?;
    let unknown = !command.modes.contains(mode);
    unknown.then(|| {
        format!("runs `{name} {mode}`, which does not exist, use one of: {}", command.modes.join(", "))
    })
}

fn cargo_options(project: &Project, arguments: &[&str]) -> Vec<String> {
    let end = arguments.iter().position(|word| *word == "--").unwrap_or(arguments.len());
    let (options, rest) = arguments.split_at(end);
    let mut complaints = Vec::new();
    let package = value(options, &["-p", "--package"]);
    if let Some(name) = package
        && is_word(name)
        && project.package(name).is_none()
    {
        complaints.push(format!("names the package {name}, which does not exist, correct the name"));
        return complaints;
    }
    for kind in ["bin", "example", "test", "bench"] {
        let flag = format!("--{kind}");
        let Some(name) = value(options, &[flag.as_str()]).filter(|name| is_word(&name.replace('_', "-")))
        else {
            continue;
        };
        let mut searched =
            project.packages.iter().filter(|candidate| package.is_none_or(|p| p == candidate.name));
        if !searched.any(|candidate| candidate.targets.iter().any(|t| t.kind == kind && t.name == name)) {
            complaints.push(format!("names the {kind} {name}, which does not exist, correct the name"));
        }
    }
    if package == Some("auditx-cli") && rest.len() > 1 {
        complaints.extend(subcommand(project, &rest[1..]));
    }
    complaints
}

/// Returns the value of one of these flags, after it or after its `=`.
fn value<'a>(options: &[&'a str], flags: &[&str]) -> Option<&'a str> {
    options.iter().enumerate().find_map(|(at, option)| match option.split_once('=') {
        Some((name, value)) => flags.contains(&name).then_some(value),
        None if flags.contains(option) => options.get(at + 1).copied(),
        None => None,
    })
}

/// Checks that the binary knows the subcommand, and a nested subcommand if it has any.
fn subcommand(project: &Project, arguments: &[&str]) -> Option<String> {
    let mut words = arguments;
    while let Some((option, rest)) = words.split_first().filter(|(word, _)| word.starts_with('-')) {
        let (name, attached) = option.split_once('=').map_or((*option, false), |(name, _)| (name, true));
        let help = (project.help)(&[]).unwrap_or_default();
        let Some(takes_value) = described(&help, name) else {
            return Some(format!(
                "passes the option {name} to auditx, which `auditx --help` does not list, correct the option"
            ));
        };
        words = if takes_value && !attached { rest.get(1..).unwrap_or_default() } else { rest };
    }
    let name = words.first().filter(|word| is_word(word))?;
    let unknown = |spelled: String| {
        Some(format!("runs `auditx {spelled}`, which the binary does not know, see `auditx --help`"))
    };
    let listed = (project.help)(&[]).is_some_and(|help| has_command(&help, name));
    let Some(help) = (project.help)(&[name]).filter(|_| listed) else { return unknown((*name).to_owned()) };
    let below = words.get(1).filter(|word| is_word(word) && help.contains("Commands:"))?;
    if has_command(&help, below) { None } else { unknown(format!("{name} {below}")) }
}

/// Returns whether the help lists this subcommand.
fn has_command(help: &str, name: &str) -> bool {
    let listed = help.lines().skip_while(|line| line.trim() != "Commands:").skip(1);
    listed
        .take_while(|line| !line.trim().is_empty())
        .any(|line| line.starts_with("  ") && line.split_whitespace().next() == Some(name))
}

/// Returns whether this option takes a value. `None` if the help does not list it.
fn described(help: &str, option: &str) -> Option<bool> {
    help.lines().find_map(|line| {
        let mut words = line.split_whitespace().map(|word| word.trim_end_matches(','));
        let names: Vec<&str> = words.by_ref().take_while(|word| word.starts_with('-')).collect();
        let value = line.split_whitespace().nth(names.len()).is_some_and(|word| word.starts_with('<'));
        names.contains(&option).then_some(value)
    })
}
