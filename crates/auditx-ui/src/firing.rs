//! What an alert posts and records: the entries that matched since the last post.

use auditx_core::{AuditAction, AuditLogger, BusinessModule, LogLevel, Receipt};
use auditx_reader::{Field, Query, Row};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::saved::SavedQuery;

/// The action and the entity type of the entries that record that an alert fired.
const ACTION: &str = "ALERT";
const ENTITY: &str = "saved_query";

/// The largest number of entries in a post, and of bytes in all of them.
const MAX_LINES: usize = 5;
const MAX_BYTES: usize = 64 << 10;

/// The matching entries since the last post.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    pub(crate) count: u64,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
    since: String,
    lines: Vec<Box<RawValue>>,
    bytes: usize,
}

/// The body of a post.
#[derive(Serialize)]
struct Body<'b> {
    name: &'b str,
    query: &'b str,
    #[serde(skip_serializing_if = "str::is_empty")]
    trail: &'b str,
    count: u64,
    first_seq: Option<u64>,
    last_seq: Option<u64>,
    entries: &'b [Box<RawValue>],
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

/// A post that was accepted, or why it was not.
pub(crate) type Outcome = Result<(), String>;

impl Matches {
    /// Adds an entry.
    pub(crate) fn add(&mut self, row: &Row<'_>) {
        if self.count == 0 {
            self.first_seq = row.seq();
            self.since = row.text(Field::Timestamp).into_owned();
        }
        self.count += 1;
        self.last_seq = row.seq();
        let line = row.line();
        if self.lines.len() < MAX_LINES && self.bytes + line.len() <= MAX_BYTES {
            self.bytes += line.len();
            self.lines.extend(RawValue::from_string(line.to_owned()));
        }
    }

    /// Returns the id of the post of these entries: the same for the same entries, even after a crash, and
    /// another when more were added, since a receiver ignores a post whose id it knows.
    pub(crate) fn id(&self, alert: &str, trail: &str) -> String {
        let separator = if trail.is_empty() { "" } else { "-" };
        format!(
            "{alert}{separator}{trail}-{}-{}",
            self.first_seq.unwrap_or_default(),
            self.last_seq.unwrap_or_default()
        )
    }

    pub(crate) fn body(
        &self,
        query: &SavedQuery,
        trail: &str,
        public_url: &str,
    ) -> serde_json::Result<Vec<u8>> {
        let link = || {
            let base = format!("{}/", public_url.trim_end_matches('/'));
            query.parameters.address(&base, |view| {
                (view.since, view.until) = (self.since.clone(), String::new());
                trail.clone_into(&mut view.trail);
            })
        };
        serde_json::to_vec(&Body {
            name: &query.name,
            query: &query.parameters.q,
            trail,
            count: self.count,
            first_seq: self.first_seq,
            last_seq: self.last_seq,
            entries: &self.lines,
            link: (!public_url.is_empty()).then(link),
        })
    }

    /// Records that the alert fired.
    pub(crate) async fn record(
        &self,
        logger: &AuditLogger,
        query: &SavedQuery,
        trail: &str,
        host: &str,
        outcome: &Outcome,
    ) -> auditx_core::Result<Receipt> {
        let description = if outcome.is_ok() { "Alert sent" } else { "Alert not delivered" };
        let mut entry = logger
            .log_security(description)
            .level(LogLevel::Security)
            .module(BusinessModule::other("audit"))
            .action(AuditAction::other(ACTION))
            .user("SYSTEM")
            .entity(ENTITY, entity_of(&query.name, trail))
            .metadata("found", self.count.to_string())
            .metadata("webhook", host.to_owned())
            .success(outcome.is_ok());
        if !trail.is_empty() {
            entry = entry.metadata("trail", trail.to_owned());
        }
        for (name, seq) in [("first_seq", self.first_seq), ("last_seq", self.last_seq)] {
            entry = entry.metadata(name, seq.map(|seq| seq.to_string()).unwrap_or_default());
        }
        if let Err(why) = outcome {
            entry = entry.reason(why.as_str());
        }
        entry.record_async().await
    }
}

/// Matches the entries that record that an alert fired.
pub(crate) fn firings() -> Query {
    Query::is(Field::Module, ["audit"])
        .and(Query::is(Field::Action, [ACTION]))
        .and(Query::is(Field::EntityType, [ENTITY]))
}

/// Matches the firings of one alert about one trail.
pub(crate) fn firings_of(name: &str, trail: &str) -> Query {
    firings().and(Query::is(Field::EntityId, [entity_of(name, trail)]))
}

/// Returns the entity id of the entries that record that an alert fired on a trail.
fn entity_of(name: &str, trail: &str) -> String {
    if trail.is_empty() { name.to_owned() } else { format!("{name} ({trail})") }
}
