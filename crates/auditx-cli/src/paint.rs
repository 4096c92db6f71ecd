//! Colours of tables and diffs, written directly into the output buffer.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use auditx_core::LogLevel;

pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();
/// Old values and failures.
pub(crate) const RED: Style = AnsiColor::Red.on_default();
/// New values.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();

/// Writes text in a style if colours are enabled. If nothing is written, no style is written either.
pub(crate) fn paint<T>(
    has_colours: bool,
    style: Style,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> T,
) -> T {
    if !has_colours {
        return write(out);
    }
    let start = out.len();
    extend(out, format_args!("{style}"));
    let painted = out.len();
    let returned = write(out);
    if out.len() == painted {
        out.truncate(start);
    } else {
        extend(out, format_args!("{style:#}"));
    }
    returned
}

fn extend(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to a vector cannot fail.
    drop(out.write_fmt(text));
}

/// Returns the style of a level.
pub(crate) fn style_of_level(level: &str) -> Style {
    match level.parse::<LogLevel>() {
        Ok(LogLevel::Audit) => AnsiColor::Green.on_default(),
        Ok(LogLevel::Warning) => AnsiColor::Yellow.on_default(),
        Ok(LogLevel::Error) => AnsiColor::Red.on_default(),
        Ok(LogLevel::Security) => AnsiColor::Magenta.on_default(),
        Ok(LogLevel::Critical) => AnsiColor::Red.on_default().bold(),
        Ok(LogLevel::Debug) => DIM,
        _ => Style::new(),
    }
}
