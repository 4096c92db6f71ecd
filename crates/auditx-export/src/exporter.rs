//! The exporter: a format and its settings, which maps entry after entry into a buffer.

use auditx_format::line::StoredEntry;

use crate::column::Column;
use crate::format::Format;
use crate::framing::Framing;
use crate::settings::Settings;
use crate::view::View;
use crate::{cef, csv, ecs, ocsf, otlp, syslog};

/// Maps entries to one format.
///
/// Settings are set before the first entry; each setter documents its default first. Mapping needs only
/// `&self`, never fails and never panics. An entry costs one pass over its line, one SHA-256 of it (for CSV,
/// only if that column is selected) and a few small allocations besides the output.
#[derive(Debug, Clone)]
pub struct Exporter {
    format: Format,
    settings: Settings,
}

impl Exporter {
    /// Creates an exporter with the default settings.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, settings: Settings::default() }
    }

    /// Default: [`Framing::Newline`]. How syslog messages are delimited; the other formats have lines.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.settings.framing = framing;
        self
    }

    /// Default: this crate's version. The product version in OCSF, CEF and OTLP.
    #[must_use]
    pub fn product_version(mut self, version: impl Into<String>) -> Self {
        self.settings.product_version = version.into();
        self
    }

    /// Default: `auditx`. The `service.name` in ECS and OTLP; use the application's name.
    #[must_use]
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.settings.service_name = name.into();
        self
    }

    /// Default: empty. The hostname of entries that have none.
    #[must_use]
    pub fn default_hostname(mut self, name: impl Into<String>) -> Self {
        self.settings.default_hostname = name.into();
        self
    }

    /// Default: 32473, which RFC 5612 reserves for documentation. The private enterprise number in syslog's
    /// `auditx@32473`.
    #[must_use]
    pub fn enterprise_number(mut self, number: u32) -> Self {
        self.settings.enterprise_number = number;
        self
    }

    /// Default: [`Column::ALL`], which an empty list also selects. The columns of CSV, in this order.
    #[must_use]
    pub fn columns(mut self, columns: impl Into<Vec<Column>>) -> Self {
        self.settings.columns = columns.into();
        if self.settings.columns.is_empty() {
            self.settings.columns = Column::ALL.to_vec();
        }
        self
    }

    /// Default: none. Adds the column `trail` to CSV before all others, for [`Exporter::entry_of`].
    #[must_use]
    pub fn trail_column(mut self) -> Self {
        self.settings.has_trail_column = true;
        self
    }

    /// The format.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Appends the text before the first entry: the line of column names for CSV, nothing for the other
    /// formats.
    pub fn header(&self, out: &mut Vec<u8>) {
        if self.format == Format::Csv {
            csv::header(out, &self.settings);
        }
    }

    /// Appends one entry, with its line ending or framing.
    ///
    /// `line` is the exact stored line without its newline, `entry` the entry parsed from it. If the two
    /// disagree, the fields come from `entry`; values that need the line (its hash, the digits of numbers in
    /// `old_values`) come from `line`.
    pub fn entry(&self, line: &[u8], entry: &StoredEntry, out: &mut Vec<u8>) {
        self.entry_of("", line, entry, out);
    }

    /// Like [`Exporter::entry`], for entries of several trails: each has the name of its own, because the
    /// sequence number is that of a line in one trail. CSV needs [`Exporter::trail_column`].
    pub fn entry_of(&self, trail: &str, line: &[u8], entry: &StoredEntry, out: &mut Vec<u8>) {
        let settings = &self.settings;
        let view = View::new(trail, line, entry, &settings.default_hostname);
        match self.format {
            Format::Ocsf => ocsf::write(out, &view, settings),
            Format::Ecs => ecs::write(out, &view, settings),
            Format::Cef => cef::write(out, &view, settings),
            Format::Syslog => syslog::write(out, &view, line, settings),
            Format::OtlpJson => otlp::write(out, &view, settings),
            Format::Csv => csv::write(out, &view, settings),
        }
    }

    /// Appends the text after the last entry: nothing in the current formats. Call it anyway: a later format
    /// may have an end.
    pub fn footer(&self, _out: &mut Vec<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exporter_can_be_shared_between_threads() {
        fn assert_send_sync<T: Send + Sync>(_: &T) {}
        assert_send_sync(&Exporter::new(Format::Ocsf));
    }
}
