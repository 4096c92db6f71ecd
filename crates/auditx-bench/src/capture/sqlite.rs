//! Collects from SQLite, in both of its journal modes.

use std::path::Path;
use std::time::Instant;

use auditx_capture::Collector;
use auditx_core::{AuditLogger, Config};
use auditx_sqlite::{SqliteOutbox, init, store};
use rusqlite::Connection;

use super::{DelayRow, Options, RateRow, change, collected, rate};
use crate::Outcome;

/// The subjects and their journal modes.
const SUBJECTS: [(&str, &str); 2] = [("sqlite-wal", "WAL"), ("sqlite-rollback-journal", "DELETE")];

fn opened(directory: &Path, journal_mode: &str) -> Outcome<(Connection, AuditLogger)> {
    let connection = Connection::open(directory.join("erp.db"))?;
    connection.pragma_update(None, "journal_mode", journal_mode)?;
    init(&connection)?;
    Ok((connection, AuditLogger::open(Config::new(directory.join("logs")))?))
}

pub(super) fn delays(options: &Options) -> Outcome<Vec<DelayRow>> {
    let delays = |(subject, journal_mode)| {
        let directory = options.repetition.directory()?;
        let (mut connection, logger) = opened(directory.path(), journal_mode)?;
        let collector = Collector::spawn(&logger, SqliteOutbox::open(directory.path().join("erp.db"))?)?;
        super::delays(subject, &collector, |number| {
            let transaction = connection.transaction()?;
            store(&transaction, &change(&logger, number)?)?;
            Ok(transaction.commit()?)
        })
    };
    SUBJECTS.into_iter().map(delays).collect()
}

pub(super) fn rates(options: &Options) -> Outcome<Vec<RateRow>> {
    let mut seconds = SUBJECTS.map(|_| Vec::new());
    for round in 1..=options.repetition.runs {
        for ((subject, journal_mode), seconds) in SUBJECTS.into_iter().zip(&mut seconds) {
            eprintln!("run {round} of {}: {subject}", options.repetition.runs);
            let directory = options.repetition.directory()?;
            let (mut connection, logger) = opened(directory.path(), journal_mode)?;
            let transaction = connection.transaction()?;
            for number in 0..options.changes {
                store(&transaction, &change(&logger, number)?)?;
            }
            transaction.commit()?;
            let begin = Instant::now();
            let outbox = SqliteOutbox::open(directory.path().join("erp.db"))?;
            let collector = Collector::spawn(&logger, outbox)?;
            seconds.push(collected(&collector, options.changes, begin)?);
        }
    }
    let rows = SUBJECTS.into_iter().zip(&seconds);
    Ok(rows.map(|((subject, _), seconds)| rate(subject, options.changes, seconds)).collect())
}
