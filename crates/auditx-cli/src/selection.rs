//! Selection of entries: the query, the filter flags, the period, and how the trail is read.

mod warning;

use std::path::Path;
use std::time::Duration;

use auditx_reader::{
    Field, Moment, Query, Search, Source, TimeBase, Zone, end_moment_of, length_of, moment_of,
};
use clap::ValueEnum;

use crate::failure::{Failure, Status};
use crate::family::{Family, Read};
use crate::summary;
use crate::zone::Zoned;

/// Selects entries of a trail.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    pub(crate) family: Family,
}

/// The query and the filter flags. A repeated flag is OR, different flags are AND; values are literal.
#[derive(Debug, clap::Args)]
pub(crate) struct Filter {
    /// Words, "phrases", user:admin, -module:sales, amount:>1000000, changed:credit_limit, OR, ( ), …
    #[arg(value_name = "QUERY")]
    words: Vec<String>,
    /// Entries of this user
    #[arg(long, help_heading = "Selection")]
    user: Vec<String>,
    /// Entries of this module: sales, crm, …
    #[arg(long, help_heading = "Selection")]
    module: Vec<String>,
    /// Entries with this action: CREATE, POST, …
    #[arg(long, help_heading = "Selection")]
    action: Vec<String>,
    /// Entries of this level: AUDIT, SECURITY, …
    #[arg(long, help_heading = "Selection")]
    level: Vec<String>,
    /// Entries of this company
    #[arg(long, help_heading = "Selection")]
    company: Vec<String>,
    /// Entries of this branch
    #[arg(long, help_heading = "Selection")]
    branch: Vec<String>,
    /// Entries about this record
    #[arg(long, value_name = "TYPE/ID", help_heading = "Selection")]
    entity: Vec<String>,
    /// Entries with this reference number
    #[arg(long = "ref", value_name = "REFERENCE", help_heading = "Selection")]
    reference: Vec<String>,
    /// Entries of this request
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    request: Vec<String>,
    /// Entries of this session, with its id as stored in the trail
    #[arg(long, value_name = "ID", help_heading = "Selection")]
    session: Vec<String>,
    /// Entries from this address or network: 192.168.1.0/24, 2001:db8::/32
    #[arg(long, value_name = "ADDRESS", help_heading = "Selection")]
    ip: Vec<String>,
    /// Only entries that succeeded
    #[arg(long, conflicts_with = "failed", help_heading = "Selection")]
    success: bool,
    /// Only entries that failed
    #[arg(long, help_heading = "Selection")]
    failed: bool,
    #[command(flatten)]
    zoned: Zoned,
}

/// The part of the trail that is searched, and how it is read.
#[derive(Debug, clap::Args)]
struct Scope {
    #[command(flatten)]
    period: Period,
    /// All entries, or only those that are also in security.jsonl
    #[arg(
        long,
        value_name = "FILE",
        value_enum,
        default_value_t = File::Audit,
        help_heading = "Selection"
    )]
    source: File,
    #[command(flatten)]
    reading: Reading,
}

/// `--since` and `--until`.
#[derive(Debug, clap::Args)]
pub(crate) struct Period {
    /// Entries from this time on: '2026-11-29 07:00', 07:00, 2026-11-29, 2026-11, 2h, 1h30m, today, RFC 3339,
    /// or seconds since 1970
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    since: Option<String>,
    /// Entries before this time
    #[arg(long, value_name = "TIME", help_heading = "Selection")]
    until: Option<String>,
}

/// The flags for reading.
#[derive(Debug, clap::Args)]
pub(crate) struct Reading {
    /// Check every line, and fail if one cannot be read
    #[arg(long, help_heading = "Reading")]
    pub(crate) strict: bool,
    /// Read every line without the index; the result is the same
    #[arg(long, help_heading = "Reading")]
    no_index: bool,
    /// Number of threads [default: one per processor]
    #[arg(long, value_name = "N", help_heading = "Reading")]
    threads: Option<usize>,
}

/// `--source`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum File {
    Audit,
    Security,
}

impl Filter {
    /// Returns the query of words and flags together.
    pub(crate) fn query(&self, now: Moment) -> Result<Query, Failure> {
        let mut query = Query::parse(&self.words.join(" "), self.base(now))?;
        for (_, field, values) in self.flags() {
            query = query.and(flag_query(field, values)?);
        }
        if self.success || self.failed {
            query = query.and(Query::success(self.success));
        }
        Ok(query)
    }

    /// Returns the base for relative times and times without an offset.
    pub(crate) fn base(&self, now: Moment) -> TimeBase {
        self.zoned.base(now)
    }

    /// Returns the zone in which times are shown.
    pub(crate) fn zone(&self) -> Zone {
        self.zoned.zone()
    }

    /// Returns `true` if neither words nor flags were given.
    pub(crate) fn is_empty(&self) -> bool {
        self.words.is_empty()
            && self.flags().all(|(_, _, values)| values.is_empty())
            && !self.success
            && !self.failed
    }

    /// Returns the query as the user wrote it.
    pub(crate) fn text(&self) -> String {
        let mut parts = self.words.clone();
        for (flag, _, values) in self.flags() {
            parts.extend(values.iter().map(|value| format!("--{flag} {value:?}")));
        }
        parts.extend(self.success.then(|| "--success".to_owned()));
        parts.extend(self.failed.then(|| "--failed".to_owned()));
        parts.extend((!self.zone().is_utc()).then(|| format!("--tz {}", self.zone())));
        parts.join(" ")
    }

    fn flags(&self) -> impl Iterator<Item = (&'static str, Option<Field>, &[String])> {
        [
            ("user", Some(Field::User), &self.user),
            ("module", Some(Field::Module), &self.module),
            ("action", Some(Field::Action), &self.action),
            ("level", Some(Field::Level), &self.level),
            ("company", Some(Field::CompanyId), &self.company),
            ("branch", Some(Field::BranchId), &self.branch),
            ("entity", None, &self.entity),
            ("ref", Some(Field::ReferenceNo), &self.reference),
            ("request", Some(Field::RequestId), &self.request),
            ("session", Some(Field::SessionId), &self.session),
            ("ip", Some(Field::Ip), &self.ip),
        ]
        .into_iter()
        .map(|(flag, field, values)| (flag, field, values.as_slice()))
    }
}

impl Selection {
    /// Returns the query of words and flags together.
    pub(crate) fn query(&self, now: Moment) -> Result<Query, Failure> {
        self.filter.query(now)
    }

    /// Warns on standard error about a query that probably does not mean what the user intended.
    pub(crate) fn warn(&self, now: Moment) -> Result<(), Failure> {
        self.filter.warn(&self.full_query(now)?);
        Ok(())
    }

    /// Returns the search of a trail, oldest first and without a limit.
    pub(crate) fn search(&self, trail: &Path, now: Moment) -> Result<Search, Failure> {
        self.search_for(trail, self.query(now)?, now)
    }

    /// Returns the search for all entries of the scope.
    pub(crate) fn scope_search(&self, trail: &Path, now: Moment) -> Result<Search, Failure> {
        self.search_for(trail, Query::everything(), now)
    }

    /// Returns the search for another query in the same scope.
    pub(crate) fn search_for(&self, trail: &Path, query: Query, now: Moment) -> Result<Search, Failure> {
        let source = match self.scope.source {
            File::Audit => Source::Audit,
            File::Security => Source::Security,
        };
        let search = Search::new(trail).source(source).query(query);
        self.scope.period.apply(self.scope.reading.apply(search), &self.base(now))
    }

    /// Returns one query for filter, period and source together, for searches outside of a trail.
    pub(crate) fn full_query(&self, now: Moment) -> Result<Query, Failure> {
        let mut query = self.query(now)?;
        let (since, until) = self.scope.period.bounds(&self.base(now))?;
        if let Some(since) = since {
            query = query.and(Query::since(since));
        }
        if let Some(until) = until {
            query = query.and(Query::until(until));
        }
        Ok(match self.scope.source {
            File::Audit => query,
            File::Security => query.and(Source::Security.query()),
        })
    }

    /// Returns the base for relative times and times without an offset.
    pub(crate) fn base(&self, now: Moment) -> TimeBase {
        self.filter.base(now)
    }

    /// Returns the zone in which times are shown.
    pub(crate) fn zone(&self) -> Zone {
        self.filter.zone()
    }

    /// Returns the number of threads.
    pub(crate) fn threads(&self) -> usize {
        self.scope.reading.threads()
    }

    /// Returns `true` if an unreadable line is an error.
    #[cfg(feature = "ship")]
    pub(crate) fn is_strict(&self) -> bool {
        self.scope.reading.strict
    }

    /// Returns the query as the user wrote it.
    pub(crate) fn filter_text(&self) -> String {
        self.filter.text()
    }

    /// Returns the scope as flags, with absolute times.
    pub(crate) fn scope_text(&self, now: Moment) -> Result<String, Failure> {
        let Scope { period, source, .. } = &self.scope;
        let (since, until) = period.bounds(&self.base(now))?;
        let mut parts: Vec<String> = since.map(|since| format!("--since {since}")).into_iter().collect();
        parts.extend(until.map(|until| format!("--until {until}")));
        parts.extend((*source == File::Security).then(|| "--source security".to_owned()));
        Ok(parts.join(" "))
    }

    /// Reports on standard error what could not be read, and returns the exit status.
    pub(crate) fn report(&self, read: &[Read<'_>]) -> Status {
        summary::report(read, self.scope.reading.strict)
    }
}

impl Period {
    /// Limits a search to the period.
    pub(crate) fn apply(&self, mut search: Search, base: &TimeBase) -> Result<Search, Failure> {
        let (since, until) = self.bounds(base)?;
        if let Some(since) = since {
            search = search.since(since);
        }
        if let Some(until) = until {
            search = search.until(until);
        }
        Ok(search)
    }

    fn bounds(&self, base: &TimeBase) -> Result<(Option<Moment>, Option<Moment>), Failure> {
        let since = self.since.as_deref().map(|text| moment(text, base)).transpose()?;
        let until = self.until.as_deref().map(|text| required(end_moment_of(text, base.clone()), text));
        Ok((since, until.transpose()?))
    }
}

impl Reading {
    /// Returns the number of threads.
    pub(crate) fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
    }

    /// Applies the flags to a search.
    pub(crate) fn apply(&self, mut search: Search) -> Search {
        if self.strict {
            search = search.strict();
        }
        if self.no_index {
            search = search.without_index();
        }
        match self.threads {
            Some(threads) => search.threads(threads),
            None => search,
        }
    }
}

/// Returns the query for entries whose field has one of the values. `None` is `--entity`.
fn flag_query(field: Option<Field>, values: &[String]) -> Result<Query, Failure> {
    match field {
        None => any_of(values, about),
        Some(Field::Ip) => any_of(values, from),
        Some(field) => Ok(Query::is(field, values)),
    }
}

/// Combines the queries of the values with OR. Without values, every entry matches.
fn any_of(values: &[String], query_of: fn(&str) -> Result<Query, Failure>) -> Result<Query, Failure> {
    let mut queries = values.iter().map(|value| query_of(value));
    let Some(first) = queries.next() else { return Ok(Query::everything()) };
    queries.try_fold(first?, |query, other| Ok(query.or(other?)))
}

/// Returns the query for an address or a network.
fn from(address: &str) -> Result<Query, Failure> {
    if address.contains('/') { Ok(Query::network(address)?) } else { Ok(Query::is(Field::Ip, [address])) }
}

/// Returns the query for a record, `TYPE/ID`.
pub(crate) fn about(record: &str) -> Result<Query, Failure> {
    record_parts(record).map(|(kind, id)| Query::entity(kind, Some(id)))
}

/// Returns the type and the id of a record, `TYPE/ID`.
pub(crate) fn record_parts(record: &str) -> Result<(&str, &str), Failure> {
    match record.split_once('/') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok((kind, id)),
        _ => Err(Failure::new(format!(
            "invalid record {record:?}: expected TYPE/ID, for example customer/CUST-220"
        ))),
    }
}

/// Parses a time as described in docs/QUERY.md.
pub(crate) fn moment(text: &str, base: &TimeBase) -> Result<Moment, Failure> {
    required(moment_of(text, base.clone()), text)
}

fn required(moment: Option<Moment>, text: &str) -> Result<Moment, Failure> {
    moment.ok_or_else(|| {
        Failure::new(format!(
            "invalid time {text:?}: expected '2026-11-29 07:00', 07:00 (today), 2026-11-29, 2026-11,\n\
             2026, today, yesterday, now, 2h or 1h30m (ago), 2026-11-24T15:24:54Z (RFC 3339)\n\
             or 1795533894 (seconds since 1970)"
        ))
    })
}

/// Parses a duration: `90s`, `15m`, `2h`, `1d`, `1w`, `1h30m`.
pub(crate) fn span(text: &str) -> Result<Duration, Failure> {
    let length = length_of(text).filter(|length| !length.is_zero());
    length.ok_or_else(|| {
        Failure::new(format!("invalid duration {text:?}: expected for example 90s, 15m, 2h, 1d, 1w or 1h30m"))
    })
}
