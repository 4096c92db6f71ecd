//! What is asked of a trail: the query, the flags beside it, and from when to when.

mod warning;

use std::ffi::OsString;
use std::time::Duration;

use auditx_reader::{
    Field, Moment, Query, Search, Source, Summary, TimeBase, Zone, end_moment_of, length_of, moment_of,
};
use clap::ValueEnum;

use crate::failure::{Failure, Status};
use crate::summary;
use crate::terminal::complain;
use crate::trail::Trail;
use crate::zone::Zoned;

/// What is asked of which trail.
#[derive(Debug, clap::Args)]
pub(crate) struct Asked {
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    scope: Scope,
    #[command(flatten)]
    pub(crate) trail: Trail,
}

/// Which entries. Repeating a flag is OR, different flags AND, and what a flag is given is taken literally.
#[derive(Debug, clap::Args)]
pub(crate) struct Question {
    /// Words, "phrases", user:admin, -module:sales, amount:>1000000, changed:credit_limit, OR, ( ), …
    #[arg(value_name = "QUERY")]
    words: Vec<String>,
    /// Of this user
    #[arg(long, help_heading = "Which entries")]
    user: Vec<String>,
    /// Of this module: sales, crm, …
    #[arg(long, help_heading = "Which entries")]
    module: Vec<String>,
    /// Of this action: CREATE, POST, …
    #[arg(long, help_heading = "Which entries")]
    action: Vec<String>,
    /// Of this level: AUDIT, SECURITY, …
    #[arg(long, help_heading = "Which entries")]
    level: Vec<String>,
    /// Of this company
    #[arg(long, help_heading = "Which entries")]
    company: Vec<String>,
    /// Of this branch
    #[arg(long, help_heading = "Which entries")]
    branch: Vec<String>,
    /// About this record
    #[arg(long, value_name = "TYPE/ID", help_heading = "Which entries")]
    entity: Vec<String>,
    /// With this reference number
    #[arg(long = "ref", value_name = "REFERENCE", help_heading = "Which entries")]
    reference: Vec<String>,
    /// Of this request
    #[arg(long, value_name = "ID", help_heading = "Which entries")]
    request: Vec<String>,
    /// Of this session, as the trail has it
    #[arg(long, value_name = "ID", help_heading = "Which entries")]
    session: Vec<String>,
    /// From this address, or this network: 192.168.1.0/24, 2001:db8::/32
    #[arg(long, value_name = "ADDRESS", help_heading = "Which entries")]
    ip: Vec<String>,
    /// Only what succeeded
    #[arg(long, conflicts_with = "failed", help_heading = "Which entries")]
    success: bool,
    /// Only what failed
    #[arg(long, help_heading = "Which entries")]
    failed: bool,
    #[command(flatten)]
    zoned: Zoned,
}

/// A command line in which what is to be left out of a question, `-module:sales`, is no flag: in brackets, which change nothing.
pub(crate) fn without_false_flags(words: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    words.map(|word| match word.to_str() {
        Some(text) if is_left_out(text) => format!("({text})").into(),
        _ => word,
    })
}

fn is_left_out(word: &str) -> bool {
    word.starts_with('-')
        && !word.starts_with("--")
        && word.contains(':')
        && Query::parse(word, Moment::now()).is_ok()
}

/// Which part of a trail, and how it is read.
#[derive(Debug, clap::Args)]
struct Scope {
    #[command(flatten)]
    period: Period,
    /// Which file of the trail: all entries, or those that security.jsonl repeats
    #[arg(long, value_name = "FILE", value_enum, default_value_t = File::Audit, help_heading = "Which entries")]
    source: File,
    #[command(flatten)]
    reading: Reading,
}

/// From when to when.
#[derive(Debug, clap::Args)]
pub(crate) struct Period {
    /// From this time on: '2026-11-29 07:00', 07:00, a date, 2026-11, 2h, 1h30m, today, RFC 3339, epoch
    /// seconds
    #[arg(long, value_name = "TIME", help_heading = "Which entries")]
    since: Option<String>,
    /// Before this time
    #[arg(long, value_name = "TIME", help_heading = "Which entries")]
    until: Option<String>,
}

/// How the trail is read.
#[derive(Debug, clap::Args)]
pub(crate) struct Reading {
    /// Examines every line, and fails where one cannot be read
    #[arg(long, help_heading = "Reading")]
    pub(crate) strict: bool,
    /// Reads everything, whatever the index says; the answer is the same
    #[arg(long, help_heading = "Reading")]
    no_index: bool,
    /// How many threads read [default: one for each processor]
    #[arg(long, value_name = "N", help_heading = "Reading")]
    threads: Option<usize>,
}

/// Which file of a trail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum File {
    Audit,
    Security,
}

impl Question {
    /// What an entry has to answer.
    pub(crate) fn query(&self, now: Moment) -> Result<Query, Failure> {
        let mut query = Query::parse(&self.words.join(" "), self.base(now))?;
        for (_, field, values) in self.flags() {
            query = query.and(wanted(field, values)?);
        }
        if self.success || self.failed {
            query = query.and(Query::success(self.success));
        }
        Ok(query)
    }

    /// What its times are relative to.
    pub(crate) fn base(&self, now: Moment) -> TimeBase {
        self.zoned.base(now)
    }

    /// The zone in which times are shown.
    pub(crate) fn zone(&self) -> Zone {
        self.zoned.zone()
    }

    /// Whether nothing is asked for in particular.
    pub(crate) fn is_everything(&self) -> bool {
        self.words.is_empty()
            && self.flags().all(|(_, _, values)| values.is_empty())
            && !self.success
            && !self.failed
    }

    /// The question as it was asked, for people.
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

impl Asked {
    /// What an entry has to answer.
    pub(crate) fn query(&self, now: Moment) -> Result<Query, Failure> {
        self.question.query(now)
    }

    /// Says on standard error what the question probably does not mean.
    pub(crate) fn warn(&self, now: Moment) -> Result<(), Failure> {
        self.question.warn(&self.whole_query(now)?);
        Ok(())
    }

    /// The search for it, oldest first and without a limit.
    pub(crate) fn search(&self, now: Moment) -> Result<Search, Failure> {
        self.warn(now)?;
        self.search_for(self.query(now)?, now)
    }

    /// The search for everything in its scope, whatever is asked.
    pub(crate) fn whole(&self, now: Moment) -> Result<Search, Failure> {
        self.search_for(Query::everything(), now)
    }

    /// The search for another query in its scope.
    pub(crate) fn search_for(&self, query: Query, now: Moment) -> Result<Search, Failure> {
        let source = match self.scope.source {
            File::Audit => Source::Audit,
            File::Security => Source::Security,
        };
        let search = Search::new(self.trail.directory()).source(source).query(query);
        self.scope.period.of(self.scope.reading.of(search), &self.base(now))
    }

    /// What an entry has to answer elsewhere than in a trail: the question and its scope as one.
    pub(crate) fn whole_query(&self, now: Moment) -> Result<Query, Failure> {
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
            File::Security => query.and(Query::is(Field::Level, ["SECURITY", "CRITICAL"])),
        })
    }

    /// What its times are relative to.
    pub(crate) fn base(&self, now: Moment) -> TimeBase {
        self.question.base(now)
    }

    /// The zone in which times are shown.
    pub(crate) fn zone(&self) -> Zone {
        self.question.zone()
    }

    /// How many threads read.
    pub(crate) fn threads(&self) -> usize {
        self.scope.reading.threads()
    }

    /// Whether a line that cannot be read makes the answer none.
    pub(crate) fn is_strict(&self) -> bool {
        self.scope.reading.strict
    }

    /// The question as it was asked, for people.
    pub(crate) fn question_text(&self) -> String {
        self.question.text()
    }

    /// What its scope leaves of a trail, for people: times as they were at that moment.
    pub(crate) fn scope_text(&self, now: Moment) -> Result<String, Failure> {
        let Scope { period, source, .. } = &self.scope;
        let (since, until) = period.bounds(&self.base(now))?;
        let mut parts: Vec<String> = since.map(|since| format!("--since {since}")).into_iter().collect();
        parts.extend(until.map(|until| format!("--until {until}")));
        parts.extend((*source == File::Security).then(|| "--source security".to_owned()));
        Ok(parts.join(" "))
    }

    /// Says on standard error what could not be read, and gives the exit status.
    pub(crate) fn tell(&self, summary: &Summary) -> Status {
        summary::tell(summary, self.scope.reading.strict)
    }

    /// Says that nothing was found; `so` is what follows from it.
    pub(crate) fn tell_nothing(&self, so: &str) {
        complain(&format!("nothing found in {}{so}", self.trail.place()));
    }
}

impl Period {
    /// The same search, only from when to when.
    pub(crate) fn of(&self, mut search: Search, base: &TimeBase) -> Result<Search, Failure> {
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
        let until = self.until.as_deref().map(|text| known(end_moment_of(text, base.clone()), text));
        Ok((since, until.transpose()?))
    }
}

impl Reading {
    /// How many threads read.
    fn threads(&self) -> usize {
        self.threads.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from)).max(1)
    }

    /// The same search, read so.
    pub(crate) fn of(&self, mut search: Search) -> Search {
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

/// Entries in which the field is one of the values; without a field, those about one of these records.
fn wanted(field: Option<Field>, values: &[String]) -> Result<Query, Failure> {
    match field {
        None => one_of(values, about),
        Some(Field::Ip) => one_of(values, from),
        Some(field) => Ok(Query::is(field, values)),
    }
}

/// What one of the values asks for; without values every entry.
fn one_of(values: &[String], asks: fn(&str) -> Result<Query, Failure>) -> Result<Query, Failure> {
    let mut queries = values.iter().map(|value| asks(value));
    let Some(first) = queries.next() else { return Ok(Query::everything()) };
    queries.try_fold(first?, |query, other| Ok(query.or(other?)))
}

/// Every entry from an address or a network.
fn from(address: &str) -> Result<Query, Failure> {
    if address.contains('/') { Ok(Query::network(address)?) } else { Ok(Query::is(Field::Ip, [address])) }
}

/// Every entry about a record.
pub(crate) fn about(record: &str) -> Result<Query, Failure> {
    match record.split_once('/') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => Ok(Query::entity(kind, Some(id))),
        _ => Err(Failure::said(format!("{record:?} is no record: give TYPE/ID, as customer/CUST-220"))),
    }
}

/// A time as docs/QUERY.md has it.
pub(crate) fn moment(text: &str, base: &TimeBase) -> Result<Moment, Failure> {
    known(moment_of(text, base.clone()), text)
}

fn known(moment: Option<Moment>, text: &str) -> Result<Moment, Failure> {
    moment.ok_or_else(|| {
        Failure::said(format!(
            "invalid time {text:?}: expected '2026-11-29 07:00', 07:00 (today), 2026-11-29, 2026-11,\n\
             2026, today, yesterday, now, 2h or 1h30m (ago), 2026-11-24T15:24:54Z (RFC 3339)\n\
             or 1795533894 (seconds since 1970)"
        ))
    })
}

/// A length of time: `90s`, `15m`, `2h`, `1d`, `1w`, `1h30m`.
pub(crate) fn span(text: &str) -> Result<Duration, Failure> {
    let length = length_of(text).filter(|length| !length.is_zero());
    length.ok_or_else(|| {
        Failure::said(format!("invalid length of time {text:?}: expected 90s, 15m, 2h, 1d, 1w or 1h30m"))
    })
}
