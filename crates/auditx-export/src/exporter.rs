//! What a caller holds: a format with its settings, which maps entry after entry into a buffer.

use auditx_core::StoredEntry;

use crate::column::Column;
use crate::format::Format;
use crate::framing::Framing;
use crate::settings::Settings;
use crate::view::View;
use crate::{cef, csv, ecs, ocsf, otlp, syslog};

/// Maps entries to one format.
///
/// Settings are stated before the first entry; each has its default in its first line. Mapping needs `&self` only, never
/// fails and never panics; an entry costs a pass over its line, one SHA-256 of it (CSV: only with the column of it) and a few
/// small allocations beside what is appended.
#[derive(Debug, Clone)]
pub struct Exporter {
    format: Format,
    settings: Settings,
}

impl Exporter {
    /// With the default settings.
    #[must_use]
    pub fn new(format: Format) -> Self {
        Self { format, settings: Settings::default() }
    }

    /// [`Framing::Newline`] by default: how syslog messages are told apart. Other formats have lines.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.settings.framing = framing;
        self
    }

    /// This crate's version by default: what OCSF, CEF and OTLP give as the version of the product.
    #[must_use]
    pub fn product_version(mut self, version: impl Into<String>) -> Self {
        self.settings.product_version = version.into();
        self
    }

    /// `auditx` by default: `service.name` in ECS and OTLP, best the application's name.
    #[must_use]
    pub fn service_name(mut self, name: impl Into<String>) -> Self {
        self.settings.service_name = name.into();
        self
    }

    /// Empty by default: the host's name for entries that say none.
    #[must_use]
    pub fn default_hostname(mut self, name: impl Into<String>) -> Self {
        self.settings.default_hostname = name.into();
        self
    }

    /// 32473 by default, which RFC 5612 reserves for documentation: the private enterprise number in syslog's `auditx@32473`.
    #[must_use]
    pub fn enterprise_number(mut self, number: u32) -> Self {
        self.settings.enterprise_number = number;
        self
    }

    /// [`Column::ALL`] by default, and where none is given: what CSV has, in this order.
    #[must_use]
    pub fn columns(mut self, columns: impl Into<Vec<Column>>) -> Self {
        self.settings.columns = columns.into();
        if self.settings.columns.is_empty() {
            self.settings.columns = Column::ALL.to_vec();
        }
        self
    }

    /// What it maps to.
    #[must_use]
    pub fn format(&self) -> Format {
        self.format
    }

    /// Appends what stands before the first entry: CSV's line of column names, nothing in the other formats.
    pub fn header(&self, out: &mut Vec<u8>) {
        if self.format == Format::Csv {
            csv::header(out, &self.settings);
        }
    }

    /// Appends one entry, with its end of line or its framing.
    ///
    /// `line` is the exact stored line without its newline, `entry` what was read from it. Where the two do not agree, the
    /// entry is believed, and what needs the line (its hash, digits of numbers in `old_values`) is the line's.
    pub fn entry(&self, line: &[u8], entry: &StoredEntry, out: &mut Vec<u8>) {
        let settings = &self.settings;
        let view = View::new(line, entry, &settings.default_hostname);
        match self.format {
            Format::Ocsf => ocsf::write(out, &view, settings),
            Format::Ecs => ecs::write(out, &view, settings),
            Format::Cef => cef::write(out, &view, settings),
            Format::Syslog => syslog::write(out, &view, line, settings),
            Format::OtlpJson => otlp::write(out, &view, settings),
            Format::Csv => csv::write(out, &view, settings),
        }
    }

    /// Appends what stands behind the last entry: nothing in today's formats.
    /// Call it all the same: one with an end may come.
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
