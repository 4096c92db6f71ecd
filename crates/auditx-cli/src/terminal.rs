//! What is known about where output goes, and how text is made harmless on its way there.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use auditx_core::is_hazard;
use serde::Serialize;

use crate::failure::Failure;

/// Columns where nobody says how many there are.
const DEFAULT_WIDTH: u16 = 80;

/// Columns of a table that goes to no terminal.
const WIDTH_ELSEWHERE: u16 = 120;

/// Standard output, which passes colours on to a terminal and takes them out elsewhere (`NO_COLOR`, `CLICOLOR_FORCE`).
pub(crate) fn output() -> AutoStream<io::StdoutLock<'static>> {
    anstream::stdout().lock()
}

/// Whether colours reach the reader of standard output.
pub(crate) fn has_colours() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

pub(crate) fn is_output_a_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Columns of standard output: the terminal's, else those `COLUMNS` says, else 80.
pub(crate) fn width() -> u16 {
    let of_terminal = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col);
    let of_environment = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    of_terminal.filter(|&columns| columns > 0).or_else(of_environment).unwrap_or(DEFAULT_WIDTH)
}

/// Whether they are to reach it, as the command line has it.
#[derive(Debug, clap::Args)]
pub(crate) struct Colours {
    /// When to use colours; auto heeds NO_COLOR
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = clap::ColorChoice::Auto)]
    color: clap::ColorChoice,
}

impl Colours {
    /// Where nothing is said, as [`has_colours`].
    pub(crate) fn are_wanted(&self) -> bool {
        match self.color {
            clap::ColorChoice::Always => true,
            clap::ColorChoice::Never => false,
            clap::ColorChoice::Auto => has_colours(),
        }
    }
}

/// Columns for a table: the terminal's; elsewhere those `COLUMNS` says, else enough for every column.
pub(crate) fn table_width() -> u16 {
    let is_said = std::env::var("COLUMNS").is_ok_and(|columns| columns.parse::<u16>().is_ok());
    if is_output_a_terminal() || is_said { width() } else { WIDTH_ELSEWHERE }
}

/// `auditx: message` on standard error.
pub(crate) fn complain(message: &str) {
    // Where standard error is closed there is nobody to tell; the exit status still says it.
    drop(writeln!(anstream::stderr().lock(), "auditx: {message}"));
}

/// What a command found, as programs read it.
pub(crate) fn write_json(out: &mut impl Write, found: &impl Serialize) -> Result<(), Failure> {
    let json = serde_json::to_string_pretty(found)
        .map_err(|error| Failure::said(format!("cannot say it in JSON: {error}")))?;
    Ok(writeln!(out, "{json}")?)
}

/// A text that programs read, exactly as it is; a terminal gets it with what could steer it escaped.
pub(crate) fn give(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    if is_output_a_terminal() {
        text.lines().try_for_each(|line| writeln!(out, "{}", harmless(line)))?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    Ok(out.flush()?)
}

/// Whether somebody is there to be asked.
pub(crate) fn is_somebody_there() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks on standard error; anything but a yes is a no.
pub(crate) fn confirm(question: &str) -> Result<bool, Failure> {
    let mut answer = String::new();
    write!(anstream::stderr().lock(), "{question} [y/N] ")?;
    io::stdin()
        .lock()
        .read_line(&mut answer)
        .map_err(|error| Failure::said(format!("cannot read the answer: {error}")))?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Text from a file or a file's name, so that it cannot steer a terminal: control and bidirectional characters are
/// escaped, line ends too.
pub(crate) fn harmless(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hazard(c) {
            safe.extend(c.escape_default());
        } else {
            safe.push(c);
        }
    }
    safe
}

/// How this program was called, so that what is suggested can be typed: it may not be where the shell looks.
pub(crate) fn program() -> String {
    std::env::args_os().next().map_or_else(|| "auditx".to_owned(), |name| shell_word(Path::new(&name)))
}

/// A path as a word for a shell.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:@%".contains(&byte));
    if is_plain { text.into_owned() } else { format!("'{}'", harmless(&text).replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_steer_a_terminal_is_escaped() {
        assert_eq!(harmless("plain ကခဂ"), "plain ကခဂ");
        assert_eq!(harmless("a\u{1b}[31m\nb\u{202e}c\u{9b}"), "a\\u{1b}[31m\\nb\\u{202e}c\\u{9b}");
    }

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        assert_eq!(shell_word(Path::new("/var/log/erp")), "/var/log/erp");
        assert_eq!(shell_word(Path::new("it's here")), r"'it'\''s here'");
    }
}
