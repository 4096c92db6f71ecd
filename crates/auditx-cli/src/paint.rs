//! Colours, written straight into bytes where there are any.

use std::io::Write;

use anstyle::{AnsiColor, Style};
use auditx_core::LogLevel;

pub(crate) const DIM: Style = Style::new().dimmed();
pub(crate) const BOLD: Style = Style::new().bold();
/// What was, and what failed.
pub(crate) const RED: Style = AnsiColor::Red.on_default();
/// What became.
pub(crate) const GREEN: Style = AnsiColor::Green.on_default();

/// Text in a colour, where there are colours.
pub(crate) fn paint<T>(
    has_colours: bool,
    style: Style,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> T,
) -> T {
    if !has_colours {
        return write(out);
    }
    let begin = out.len();
    extend(out, format_args!("{style}"));
    let painted = out.len();
    let given = write(out);
    if out.len() == painted {
        out.truncate(begin);
    } else {
        extend(out, format_args!("{style:#}"));
    }
    given
}

fn extend(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Memory takes whatever is written.
    drop(out.write_fmt(text));
}

/// How grave it is, in a colour.
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
