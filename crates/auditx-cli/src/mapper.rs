//! Entries as another program's schema has them, on several threads.

use std::sync::{Mutex, PoisonError};

use auditx_export::Exporter;
use auditx_reader::{Field, Found, Moment, Zone};

use crate::number::counted;
use crate::terminal::{complain, harmless};

/// Beyond this the places of what could not be mapped are only counted.
const MOST_REPORTED: usize = 20;

/// An exporter, and what it could not take.
#[derive(Debug)]
pub(crate) struct Mapper {
    exporter: Exporter,
    zone: Zone,
    refused: Mutex<Refused>,
}

#[derive(Debug, Default)]
struct Refused {
    count: u64,
    first: Vec<String>,
}

impl Mapper {
    pub(crate) fn new(exporter: Exporter) -> Self {
        Self { exporter, zone: Zone::UTC, refused: Mutex::default() }
    }

    /// The same with times in this zone, in RFC 3339 with their offset. In UTC they stay as they are stored.
    pub(crate) fn in_zone(self, zone: Zone) -> Self {
        Self { zone, ..self }
    }

    /// What stands before the first entry.
    pub(crate) fn header(&self, out: &mut Vec<u8>) {
        self.exporter.header(out);
    }

    /// What stands behind the last.
    pub(crate) fn footer(&self, out: &mut Vec<u8>) {
        self.exporter.footer(out);
    }

    /// One entry. What no schema takes of it is left out, and [`Mapper::tell`] reports it.
    pub(crate) fn render(&self, found: &Found<'_>, out: &mut Vec<u8>) {
        let mut entry = found.row.entry();
        if let Some(moment) = Moment::parse(&entry.timestamp).filter(|_| !self.zone.is_utc()) {
            entry.timestamp = self.zone.rfc3339(moment);
        }
        self.exporter.entry(found.row.line().as_bytes(), &entry, out);
        if entry.amount.is_none() && found.row.has(Field::Amount) {
            self.refuse("an amount of more than 64 characters", found);
        }
    }

    fn refuse(&self, why: &str, found: &Found<'_>) {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.count += 1;
        if refused.first.len() < MOST_REPORTED {
            refused.first.push(format!("{why} ({}, byte {})", found.path.display(), found.offset));
        }
    }

    /// Says on standard error what is missing; whether nothing is.
    pub(crate) fn tell(&self) -> bool {
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for what in &refused.first {
            complain(&format!("left out: {}", harmless(what)));
        }
        if refused.count > 0 {
            complain(&format!("incomplete: {}", counted(refused.count, "line")));
        }
        refused.count == 0
    }
}
