//! What a request asks for, and the entries that answer it. The whole state of a view is in its address.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use auditx_reader::{
    Cursor, Error, Field, Moment, Order, Query, Row, Search, Source, Summary, TimeBase, Zone, end_moment_of,
    find_line, moment_of,
};
use serde::Deserialize;

use crate::problem::Problem;
use crate::viewer::Viewer;

/// How long a search for one answer may take. An answer that took longer says how far it came.
pub(crate) const TIME_LIMIT: Duration = Duration::from_secs(2);

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
    /// Only entries older than this cursor, newest first.
    pub(crate) before: String,
    /// Only entries newer than this cursor, those next to it.
    pub(crate) after: String,
}

impl Parameters {
    pub(crate) fn is_security(&self) -> bool {
        self.source == "security"
    }

    /// Whether the entries next to a cursor are wanted that are newer.
    pub(crate) fn is_backwards(&self) -> bool {
        self.before.is_empty() && !self.after.is_empty()
    }

    /// Returns the time zone; UTC unless the request names one.
    pub(crate) fn zone(&self) -> Result<Zone, Problem> {
        let name = if self.tz.is_empty() { "UTC" } else { &self.tz };
        name.parse().map_err(|error| Problem::bad_request(format!("invalid time zone {name:?}: {error}")))
    }

    /// Returns the search for the entries that this viewer asks for, without order and limits.
    pub(crate) fn search(&self, directory: &Path, viewer: &Viewer) -> Result<Search, Problem> {
        let base = TimeBase::new(Moment::now(), self.zone()?);
        let query = Query::parse(&self.q, base.clone())
            .map_err(|error| Problem::bad_request(format!("invalid query: {error}")))?;
        let source = match self.source.as_str() {
            "" | "all" => Source::Audit,
            "security" => Source::Security,
            other => {
                let detail = format!("invalid source {other:?}: expected all or security");
                return Err(Problem::bad_request(detail));
            }
        };
        let mut search = Search::new(directory).query(query.and(viewer.scope())).source(source);
        if let Some(since) = moment("since", &self.since, |text| moment_of(text, base.clone()))? {
            search = search.since(since);
        }
        if let Some(until) = moment("until", &self.until, |text| end_moment_of(text, base.clone()))? {
            search = search.until(until);
        }
        Ok(search)
    }

    /// Returns the address of another page of this view below `base`.
    pub(crate) fn address(&self, base: &str, change: impl FnOnce(&mut Self)) -> String {
        let mut other = Self { before: String::new(), after: String::new(), ..self.clone() };
        change(&mut other);
        format!("{base}{}", other.query_string())
    }

    /// Returns the parameters as the query of an address, with its question mark; empty without parameters.
    fn query_string(&self) -> String {
        let Self { q, since, until, source, tz, before, after } = self;
        let named = [
            ("q", q),
            ("since", since),
            ("until", until),
            ("source", source),
            ("tz", tz),
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
fn percent_encode(value: &str, out: &mut String) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// Returns a value of the query language that is taken literally.
pub(crate) fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
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

/// Parses a cursor; `None` if the text is empty.
pub(crate) fn cursor(text: &str) -> Result<Option<Cursor>, Problem> {
    if text.is_empty() { Ok(None) } else { Ok(Some(text.parse()?)) }
}

/// Text of the entries of one answer. An answer that reaches it has fewer entries, and the next one
/// continues.
const MAX_TEXT: usize = 4 << 20;

/// An entry that was found.
pub(crate) struct Hit {
    line: String,
    pub(crate) cursor: Cursor,
    pub(crate) is_unsigned: bool,
}

impl Hit {
    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    pub(crate) fn row(&self) -> Option<Row<'_>> {
        Row::read_text(&self.line).ok()
    }
}

/// The entries of one answer, newest first unless a program asked for another order.
pub(crate) struct Page {
    pub(crate) hits: Vec<Hit>,
    pub(crate) summary: Summary,
    /// Where the next answer continues; `None` at the end of the trail.
    pub(crate) next: Option<Cursor>,
}

impl Page {
    /// Searches until `limit` entries are found or [`TIME_LIMIT`] is over. Blocks the thread.
    pub(crate) fn of(search: Search, order: Order, limit: u64) -> Result<Self, Error> {
        let (mut hits, mut text): (Vec<Hit>, usize) = (Vec::new(), 0);
        let search = search.order(order).limit(limit).time_limit(TIME_LIMIT);
        let summary = search.each(|found| {
            let line = found.row.line().to_owned();
            text += line.len();
            hits.push(Hit { line, cursor: found.cursor(), is_unsigned: found.is_unsigned });
            if text < MAX_TEXT { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        let is_cut = text >= MAX_TEXT;
        let next = if is_cut { hits.last().map(|hit| hit.cursor.clone()) } else { summary.next.clone() };
        Ok(Self { hits, summary, next })
    }
}

/// Returns the time to which a search came that ran out of time; `None` if it did not, or if the line there
/// does not exist for this viewer. Blocks the thread.
pub(crate) fn time_reached(directory: &Path, summary: &Summary, viewer: &Viewer) -> Option<Moment> {
    let Cursor::Seq(seq) = summary.next.as_ref().filter(|_| summary.is_out_of_time)? else { return None };
    let line = find_line(directory, *seq).ok().flatten()?;
    let row = line.row().ok().filter(|row| viewer.scope().matches(row))?;
    Moment::parse(&row.text(Field::Timestamp))
}

/// Returns what makes the result of a search incomplete or wrong, if anything. A viewer for whom some entries
/// do not exist learns nothing about those.
pub(crate) fn warnings(summary: &Summary, viewer: &Viewer) -> Vec<String> {
    if viewer.is_scoped() {
        let is_doubtful =
            summary.fault.is_some() || summary.errors.segments() > 0 || summary.errors.lines() > 0;
        let warning =
            "The trail is damaged, so entries may be missing or wrong: report this to its operator.";
        return is_doubtful.then(|| warning.to_owned()).into_iter().collect();
    }
    let mut warnings: Vec<String> = summary
        .fault
        .iter()
        .map(|fault| format!("The trail does not match what was signed, so entries may be wrong: {fault}."))
        .collect();
    let errors = &summary.errors;
    if errors.lines() > 0 || errors.segments() > 0 {
        let first = errors.iter().next().map(auditx_reader::Error::why).unwrap_or_default();
        let (lines, segments) = (errors.lines(), errors.segments());
        warnings
            .push(format!("{lines} lines and {segments} segments could not be read; the first: {first}."));
    }
    if summary.is_unsigned {
        warnings.push("There is no checkpoint: these lines are not signed.".to_owned());
    }
    warnings
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
