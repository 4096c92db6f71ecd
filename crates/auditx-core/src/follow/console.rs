//! Entries on standard output or standard error: text for people, or the exact lines for a collector.

mod output;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use super::Sink;
use crate::config::Console;
use crate::encode;
use crate::error::HookError;
use crate::line::{RecordedEntry, StoredEntry};
use crate::vocabulary::LogLevel;
use output::{Output, Stream};

pub(super) const NAME: &str = "console";

pub(super) struct ConsoleSink {
    output: Output,
    form: Form,
}

/// How an entry is shown.
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
            Console::Stdout => (Stream::Stdout, for_people_on(AutoStream::choice(&std::io::stdout()))),
            Console::Stderr => (Stream::Stderr, for_people_on(AutoStream::choice(&std::io::stderr()))),
            Console::StdoutJson => (Stream::Stdout, Form::Exact),
            Console::StderrJson => (Stream::Stderr, Form::Exact),
        };
        Some(Self { output: Output::new(stream), form })
    }

    /// Whether it shows the bytes of the trail.
    pub(super) fn is_exact(&self) -> bool {
        self.form == Form::Exact
    }
}

fn for_people_on(choice: ColorChoice) -> Form {
    if choice == ColorChoice::Never { Form::PlainText } else { Form::Colours }
}

impl Sink for ConsoleSink {
    fn take(&mut self, entry: &RecordedEntry<'_>) -> Result<(), HookError> {
        let text = match self.form {
            Form::Exact => return Ok(self.output.write(entry.seq(), &[entry.line(), "\n"])?),
            Form::Colours => for_people(&entry.parse()?),
            Form::PlainText => anstream::adapter::strip_str(&for_people(&entry.parse()?)).to_string(),
        };
        Ok(self.output.write(entry.seq(), &[&text])?)
    }

    fn is_gone(&self) -> bool {
        self.output.is_gone()
    }
}

/// One entry as a line for people, with ANSI colours: time, level, who, what, and the facts that identify it.
///
/// Control and bidirectional characters in it are escaped.
#[must_use]
pub fn for_people(entry: &StoredEntry) -> String {
    let (dim, colour) = (Style::new().dimmed(), style_of(&entry.level));
    if !entry.erased.is_empty() {
        return format!("{dim}(erased)  line {}{dim:#}\n", entry.seq);
    }
    // A trail may have been forged: nothing in a line reaches the terminal as it is.
    let (timestamp, level) = (escaped(&entry.timestamp), escaped(&entry.level));
    let mut line = format!("{dim}{timestamp}{dim:#} {colour}{level:<8}{colour:#} ").into_bytes();
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

fn style_of(level: &str) -> Style {
    let colour = match level.parse::<LogLevel>() {
        Ok(LogLevel::Audit) => AnsiColor::Green,
        Ok(LogLevel::Warning) => AnsiColor::Yellow,
        Ok(LogLevel::Error) => AnsiColor::Red,
        Ok(LogLevel::Security) => AnsiColor::Magenta,
        Ok(LogLevel::Critical) => return AnsiColor::BrightRed.on_default().bold(),
        Ok(LogLevel::Debug) => AnsiColor::BrightBlack,
        _ => AnsiColor::Blue,
    };
    colour.on_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_field_of_a_forged_line_reaches_the_terminal_unescaped() {
        let forged = "\u{1b}]0;title\u{7}\u{202e}\n";
        let [mut entry, honest] = [forged, "x"].map(|text| {
            let text = || text.to_owned();
            StoredEntry {
                timestamp: text(),
                level: text(),
                module: text(),
                action: text(),
                description: text(),
                user: text(),
                user_role: text(),
                company_id: text(),
                branch_id: text(),
                reference_no: text(),
                entity_type: text(),
                entity_id: text(),
                currency: text(),
                ip: text(),
                ..StoredEntry::default()
            }
        });
        let controls = |entry: &StoredEntry| -> String {
            for_people(entry).chars().filter(|c| c.is_control() || *c == '\u{202e}').collect()
        };
        assert_eq!(controls(&entry), controls(&honest), "its own colours and the newline");
        entry.level = "AUDIT".to_owned();
        assert!(for_people(&entry).contains("\\u001b]0;title\\u0007"), "{}", for_people(&entry));
    }
}
