//! Writes entries to standard output or standard error: text for a terminal, or the exact lines for a
//! collector.

mod output;

use std::io::IsTerminal;

use auditx_format::HookError;
use auditx_format::encode;
use auditx_format::line::{RecordedEntry, StoredEntry};
use auditx_format::vocabulary::LogLevel;

use super::Sink;
use crate::config::{self, Console};
use output::{Output, Stream};

pub(super) const NAME: &str = config::CONSOLE;

pub(super) struct ConsoleSink {
    output: Output,
    form: Form,
}

/// ECMA-48, SGR.
const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// The form in which an entry is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Colours,
    PlainText,
    /// The line of the trail, byte for byte.
    Exact,
}

impl ConsoleSink {
    pub(super) fn of(console: Console) -> Option<Self> {
        let (stream, form) = match console {
            Console::Off => return None,
            Console::Stdout => (Stream::Stdout, text_form(&std::io::stdout())),
            Console::Stderr => (Stream::Stderr, text_form(&std::io::stderr())),
            Console::StdoutJson => (Stream::Stdout, Form::Exact),
            Console::StderrJson => (Stream::Stderr, Form::Exact),
        };
        Some(Self { output: Output::new(stream), form })
    }

    /// Whether it writes the bytes of the trail.
    pub(super) fn is_exact(&self) -> bool {
        self.form == Form::Exact
    }
}

/// Terminals get colours unless the environment says otherwise: `NO_COLOR` (no-color.org), `CLICOLOR`,
/// `CLICOLOR_FORCE` (bixense.com/clicolors).
fn text_form(stream: &impl IsTerminal) -> Form {
    let value = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let is_on = |name: &str| value(name).is_some_and(|value| value != "0");
    let is_off = |name: &str| value(name).is_some_and(|value| value == "0");
    let can_show = stream.is_terminal() && value("TERM").is_some_and(|term| term != "dumb");
    let has_colours =
        value("NO_COLOR").is_none() && (is_on("CLICOLOR_FORCE") || (can_show && !is_off("CLICOLOR")));
    if has_colours { Form::Colours } else { Form::PlainText }
}

impl Sink for ConsoleSink {
    fn take(&mut self, entry: &RecordedEntry<'_>) -> Result<(), HookError> {
        let text = match self.form {
            Form::Exact => return Ok(self.output.write(entry.seq(), &[entry.line(), "\n"])?),
            Form::Colours => console_line(&entry.parse()?, true),
            Form::PlainText => console_line(&entry.parse()?, false),
        };
        Ok(self.output.write(entry.seq(), &[&text])?)
    }

    fn is_gone(&self) -> bool {
        self.output.is_gone()
    }
}

/// Returns one entry as a line of text, with ANSI colours if wanted: time, level, user, action, and the
/// fields that identify it.
///
/// Control and bidirectional characters are escaped.
#[must_use]
pub fn console_line(entry: &StoredEntry, has_colours: bool) -> String {
    let [dim, colour, reset] = if has_colours { [DIM, colour_of(&entry.level), RESET] } else { [""; 3] };
    if !entry.erased.is_empty() {
        return format!("{dim}(erased)  line {}{reset}\n", entry.seq);
    }
    // A trail may have been forged: no field reaches the terminal unescaped.
    let (timestamp, level) = (escaped(&entry.timestamp), escaped(&entry.level));
    let mut line = format!("{dim}{timestamp}{reset} {colour}{level:<8}{reset} ").into_bytes();
    let mut part = |prefix: &str, text: &str| {
        if !text.is_empty() {
            line.extend_from_slice(prefix.as_bytes());
            encode::plain_text(&mut line, text);
        }
    };
    part("", &entry.module);
    part(".", &entry.action);
    part("  ", &entry.description);
    part("  user=", &entry.user);
    part(" role=", &entry.user_role);
    part(" company=", &entry.company_id);
    part(" branch=", &entry.branch_id);
    part(" ref=", &entry.reference_no);
    part(" entity=", &entry.entity_type);
    part("/", &entry.entity_id);
    part(" amount=", &entry.amount.as_ref().map(ToString::to_string).unwrap_or_default());
    part(" ", &entry.currency);
    part(" ip=", &entry.ip);
    if !entry.success {
        part(" ", "FAILED");
    }
    line.push(b'\n');
    String::from_utf8_lossy(&line).into_owned()
}

fn escaped(text: &str) -> String {
    let mut escaped = Vec::with_capacity(text.len() + 2);
    encode::plain_text(&mut escaped, text);
    String::from_utf8_lossy(&escaped).into_owned()
}

/// The escape sequence (ECMA-48, SGR) for the colour of a level.
fn colour_of(level: &str) -> &'static str {
    match level.parse::<LogLevel>() {
        Ok(LogLevel::Audit) => "\x1b[32m",
        Ok(LogLevel::Warning) => "\x1b[33m",
        Ok(LogLevel::Error) => "\x1b[31m",
        Ok(LogLevel::Security) => "\x1b[35m",
        Ok(LogLevel::Critical) => "\x1b[1m\x1b[91m",
        Ok(LogLevel::Debug) => "\x1b[90m",
        _ => "\x1b[34m",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_forged_line_is_escaped() {
        let forged = "\u{1b}]0;title\u{7}\u{202e}\n";
        let [mut entry, honest] = [forged, "x"].map(|text| {
            let mut entry = StoredEntry::default();
            for field in [
                &mut entry.timestamp,
                &mut entry.level,
                &mut entry.module,
                &mut entry.action,
                &mut entry.description,
                &mut entry.user,
                &mut entry.user_role,
                &mut entry.company_id,
                &mut entry.branch_id,
                &mut entry.reference_no,
                &mut entry.entity_type,
                &mut entry.entity_id,
                &mut entry.currency,
                &mut entry.ip,
            ] {
                text.clone_into(field);
            }
            entry
        });
        let controls = |entry: &StoredEntry| -> String {
            console_line(entry, true).chars().filter(|c| c.is_control() || *c == '\u{202e}').collect()
        };
        assert_eq!(controls(&entry), controls(&honest), "only the colours and the newline");
        entry.level = "AUDIT".to_owned();
        assert!(
            console_line(&entry, true).contains("\\u001b]0;title\\u0007"),
            "{}",
            console_line(&entry, true)
        );
    }
}
