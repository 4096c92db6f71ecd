//! What is known about where output goes, and how text is made harmless on its way there.

use std::io::{self, IsTerminal, Write};
use std::path::Path;

use anstream::{AutoStream, ColorChoice};

/// Columns where nobody says how many there are.
const DEFAULT_WIDTH: u16 = 80;

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

/// `auditx: message` on standard error.
pub(crate) fn complain(message: &str) {
    // Where standard error is closed there is nobody to tell; the exit status still says it.
    drop(writeln!(anstream::stderr().lock(), "auditx: {message}"));
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

fn is_hazard(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
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
