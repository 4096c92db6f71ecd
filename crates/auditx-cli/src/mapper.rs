//! Converts entries to an export format on several threads.

use std::sync::{Mutex, PoisonError};

use auditx_export::Exporter;
use auditx_reader::{Field, Found, Moment, Zone};

use crate::number::counted;
use crate::terminal::{print_message, sanitized};

/// Further values that were left out are only counted.
const MAX_REPORTED: usize = 20;

/// An exporter that records which values it left out.
#[derive(Debug)]
pub(crate) struct Mapper {
    exporter: Exporter,
    zone: Zone,
    left_out: Mutex<LeftOut>,
}

#[derive(Debug, Default)]
struct LeftOut {
    count: u64,
    first: Vec<String>,
}

impl Mapper {
    pub(crate) fn new(exporter: Exporter) -> Self {
        Self { exporter, zone: Zone::UTC, left_out: Mutex::default() }
    }

    /// Writes times in this zone, in RFC 3339 with their offset. In UTC they stay as stored.
    pub(crate) fn in_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// Writes what precedes the first entry.
    pub(crate) fn header(&self, out: &mut Vec<u8>) {
        self.exporter.header(out);
    }

    /// Writes what follows the last entry.
    pub(crate) fn footer(&self, out: &mut Vec<u8>) {
        self.exporter.footer(out);
    }

    /// Writes one entry, with the name of its trail if there are several. Values that do not fit the format
    /// are left out and reported by [`Mapper::report_left_out`].
    pub(crate) fn render(&self, found: &Found<'_>, trail: Option<&str>, out: &mut Vec<u8>) {
        let mut entry = found.row.entry();
        if let Some(moment) = Moment::parse(&entry.timestamp).filter(|_| !self.zone.is_utc()) {
            entry.timestamp = self.zone.rfc3339(moment);
        }
        self.exporter.entry_of(trail.unwrap_or_default(), found.row.line().as_bytes(), &entry, out);
        if entry.amount.is_none() && found.row.has(Field::Amount) {
            self.leave_out("an amount of more than 64 characters", found);
        }
    }

    fn leave_out(&self, why: &str, found: &Found<'_>) {
        let mut left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        left_out.count += 1;
        if left_out.first.len() < MAX_REPORTED {
            left_out.first.push(format!("{why} ({}, byte {})", found.path.display(), found.offset));
        }
    }

    /// Reports on standard error what was left out. Returns `true` if nothing was.
    pub(crate) fn report_left_out(&self) -> bool {
        let left_out = self.left_out.lock().unwrap_or_else(PoisonError::into_inner);
        for what in &left_out.first {
            print_message(&format!("left out: {}", sanitized(what)));
        }
        if left_out.count > 0 {
            print_message(&format!("incomplete: {}", counted(left_out.count, "line")));
        }
        left_out.count == 0
    }
}
