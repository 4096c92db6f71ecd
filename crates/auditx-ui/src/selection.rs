//! What a request asks for. The whole state of a view is in its address.

use auditx_reader::{Moment, Query, Source as Level, TimeBase, Zone, end_moment_of, moment_of};
use serde::Deserialize;

use crate::problem::Problem;
use crate::viewer::Viewer;

/// The parameters of a search, as they are in the address. All are optional; an empty one is an absent one.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Parameters {
    /// A query in the language of docs/QUERY.md.
    pub(crate) q: String,
    /// The first moment, such as `2h`, `today` or `2026-11-29 07:00`.
    pub(crate) since: String,
    /// The moment after the last one.
    pub(crate) until: String,
    /// `security` for entries of level SECURITY or CRITICAL.
    pub(crate) source: String,
    /// The time zone of the times in a request and its answer.
    pub(crate) tz: String,
    /// The name of a trail of a family; without it, all are searched.
    pub(crate) trail: String,
    /// `on` if the page says how many entries are new.
    pub(crate) live: String,
    /// Only entries older than this cursor, newest first.
    pub(crate) before: String,
    /// Only entries newer than this cursor, the nearest ones.
    pub(crate) after: String,
}

impl Parameters {
    pub(crate) fn is_security(&self) -> bool {
        self.source == "security"
    }

    /// Whether the page says how many entries are new. One of older entries does not.
    pub(crate) fn is_live(&self) -> bool {
        self.live == "on" && self.before.is_empty() && self.after.is_empty()
    }

    /// Whether the nearest entries that are newer than a cursor are asked for.
    pub(crate) fn is_backwards(&self) -> bool {
        self.before.is_empty() && !self.after.is_empty()
    }

    /// Returns the time zone; UTC unless the request names one.
    pub(crate) fn zone(&self) -> Result<Zone, Problem> {
        let name = if self.tz.is_empty() { "UTC" } else { &self.tz };
        name.parse().map_err(|error| Problem::bad_request(format!("invalid time zone {name:?}: {error}")))
    }

    /// Returns what this viewer asks for.
    pub(crate) fn ask(&self, viewer: &Viewer) -> Result<Ask, Problem> {
        let base = TimeBase::new(Moment::now(), self.zone()?);
        let query = Query::parse(&self.q, base.clone())
            .map_err(|error| Problem::bad_request(format!("invalid query: {error}")))?;
        let level = match self.source.as_str() {
            "" | "all" => Level::Audit,
            "security" => Level::Security,
            other => {
                let detail = format!("invalid source {other:?}: expected all or security");
                return Err(Problem::bad_request(detail));
            }
        };
        Ok(Ask {
            query: query.and(viewer.scope()),
            level,
            since: moment("since", &self.since, |text| moment_of(text, base.clone()))?,
            until: moment("until", &self.until, |text| end_moment_of(text, base.clone()))?,
            trail: self.trail.clone(),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            viewer: viewer.clone(),
        })
    }

    /// Returns the address of another page of this view below `base`.
    pub(crate) fn address(&self, base: &str, change: impl FnOnce(&mut Self)) -> String {
        let mut other = Self { before: String::new(), after: String::new(), ..self.clone() };
        change(&mut other);
        format!("{base}{}", other.query_string())
    }

    /// Returns the parameters as the query of an address, with its question mark; empty without parameters.
    fn query_string(&self) -> String {
        let Self { q, since, until, source, tz, trail, live, before, after } = self;
        let named = [
            ("q", q),
            ("since", since),
            ("until", until),
            ("source", source),
            ("tz", tz),
            ("trail", trail),
            ("live", live),
            ("before", before),
            ("after", after),
        ];
        let mut text = String::new();
        for (name, value) in named.into_iter().filter(|(_, value)| !value.is_empty()) {
            text.push(if text.is_empty() { '?' } else { '&' });
            text.push_str(name);
            text.push('=');
            percent_encode(value, &mut text);
        }
        text
    }
}

/// Appends a value of an address, with everything but unreserved characters (RFC 3986) escaped.
pub(crate) fn percent_encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// Quotes a value, so that the query language takes it literally.
pub(crate) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Returns the query with this condition added.
pub(crate) fn narrowed(query: &str, condition: &str) -> String {
    match query.trim() {
        "" => condition.to_owned(),
        query if query.split_whitespace().any(|word| word == "OR") => format!("({query}) {condition}"),
        query => format!("{query} {condition}"),
    }
}

/// What a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    /// Matches only entries that exist for the viewer.
    pub(crate) query: Query,
    pub(crate) level: Level,
    pub(crate) since: Option<Moment>,
    pub(crate) until: Option<Moment>,
    /// The name of a trail of a family; empty for all.
    pub(crate) trail: String,
    /// The number of threads that read.
    pub(crate) threads: usize,
    pub(crate) viewer: Viewer,
}

impl Ask {
    /// Returns one query for all that is asked for, besides the trail.
    pub(crate) fn whole_query(&self) -> Query {
        let mut query = self.query.clone().and(self.level.query());
        if let Some(since) = self.since {
            query = query.and(Query::since(since));
        }
        if let Some(until) = self.until {
            query = query.and(Query::until(until));
        }
        query
    }
}

fn moment(
    name: &str,
    text: &str,
    parse: impl FnOnce(&str) -> Option<Moment>,
) -> Result<Option<Moment>, Problem> {
    if text.is_empty() {
        return Ok(None);
    }
    parse(text).map(Some).ok_or_else(|| {
        Problem::bad_request(format!(
            "invalid time {text:?} in {name}: expected for example 2h (ago), today, 2026-11-29 or \
             2026-11-29 07:00"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_view_contains_all_of_it() {
        let parameters =
            Parameters { q: "user:\"a b\" & c".to_owned(), tz: "UTC".to_owned(), ..Default::default() };
        assert_eq!(
            parameters.address("/audit/", |other| other.before = "seq:7".to_owned()),
            "/audit/?q=user%3A%22a%20b%22%20%26%20c&tz=UTC&before=seq%3A7"
        );
        assert_eq!(Parameters::default().address("/", |_| ()), "/");
    }
}
