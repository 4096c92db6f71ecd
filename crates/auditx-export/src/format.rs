//! The output formats and their names.

use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// An output format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// [OCSF](https://schema.ocsf.io/1.6.0) events, one compact JSON object per line.
    Ocsf,
    /// [ECS](https://www.elastic.co/guide/en/ecs/current/index.html) documents, one compact JSON object per
    /// line.
    Ecs,
    /// `CEF:0` records, one per line, without a syslog header.
    Cef,
    /// RFC 5424 messages, each followed by a newline or preceded by its length.
    Syslog,
    /// OTLP logs in JSON: each line is a complete `ExportLogsServiceRequest`, as OTLP/HTTP and the file
    /// receiver of a collector accept it.
    OtlpJson,
    /// RFC 4180 records after a line of column names.
    Csv,
}

impl Format {
    /// All formats.
    pub const ALL: [Self; 6] = [Self::Ocsf, Self::Ecs, Self::Cef, Self::Syslog, Self::OtlpJson, Self::Csv];

    /// The name on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ocsf => "ocsf",
            Self::Ecs => "ecs",
            Self::Cef => "cef",
            Self::Syslog => "syslog",
            Self::OtlpJson => "otlp-json",
            Self::Csv => "csv",
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = Error;

    /// Parses a name in any case. `is_invalid` for any other text.
    fn from_str(text: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| Error::unknown("format", text, Self::ALL.map(Self::as_str)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_parse_in_any_case_and_display_their_names() {
        for format in Format::ALL {
            assert_eq!(format.to_string().to_uppercase().parse::<Format>().unwrap(), format);
        }
        let error = "leef".parse::<Format>().unwrap_err();
        assert!(error.is_invalid());
        assert_eq!(
            error.to_string(),
            r#"unknown format "leef": expected one of ocsf, ecs, cef, syslog, otlp-json, csv"#
        );
    }
}
