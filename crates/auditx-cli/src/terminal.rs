//! Standard output and standard error: their width, colours, and text that is safe to print on a terminal.
//!
//! Text of entries and names of files come from others. Everything that prints them uses [`sanitized`], so
//! that no entry can send control sequences to a terminal.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anstream::{AutoStream, ColorChoice};
use auditx_format::encode::is_hazard;
use serde::Serialize;

/// Columns if neither the terminal nor `COLUMNS` says how many there are.
const DEFAULT_WIDTH: u16 = 80;

/// Columns of a table that is not printed on a terminal.
const WIDTH_ELSEWHERE: u16 = 120;

/// Returns standard output, which removes colours unless it is a terminal (`NO_COLOR`, `CLICOLOR_FORCE`).
pub(crate) fn output() -> AutoStream<io::StdoutLock<'static>> {
    anstream::stdout().lock()
}

/// Returns `true` if standard output shows colours.
pub(crate) fn has_colours() -> bool {
    AutoStream::choice(&io::stdout()) != ColorChoice::Never
}

pub(crate) fn is_output_a_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Returns the columns of standard output: those of the terminal, else `COLUMNS`, else 80.
pub(crate) fn width() -> u16 {
    let of_terminal = rustix::termios::tcgetwinsize(io::stdout()).ok().map(|size| size.ws_col);
    let of_environment = || std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    of_terminal.filter(|&columns| columns > 0).or_else(of_environment).unwrap_or(DEFAULT_WIDTH)
}

/// `--color`.
#[derive(Debug, clap::Args)]
pub(crate) struct Colours {
    /// When to use colours; auto respects NO_COLOR
    #[arg(long, value_name = "WHEN", value_enum, default_value_t = clap::ColorChoice::Auto)]
    color: clap::ColorChoice,
}

impl Colours {
    /// Returns whether to use colours; with `auto`, what [`has_colours`] returns.
    pub(crate) fn are_wanted(&self) -> bool {
        match self.color {
            clap::ColorChoice::Always => true,
            clap::ColorChoice::Never => false,
            clap::ColorChoice::Auto => has_colours(),
        }
    }
}

/// Returns the columns of a table: those of the terminal, else `COLUMNS`, else enough for every column.
pub(crate) fn table_width() -> u16 {
    let is_set = std::env::var("COLUMNS").is_ok_and(|columns| columns.parse::<u16>().is_ok());
    if is_output_a_terminal() || is_set { width() } else { WIDTH_ELSEWHERE }
}

/// Prints `auditx: message` on standard error.
pub(crate) fn print_message(message: &str) {
    // If standard error is closed, the exit status still reports the failure.
    drop(writeln!(anstream::stderr().lock(), "auditx: {message}"));
}

/// Writes a result as pretty-printed JSON.
pub(crate) fn write_json(out: &mut impl Write, found: &impl Serialize) -> io::Result<()> {
    let json = serde_json::to_string_pretty(found)
        .map_err(|error| io::Error::other(format!("cannot format the result as JSON: {error}")))?;
    writeln!(out, "{json}")
}

/// Writes text to standard output unchanged; on a terminal, control characters are escaped.
pub(crate) fn print_text(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if is_output_a_terminal() {
        text.lines().try_for_each(|line| writeln!(out, "{}", sanitized(line)))?;
    } else {
        out.write_all(text.as_bytes())?;
    }
    out.flush()
}

/// Returns `true` if the user can be asked a question: standard input and standard error are terminals.
pub(crate) fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Returns the text with control characters, bidirectional characters and line ends escaped, so that it is
/// safe on a terminal.
pub(crate) fn sanitized(text: &str) -> String {
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

/// Returns the name by which this program was called, for commands that messages suggest: it may not be in
/// `PATH`.
pub(crate) fn program() -> String {
    std::env::args_os().next().map_or_else(|| "auditx".to_owned(), |name| shell_word(Path::new(&name)))
}

/// Returns a path quoted for a shell.
pub(crate) fn shell_word(path: &Path) -> String {
    let text = path.to_string_lossy();
    let is_plain = !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:@%".contains(&byte));
    if is_plain { text.into_owned() } else { format!("'{}'", sanitized(&text).replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(sanitized("plain ကခဂ"), "plain ကခဂ");
        assert_eq!(sanitized("a\u{1b}[31m\nb\u{202e}c\u{9b}"), "a\\u{1b}[31m\\nb\\u{202e}c\\u{9b}");
    }

    #[test]
    fn a_path_is_quoted_for_a_shell() {
        assert_eq!(shell_word(Path::new("/var/log/erp")), "/var/log/erp");
        assert_eq!(shell_word(Path::new("it's here")), r"'it'\''s here'");
    }
}
