//! `auditx capture status`: what is captured in a database, and what waits.

use std::io::Write;

use serde::Serialize;

use crate::database::{self, Captured, Database, Ddl};
use crate::failure::{Failure, Status};
use crate::number::{counted, grouped};
use crate::selection::span;
use crate::terminal::{self, sanitized};

/// Show which tables are captured, and how many changes wait for a trail
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The database
    #[arg(long = "to", value_name = "URL")]
    to: Database,
    /// Exit with status 1 if a change waits for longer than this: 5m, 1h
    #[arg(long, value_name = "SPAN", default_value = "5m")]
    max_lag: String,
    /// Exit with status 1 if the server keeps more of its log for the collector than this, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024)]
    max_retained: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  auditx capture status --to postgres://admin@db/erp
  auditx capture status --to postgres://admin@db/erp --max-lag 1m || alarm
  auditx capture status --to postgres://admin@db/erp --json | jq .waiting

Exit status: 0 up to date, 1 a change waits longer than --max-lag, a table is not captured completely, an
event trigger is disabled, or the replication slot is missing or keeps too much, 2 an error";

#[derive(Debug, Serialize)]
struct Found {
    healthy: bool,
    /// The number of changes that wait for a trail.
    waiting: u64,
    /// The age of the oldest of them.
    lag_seconds: Option<u64>,
    tables: Vec<Table>,
    /// What is noted of commands, roles and rights: "off", "roles", "disabled" or "on".
    ddl: &'static str,
    /// The replication slot, if tables are captured from the log.
    slot: Option<Slot>,
}

#[derive(Debug, Serialize)]
struct Slot {
    name: String,
    /// Whether it has all changes that were not read yet.
    complete: bool,
    /// Whether a collector reads it now.
    read: bool,
    /// What the server keeps of its log.
    retained_bytes: u64,
    /// What of the log was not read and recorded yet.
    waiting_bytes: u64,
}

impl From<database::Slot> for Slot {
    fn from(slot: database::Slot) -> Self {
        Self {
            name: slot.name,
            complete: slot.is_there,
            read: slot.is_read,
            retained_bytes: slot.retained,
            waiting_bytes: slot.waiting,
        }
    }
}

#[derive(Debug, Serialize)]
struct Table {
    table: String,
    entity_type: String,
    module: String,
    key: Vec<String>,
    exclude: Vec<String>,
    mask: Vec<String>,
    active: bool,
    from_log: bool,
}

impl From<Captured> for Table {
    fn from(table: Captured) -> Self {
        Self {
            table: table.table,
            entity_type: table.entity_type,
            module: table.module,
            key: table.key,
            exclude: table.exclude,
            mask: table.mask,
            active: table.is_active,
            from_log: table.is_from_log,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    let max_lag = span(&arguments.max_lag)?;
    let status = arguments.to.status()?;
    let is_late = status.oldest.is_some_and(|oldest| oldest > max_lag);
    let max_retained = arguments.max_retained.saturating_mul(1 << 20);
    let is_slot_healthy =
        status.slot.as_ref().is_none_or(|slot| slot.is_there && slot.retained <= max_retained);
    let found = Found {
        healthy: !is_late
            && is_slot_healthy
            && status.ddl != Ddl::Disabled
            && status.tables.iter().all(|table| table.is_active),
        waiting: status.waiting,
        lag_seconds: status.oldest.map(|oldest| oldest.as_secs()),
        tables: status.tables.into_iter().map(Table::from).collect(),
        ddl: match status.ddl {
            Ddl::On => "on",
            Ddl::Roles => "roles",
            Ddl::Disabled => "disabled",
            _ => "off",
        },
        slot: status.slot.map(Slot::from),
    };
    let mut out = terminal::output();
    if arguments.json {
        terminal::write_json(&mut out, &found)?;
    } else {
        found.write(&mut out)?;
    }
    out.flush()?;
    Ok(if found.healthy { Status::Success } else { Status::Negative })
}

impl Found {
    fn write(&self, out: &mut impl Write) -> Result<(), Failure> {
        if self.tables.is_empty() {
            writeln!(out, "No table is captured: start with `auditx capture enable`.")?;
        }
        for table in &self.tables {
            write!(out, "{}: module {}", sanitized(&table.table), sanitized(&table.module))?;
            for (what, columns) in
                [("key", &table.key), ("excluded", &table.exclude), ("masked", &table.mask)]
            {
                if !columns.is_empty() {
                    write!(out, ", {what} {}", sanitized(&columns.join(",")))?;
                }
            }
            let state = match (table.from_log, table.active) {
                (false, true) => ".",
                (false, false) => "; its trigger is disabled.",
                (true, true) => ", from the log.",
                (true, false) => {
                    ", from the log, which lacks some of its changes: run `auditx capture enable --logical` \
                     again, with the same --key, --mask and --exclude."
                }
            };
            writeln!(out, "{state}")?;
        }
        if let Some(slot) = &self.slot {
            slot.write(out)?;
        }
        match self.ddl {
            "on" => writeln!(out, "Commands, roles and rights are noted.")?,
            "roles" => writeln!(out, "Roles and rights are noted, commands are not.")?,
            "disabled" => writeln!(
                out,
                "Roles and rights are noted. Commands are not: an event trigger was disabled or dropped. Run \
                 `auditx capture enable --ddl` again."
            )?,
            _ => {}
        }
        match self.lag_seconds {
            None => writeln!(out, "No change waits.")?,
            Some(lag) => {
                writeln!(out, "{} waiting, the oldest for {lag} s.", counted(self.waiting, "change"))?;
            }
        }
        Ok(())
    }
}

impl Slot {
    fn write(&self, out: &mut impl Write) -> Result<(), Failure> {
        let name = sanitized(&self.name);
        if !self.complete {
            writeln!(
                out,
                "The replication slot {name} is missing or invalid, so changes may be lost. To create it \
                 again, run `auditx capture enable --logical` for one of its tables, with the same settings."
            )?;
            return Ok(());
        }
        let reader = if self.read { "a collector reads it" } else { "no collector reads it" };
        writeln!(
            out,
            "The replication slot {name} keeps {} of the log, of which {} wait; {reader}.",
            counted(self.retained_bytes, "byte"),
            grouped(self.waiting_bytes)
        )?;
        Ok(())
    }
}
