//! A collector's connections for changes in the log: one that streams them, and one for requests.

use std::collections::HashMap;
use std::time::Duration;

use auditx_capture::{Change, Content, Error as CaptureError, Result, Series, Waiting};
use auditx_reader::Moment;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::address::Address;
use crate::blocking::Connect;
use crate::connection::Connection;
use crate::log_changes::{LogChanges, Step};
use crate::log_slot::{REQUEST, database, invalid, slot, start, table, within};
use crate::lsn::Lsn;
use crate::pgoutput::{self, Invalid, Relation};
use crate::replication::{Frame, Replication};
use crate::value::{Jsonb, Timestamptz, Uuid};

const FLUSHED: &str = "SELECT pg_current_wal_flush_lsn()::text";

const IS_VISIBLE: &str = "SELECT pg_visible_in_snapshot($1::text::xid8, pg_current_snapshot())";

/// Stored before it is confirmed: if the slot is ahead of it, the slot was moved or created again.
const CONFIRM: &str = "UPDATE auditx.logical_slot SET confirmed = $1::text::pg_lsn WHERE name = $2";

const RENEW: &str = "UPDATE auditx.logical_slot SET identity = gen_random_uuid() WHERE name = $1";

const REFUSE: &str = "INSERT INTO auditx.outbox_refused (seq, id, at, change, reason) \
     VALUES ($1, $2, $3, $4, $5)";

const KEEPALIVES: &str =
    "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3";

/// The texts of values depend on these.
const FORMATS: &str = "SET datestyle = 'ISO, YMD'; SET timezone = 'UTC'; SET intervalstyle = 'postgres'; \
     SET bytea_output = 'hex'; SET extra_float_digits = 1";

/// How often the server is asked how far it is.
const ASK: Duration = Duration::from_millis(5);

/// A round takes as many changes as were asked for, but not many more bytes than this.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// How often the position is confirmed, which costs a small transaction.
const CONFIRM_INTERVAL: Duration = Duration::from_secs(5);
const CONFIRM_INTERVAL_IDLE: Duration = Duration::from_secs(1);

/// How much of the log without changes of captured tables is kept before it is confirmed.
const UNCONFIRMED: u64 = 1 << 20;

/// The clock of the server may have been set back by so much since the first change that waits.
const CLOCK: Duration = Duration::from_secs(3600);

/// The connections, and how far the log is read.
pub(crate) struct LogSession {
    requests: Connection,
    stream: Replication,
    slot: String,
    series: Series,
    changes: LogChanges,
    /// The tables as the log described them last.
    relations: HashMap<u32, Relation>,
    /// A row that says that changes are missing.
    lost: Option<Waiting>,
    /// The server has sent everything that committed before this position.
    sent_to: Lsn,
    /// The position stored in the database, and the one confirmed to the server afterwards.
    noted: Lsn,
    confirmed: Lsn,
    confirmed_at: Option<Instant>,
    /// Whether changes were recorded since.
    has_recorded: bool,
    /// Rows that were taken and are neither removed nor refused.
    taken: HashMap<i64, Waiting>,
}

impl Connect for LogSession {
    /// Connects, and begins to stream. Only one session can read the slot.
    async fn open(address: &Address) -> Result<Self> {
        let requests = Connection::open(address).await.map_err(CaptureError::database)?;
        // What is noted must not be lost: the slot would seem to be further than it should.
        within(requests.client.batch_execute("SET synchronous_commit = on")).await?;
        within(requests.client.batch_execute(KEEPALIVES)).await?;
        let slot = slot(&requests).await?;
        let mut stream = within(Replication::open(address)).await?;
        let system = within(stream.query("IDENTIFY_SYSTEM")).await?;
        let [Some(system), Some(timeline)] = [0, 1].map(|column| system.first()?.get(column)) else {
            return Err(invalid("no identity"));
        };
        // After a failover or a recovery, the same position may be that of another change.
        let log = format!("{system}/{timeline}/{}/{:?}", slot.database, slot.identity);
        let series = Series::new(log.as_bytes());
        for statement in [FORMATS, KEEPALIVES] {
            within(stream.query(statement)).await?;
        }
        start(&mut stream, &slot.name).await?;
        let mut changes = LogChanges::new(series, slot.confirmed);
        let lost =
            (slot.confirmed > slot.noted).then(|| changes.lost(&slot.name, slot.noted, slot.confirmed));
        Ok(Self {
            requests,
            stream,
            series,
            lost: lost.transpose().map_err(|why| invalid(&why))?,
            changes,
            relations: HashMap::new(),
            sent_to: slot.confirmed,
            noted: slot.noted,
            confirmed: slot.confirmed,
            slot: slot.name,
            confirmed_at: None,
            has_recorded: false,
            taken: HashMap::new(),
        })
    }
}

impl LogSession {
    pub(crate) fn series(&self) -> Series {
        self.series
    }

    /// Whether rows were taken and not removed: then the log must be read again.
    pub(crate) fn has_taken(&self) -> bool {
        !self.taken.is_empty()
    }

    /// Continues after a change that is recorded. Fails if the log does not reach so far: then the database
    /// was restored to an earlier state, and other changes will have the same positions. They get other ids.
    pub(crate) async fn resume(&mut self, position: u64, index: u32) -> Result<()> {
        if Lsn(position) > self.flushed().await? {
            within(self.requests.client.execute(RENEW, &[&self.slot])).await?;
            return Err(CaptureError::database(format!(
                "the database was restored to an earlier state: the trail has a change at {}, after the end of \
                 its log; what is read now is recorded with other ids",
                Lsn(position)
            )));
        }
        self.changes.resume(position, index);
        // The gap was recorded, and perhaps some of what follows it.
        let is_recorded =
            |lost: &Waiting| self.series.place(lost.id).is_some_and(|at| at <= (position, index));
        if self.lost.as_ref().is_some_and(is_recorded) {
            self.lost = None;
            self.has_recorded = true;
        }
        Ok(())
    }

    /// Returns a time before which no entry of what waits was recorded; `None` if nothing waits.
    pub(crate) async fn earliest(&mut self) -> Result<Option<Moment>> {
        let frame = self.next_before(self.flushed().await?).await?;
        let begin = match &frame {
            Some(Frame::Message(message)) => {
                let message = pgoutput::parse(message).map_err(|Invalid(why)| invalid(why))?;
                Some(LogChanges::time_of(&message).unwrap_or(Moment::EPOCH))
            }
            _ => self.lost.is_some().then(Moment::now),
        };
        if let Some(frame) = frame {
            self.stream.give_back(frame);
        }
        Ok(begin.map(|begin| begin.min(Moment::now()).before(CLOCK)))
    }

    /// Returns the position before which everything that committed was read.
    fn read_to(&self) -> Lsn {
        if self.changes.is_in_transaction() {
            return self.changes.read_to;
        }
        self.changes.read_to.max(self.sent_to)
    }

    async fn flushed(&self) -> Result<Lsn> {
        let row = within(self.requests.client.query_one(FLUSHED, &[])).await?;
        Lsn::parse(row.try_get(0).map_err(database)?).ok_or_else(|| invalid("an invalid position"))
    }

    /// Waits for the next message. Returns `None` if all transactions were sent that committed before
    /// `target`.
    async fn next_before(&mut self, target: Lsn) -> Result<Option<Frame>> {
        let deadline = Instant::now() + REQUEST;
        while self.read_to() < target {
            match timeout(ASK, self.stream.next()).await {
                Ok(frame) => {
                    let frame = frame.map_err(CaptureError::database)?;
                    if let Some(message) = self.handled(frame).await? {
                        return Ok(Some(message));
                    }
                }
                Err(_) if Instant::now() > deadline => {
                    return Err(CaptureError::database(format!("PostgreSQL: no answer within {REQUEST:?}")));
                }
                Err(_) => self.tell(true).await?,
            }
        }
        Ok(None)
    }

    /// Handles what is no message of the output plugin.
    async fn handled(&mut self, frame: Frame) -> Result<Option<Frame>> {
        let Frame::Alive { end, wants_reply } = frame else { return Ok(Some(frame)) };
        if !self.changes.is_in_transaction() {
            self.sent_to = self.sent_to.max(end);
        }
        if wants_reply {
            self.tell(false).await?;
        }
        Ok(None)
    }

    async fn tell(&mut self, wants_reply: bool) -> Result<()> {
        within(self.stream.confirm(self.confirmed, wants_reply)).await
    }

    pub(crate) async fn take(&mut self, limit: usize) -> Result<Vec<Waiting>> {
        let mut rows: Vec<Waiting> = self.lost.take().into_iter().collect();
        let (mut bytes, mut target) = (0, None);
        while rows.is_empty() || (rows.len() < limit && bytes < MAX_BYTES) {
            let frame = match self.stream.try_next().map_err(CaptureError::database)? {
                Some(frame) => self.handled(frame).await?,
                None if !rows.is_empty() => break,
                None => {
                    let flushed = match target {
                        Some(flushed) => flushed,
                        None => *target.insert(self.flushed().await?),
                    };
                    if self.changes.is_in_transaction() {
                        // What was sent is known only at its end.
                        let frame = within(self.stream.next()).await?;
                        self.handled(frame).await?
                    } else {
                        let frame = self.next_before(flushed).await?;
                        if frame.is_none() {
                            break;
                        }
                        frame
                    }
                }
            };
            if let Some(Frame::Message(message)) = frame {
                bytes += message.len();
                rows.extend(self.read(&message).await?);
            }
        }
        self.taken.extend(rows.iter().map(|row| (row.key, brief(row))));
        Ok(rows)
    }

    async fn read(&mut self, message: &[u8]) -> Result<Vec<Waiting>> {
        let message = pgoutput::parse(message).map_err(|Invalid(why)| invalid(why))?;
        match self.changes.take(message).map_err(|why| invalid(&why))? {
            Step::Continue => Ok(Vec::new()),
            Step::Changes(rows) => Ok(rows),
            Step::Describe(relation) => {
                self.changes.describe(relation.oid, table(&self.requests, &relation).await?);
                self.relations.insert(relation.oid, relation);
                Ok(Vec::new())
            }
            Step::DescribeAll(transaction) => {
                self.until_visible(transaction).await?;
                for (oid, relation) in &self.relations {
                    self.changes.describe(*oid, table(&self.requests, relation).await?);
                }
                Ok(Vec::new())
            }
        }
    }

    /// Waits until other sessions see what a transaction committed. A commit is in the log first.
    async fn until_visible(&self, transaction: u64) -> Result<()> {
        let (transaction, deadline) = (transaction.to_string(), Instant::now() + REQUEST);
        loop {
            let row = within(self.requests.client.query_one(IS_VISIBLE, &[&transaction])).await?;
            if row.try_get(0).map_err(database)? {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(CaptureError::database(format!(
                    "PostgreSQL: new settings are in the log and not visible after {REQUEST:?}: does the server \
                     wait for a synchronous standby?"
                )));
            }
            sleep(ASK).await;
        }
    }

    pub(crate) async fn remove(&mut self, keys: &[i64]) -> Result<()> {
        for key in keys {
            self.taken.remove(key);
        }
        self.has_recorded = true;
        self.confirm(CONFIRM_INTERVAL).await
    }

    pub(crate) async fn refuse(&mut self, key: i64, reason: &str) -> Result<()> {
        if let Some(row) = self.taken.get(&key) {
            let Content::Change(change) = &row.content else { return Err(invalid("no change")) };
            let noted = serde_json::json!({ "table": change.table, "key": change.key }).to_string();
            let at = Timestamptz::of_unix_micros(change.at.micros());
            let (id, noted) = (Uuid(row.id.into_bytes()), Jsonb(&noted));
            within(self.requests.client.execute(REFUSE, &[&key, &id, &at, &noted, &reason])).await?;
            self.taken.remove(&key);
            self.has_recorded = true;
        }
        Ok(())
    }

    /// Confirms what was read and recorded, so that the server can remove the log before it.
    async fn confirm(&mut self, interval: Duration) -> Result<()> {
        let done = self.read_to();
        let is_worth_it = self.has_recorded || done.0.saturating_sub(self.noted.0) > UNCONFIRMED;
        let is_due = self.confirmed_at.is_none_or(|last| last.elapsed() >= interval);
        if !self.taken.is_empty() || self.lost.is_some() || done <= self.noted || !is_worth_it || !is_due {
            return Ok(());
        }
        let client = &self.requests.client;
        let noted = within(client.execute(CONFIRM, &[&done.to_string(), &self.slot])).await?;
        if noted != 1 {
            return Err(CaptureError::database(format!(
                "the replication slot {} is no longer noted in auditx.logical_slot",
                self.slot
            )));
        }
        (self.noted, self.confirmed, self.has_recorded) = (done, done, false);
        self.confirmed_at = Some(Instant::now());
        self.tell(false).await
    }

    /// Waits until a change may have arrived, or until the time is over.
    pub(crate) async fn wait(&mut self, time: Duration) -> Result<()> {
        self.confirm(CONFIRM_INTERVAL_IDLE).await?;
        let deadline = Instant::now() + time;
        while let Ok(frame) = timeout_at(deadline, self.stream.next()).await {
            let frame = frame.map_err(CaptureError::database)?;
            if let Some(message) = self.handled(frame).await? {
                self.stream.give_back(message);
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Returns a row without its columns, in case it is refused.
fn brief(row: &Waiting) -> Waiting {
    let Content::Change(change) = &row.content else { return row.clone() };
    let mut brief = Change::new(change.at, "", change.table.as_str(), change.operation);
    brief.key.clone_from(&change.key);
    Waiting::new(row.key, row.id, Content::Change(Box::new(brief)))
}
