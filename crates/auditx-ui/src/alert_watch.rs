//! The thread of one alert: reads new lines, and posts and records what matched.

use std::ops::ControlFlow;
use std::path::Path;
use std::pin::pin;
use std::time::{Duration, Instant};

use auditx_core::format::control_record::StoredRecord;
use auditx_core::store::{Cursor, TrailReader};
use auditx_core::{AuditLogger, Error};
use auditx_reader::{Lines, Moment, Order, Row, Search};
use auditx_tlog::to_hex;
use futures_util::future::{Either, select};
use serde_json::json;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use crate::firing::{Matches, Outcome, firings, firings_of};
use crate::saved::{Alert, SavedQuery};
use crate::source::Member;

/// The interval at which an idle trail is read; each time costs two system calls.
const POLL: Duration = Duration::from_millis(250);

/// The number of lines that are read before it is decided whether to post.
const ROUND: usize = 10_000;

/// The shortest interval at which a cursor is saved while nothing matches: each save costs an fdatasync.
const CURSOR_INTERVAL: Duration = Duration::from_secs(10);

/// The number of attempts to send a post. If all fail, that is recorded, and the next post is due after
/// `at_most_every`.
const ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How long recording a firing may continue after the alert was stopped.
const GRACE: Duration = Duration::from_secs(5);

/// Follows a trail for one alert.
pub(crate) struct AlertWatch {
    query: SavedQuery,
    alert: Alert,
    /// The name of the cursor, and of posts.
    id: String,
    followed: Followed,
    /// The name of the trail; empty if there is only one.
    trail: String,
    matches: Matches,
    not_before: Instant,
    logger: AuditLogger,
    public_url: String,
    stopped: watch::Receiver<bool>,
}

/// A trail that is followed.
struct Followed {
    reader: TrailReader,
    cursor: Cursor,
    saved_at: Instant,
}

/// The alert was stopped, or the trail closed.
struct Stopped;

impl AlertWatch {
    /// Opens the cursor of an alert in a trail.
    pub(crate) fn open(
        (query, alert): (&SavedQuery, &Alert),
        member: &Member,
        logger: &AuditLogger,
        public_url: &str,
        stopped: watch::Receiver<bool>,
    ) -> Result<Self, Error> {
        let directory = member.directory().map_err(|problem| Error::invalid(problem.detail().to_owned()))?;
        let id = id_of(&query.name);
        Ok(Self {
            query: query.clone(),
            followed: Followed::open(directory, &id)?,
            trail: member.name.clone(),
            alert: alert.clone(),
            id,
            matches: Matches::default(),
            not_before: Instant::now(),
            logger: logger.clone(),
            public_url: public_url.to_owned(),
            stopped,
        })
    }

    /// Follows the trail until it is stopped.
    pub(crate) fn run(mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        match runtime {
            Ok(runtime) => {
                let Err(Stopped) = runtime.block_on(self.follow());
                if self.matches.count == 0 {
                    self.save_cursor(Duration::ZERO);
                }
                // Does not wait for a host name that is still being resolved.
                runtime.shutdown_background();
            }
            Err(error) => self.report("cannot start", &error.to_string()),
        }
    }

    async fn follow(&mut self) -> Result<std::convert::Infallible, Stopped> {
        self.not_before = self.next_due();
        loop {
            let is_at_end = match self.read() {
                Ok(is_at_end) => is_at_end,
                Err(error) => {
                    self.report("cannot read the trail", &error.to_string());
                    self.pause(LONGEST_PAUSE).await?;
                    continue;
                }
            };
            if self.matches.count == 0 {
                self.save_cursor(CURSOR_INTERVAL);
            } else if Instant::now() >= self.not_before {
                self.fire().await?;
            }
            self.pause(if is_at_end { POLL } else { Duration::ZERO }).await?;
        }
    }

    /// Reads new lines. Returns whether there are no more.
    fn read(&mut self) -> Result<bool, Error> {
        // Times in the query are relative to now.
        let query = self.query.query(Moment::now()).map_err(|error| Error::invalid(error.to_string()))?;
        // No alert may trigger itself, or two each other, whatever their queries. A firing may also cause a
        // checkpoint, whose record is ignored too.
        let ours = firings();
        self.followed.read(|row| {
            if query.matches(row) && !ours.matches(row) && !is_checkpoint(row) {
                self.matches.add(row);
            }
        })
    }

    /// Posts what matched, and records the outcome. What was not accepted is part of the next post.
    async fn fire(&mut self) -> Result<(), Stopped> {
        let outcome = self.deliver().await?;
        self.record(&outcome).await?;
        self.not_before = Instant::now() + self.alert.at_most_every;
        if outcome.is_ok() {
            self.matches = Matches::default();
            self.save_cursor(Duration::ZERO);
        }
        Ok(())
    }

    async fn deliver(&self) -> Result<Outcome, Stopped> {
        let body = match self.matches.body(&self.query, &self.trail, &self.public_url) {
            Ok(body) => body,
            Err(error) => return Ok(Err(error.to_string())),
        };
        let id = self.matches.id(&self.id, &self.trail);
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            match self.unless_stopped(self.alert.webhook.post(&id, &body)).await? {
                Ok(()) => break,
                Err(refusal) if refusal.is_final => return Ok(Err(refusal.why)),
                Err(refusal) if attempt == ATTEMPTS => {
                    return Ok(Err(format!("{} ({ATTEMPTS} attempts)", refusal.why)));
                }
                Err(_) => self.pause(pause).await?,
            }
            pause *= 2;
        }
        Ok(Ok(()))
    }

    /// Records the firing and waits until that is durable, before the cursor passes its entries. Tries until
    /// it succeeds: an alert that cannot be recorded must not be sent again and again.
    async fn record(&self, outcome: &Outcome) -> Result<(), Stopped> {
        let mut pause = FIRST_PAUSE;
        loop {
            let recorded = async {
                let host = self.alert.webhook.host();
                self.matches
                    .record(&self.logger, &self.query, &self.trail, host, outcome)
                    .await?
                    .durable()
                    .await
            };
            match self.even_if_stopped(recorded).await? {
                Ok(_) => return Ok(()),
                Err(error) if error.is_closed() => return Err(Stopped),
                Err(error) => self.report("cannot record that it fired", &error.to_string()),
            }
            self.pause(pause).await?;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Returns when the next post may be made, from the last firing in the trail: a restart must not make
    /// posts more frequent.
    fn next_due(&self) -> Instant {
        let every = self.alert.at_most_every;
        let now = Moment::now();
        let mut last = None;
        // A closed logger has no firings to wait for.
        let Ok(directory) = self.logger.trail_dir() else { return Instant::now() };
        let search = Search::new(directory)
            .query(firings_of(&self.query.name, &self.trail))
            .since(now.before(every))
            .order(Order::NewestFirst)
            .limit(1);
        let searched = search.each(|found| {
            last = found.row.moment();
            ControlFlow::Continue(())
        });
        if let Err(error) = searched {
            self.report("cannot search for its last firing", &error.to_string());
        }
        let passed = last.map(|last| now.micros().saturating_sub(last.micros()).max(0).unsigned_abs());
        let remaining =
            passed.map_or(Duration::ZERO, |passed| every.saturating_sub(Duration::from_micros(passed)));
        Instant::now() + remaining
    }

    fn save_cursor(&mut self, interval: Duration) {
        if let Err(error) = self.followed.save_cursor(interval) {
            self.report("cannot save its cursor", &error.to_string());
        }
    }

    fn report(&self, what: &str, error: &str) {
        self.logger.warning(&format!("alert {:?} {what}", self.query.name), json!({ "error": error }));
    }

    async fn pause(&self, pause: Duration) -> Result<(), Stopped> {
        self.unless_stopped(tokio::time::sleep(pause)).await
    }

    /// Waits for `work`, up to [`GRACE`] after the alert was stopped: a post that is recorded, but whose
    /// cursor is not saved, is repeated.
    async fn even_if_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        let mut work = pin!(work);
        match self.unless_stopped(work.as_mut()).await {
            Ok(done) => Ok(done),
            Err(Stopped) => tokio::time::timeout(GRACE, work).await.map_err(|_| Stopped),
        }
    }

    async fn unless_stopped<T>(&self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        let mut stopped = self.stopped.clone();
        // The sender stops before it is dropped, so an error means the same.
        let stopped = pin!(stopped.wait_for(|stopped| *stopped));
        match select(stopped, pin!(work)).await {
            Either::Left(_) => Err(Stopped),
            Either::Right((done, _)) => Ok(done),
        }
    }
}

impl Followed {
    fn open(directory: &Path, id: &str) -> Result<Self, Error> {
        let mut cursor = Cursor::of_alert(directory, id)?;
        let next = match cursor.position() {
            Some(next) => next,
            None => {
                let end = end_of(directory)?;
                cursor.advance(end);
                let failed = |error| Error::storage("cannot save the cursor of an alert", directory, error);
                cursor.save().map_err(failed)?;
                end
            }
        };
        let reader = TrailReader::new(directory, next);
        Ok(Self { reader, cursor, saved_at: Instant::now() })
    }

    /// Passes the next lines that are entries to `take`. Returns whether there are no more.
    fn read(&mut self, mut take: impl FnMut(&Row<'_>)) -> Result<bool, Error> {
        for _ in 0..ROUND {
            match self.reader.next_line() {
                Ok(Some((_, line))) => {
                    // A line that is not an entry matches no search either.
                    if let Ok(row) = Row::read(line) {
                        take(&row);
                    }
                }
                Ok(None) => return Ok(true),
                Err(error) => {
                    let next = self.reader.next_seq();
                    self.reader.restart(next);
                    return Err(error);
                }
            }
        }
        Ok(false)
    }

    fn save_cursor(&mut self, interval: Duration) -> std::io::Result<()> {
        let next = self.reader.next_seq();
        if self.saved_at.elapsed() < interval || !self.cursor.is_behind(next) {
            return Ok(());
        }
        self.saved_at = Instant::now();
        self.cursor.advance(next);
        self.cursor.save()
    }
}

fn is_checkpoint(row: &Row<'_>) -> bool {
    StoredRecord::kind(row.line().as_bytes()).is_some_and(|kind| kind == "checkpoint")
}

/// Returns the seq of the next line of the trail.
fn end_of(directory: &Path) -> Result<u64, Error> {
    let last = Lines::last(directory, 1).and_then(|mut lines| lines.next_line());
    let failed = |error| Error::storage("cannot find the end of the trail", directory, error);
    Ok(last.map_err(failed)?.and_then(|line| line.seq()).map_or(0, |seq| seq + 1))
}

/// Returns a name for files: letters and digits of the alert's name, and a part of its hash.
fn id_of(name: &str) -> String {
    let plain = name.chars().map(|letter| {
        let letter = letter.to_ascii_lowercase();
        if letter.is_ascii_alphanumeric() { letter } else { '-' }
    });
    let hash = to_hex(&Sha256::digest(name)[..4]);
    plain.take(40).chain(['-']).chain(hash.chars()).collect()
}
