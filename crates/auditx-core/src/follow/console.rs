//! Entries for people, one line each, coloured on a terminal.

use std::io::Write;

use anstyle::{AnsiColor, Style};

use super::Sink;
use crate::config::Console;
use crate::encode;
use crate::error::HookError;
use crate::line::{RecordedEntry, StoredEntry};
use crate::vocabulary::LogLevel;

pub(super) const NAME: &str = "console";

pub(super) enum ConsoleSink {
    Stdout,
    Stderr,
}

impl ConsoleSink {
    pub(super) fn of(console: Console) -> Option<Self> {
        match console {
            Console::Off => None,
            Console::Stdout => Some(Self::Stdout),
            Console::Stderr => Some(Self::Stderr),
        }
    }
}

impl Sink for ConsoleSink {
    fn take(&mut self, entry: &RecordedEntry<'_>) -> Result<(), HookError> {
        let text = for_people(&entry.parse()?);
        match self {
            Self::Stdout => anstream::stdout().lock().write_all(text.as_bytes())?,
            Self::Stderr => anstream::stderr().lock().write_all(text.as_bytes())?,
        }
        Ok(())
    }
}

/// One entry as a line for people, with ANSI colours: time, level, who, what, and the facts that identify it.
///
/// Control and bidirectional characters in it are escaped.
#[must_use]
pub fn for_people(entry: &StoredEntry) -> String {
    let dim = Style::new().dimmed();
    let level = style_of(&entry.level);
    let mut line =
        format!("{dim}{}{dim:#} {level}{:<8}{level:#} ", entry.timestamp, entry.level).into_bytes();
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
