//! Saved queries: searches with a name, from a file of the operator. The dashboard never writes it.

use std::collections::HashSet;
use std::fmt;
use std::path::Path;

use auditx_reader::{Field, Moment, Query, end_moment_of, moment_of};
use maud::{Markup, html};
use serde::Deserialize;

use crate::layout::{self, visible};
use crate::selection::Parameters;

/// The longest name, in characters.
const MAX_NAME: usize = 100;

/// Searches with names, shown as links on the page of the trail.
///
/// The file is a JSON array of objects: `name`, `query` (docs/QUERY.md), and if wanted `source` (`security`),
/// `since` and `until`, as in the address of the page.
///
/// ```
/// use auditx_ui::{Dashboard, SavedQueries};
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("queries.json");
///
/// std::fs::write(&path, r#"[{"name": "Failed logins", "query": "action:LOGIN failed", "since": "24h"}]"#)?;
/// let dashboard = Dashboard::unrecorded("/mnt/copy").saved(SavedQueries::read(&path)?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct SavedQueries(Vec<SavedQuery>);

/// A search with a name.
#[derive(Debug, Clone)]
pub(crate) struct SavedQuery {
    pub(crate) name: String,
    pub(crate) parameters: Parameters,
}

/// An object of the file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    name: String,
    query: String,
    #[serde(default)]
    source: String,
    #[serde(default)]
    since: String,
    #[serde(default)]
    until: String,
}

/// Why a file of saved queries cannot be used.
#[derive(Debug)]
pub struct SavedError(String);

impl fmt::Display for SavedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SavedError {}

impl SavedQueries {
    /// Reads a file of saved queries.
    ///
    /// # Errors
    /// Fails if the file cannot be read, is not JSON of this form, has an unknown member, two queries with one
    /// name, or a query or time that is not valid. The error says which and where.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, SavedError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        text.and_then(|text| Self::parse(&text))
            .map_err(|why| SavedError(format!("saved queries in {}: {why}", path.display())))
    }

    fn parse(text: &str) -> Result<Self, String> {
        let stored: Vec<Stored> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut names = HashSet::new();
        let mut queries = Vec::new();
        for (index, stored) in stored.into_iter().enumerate() {
            let name = stored.name.clone();
            let query = SavedQuery::of(stored);
            let at = |why: String| format!("query {} ({name:?}): {why}", index + 1);
            queries.push(query.map_err(at)?);
            if !names.insert(name.clone()) {
                return Err(at("this name is taken by an earlier query: choose another".to_owned()));
            }
        }
        Ok(Self(queries))
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &SavedQuery> {
        self.0.iter()
    }
}

impl SavedQuery {
    fn of(stored: Stored) -> Result<Self, String> {
        let Stored { name, query, source, since, until } = stored;
        if name.trim().is_empty() || name.chars().count() > MAX_NAME || visible(&name) != name {
            return Err(format!("invalid name: expected 1 to {MAX_NAME} characters that can be seen"));
        }
        if !matches!(source.as_str(), "" | "security") {
            return Err(format!("invalid source {source:?}: expected \"security\", or leave it out"));
        }
        let now = Moment::now();
        let is_time = |text: &str, moment: Option<Moment>| text.is_empty() || moment.is_some();
        for (member, text, is_valid) in [
            ("since", &since, is_time(&since, moment_of(&since, now))),
            ("until", &until, is_time(&until, end_moment_of(&until, now))),
        ] {
            if !is_valid {
                let expected = "expected for example 2h (ago), today, 2026-11-29 or 2026-11-29 07:00";
                return Err(format!("invalid time {text:?} in {member}: {expected}"));
            }
        }
        let saved =
            Self { name, parameters: Parameters { q: query, since, until, source, ..Parameters::default() } };
        saved.query(now).map_err(|error| format!("invalid query: {error}"))?;
        Ok(saved)
    }

    /// Returns the query with the condition of its source; times such as `2h` are relative to `now`.
    pub(crate) fn query(&self, now: Moment) -> Result<Query, auditx_reader::QueryError> {
        let query = Query::parse(&self.parameters.q, now)?;
        let is_security = self.parameters.is_security();
        Ok(if is_security { query.and(Query::is(Field::Level, ["SECURITY", "CRITICAL"])) } else { query })
    }
}

/// Links to the saved queries, in the time zone of this view.
pub(crate) fn links(saved: &SavedQueries, base: &str, shown: &Parameters) -> Markup {
    let home = layout::home(base);
    let link = |query: &SavedQuery| {
        let Parameters { q, since, until, source, .. } = &query.parameters;
        let is_here = [q, since, until, source] == [&shown.q, &shown.since, &shown.until, &shown.source];
        let parameters = Parameters { tz: shown.tz.clone(), ..query.parameters.clone() };
        html! {
            li {
                a href=(parameters.address(home, |_| ())) aria-current=[is_here.then_some("true")] {
                    (query.name)
                }
            }
        }
    };
    html! {
        @if !saved.0.is_empty() {
            nav.saved aria-label="Saved queries" {
                ul { @for query in saved.iter() { (link(query)) } }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn why(text: &str) -> String {
        SavedQueries::parse(text).unwrap_err()
    }

    #[test]
    fn an_invalid_query_is_shown_with_the_place_of_its_error() {
        assert!(why(r#"[{"name": "A", "query": ""}, {"name": "B", "query": "usr:mya"}]"#).starts_with(
            "query 2 (\"B\"): invalid query: unknown field \"usr\": did you mean \"user\"?\n  usr:mya\n  ^^^"
        ));
    }

    #[test]
    fn a_mistake_in_the_file_is_named() {
        let unknown = why(r#"[{"name": "A", "qeury": "x"}]"#);
        assert!(unknown.starts_with("unknown field `qeury`, expected one of `name`, `query`"), "{unknown}");
        assert!(unknown.ends_with("at line 1 column 22"), "{unknown}");
        assert!(
            why(r#"[{"name": "A", "query": ""}, {"name": "A", "query": ""}]"#)
                .contains("query 2 (\"A\"): this name")
        );
        assert!(why(r#"[{"name": " ", "query": ""}]"#).contains("invalid name"));
        assert!(
            why(r#"[{"name": "A", "query": "", "since": "soon"}]"#)
                .contains("invalid time \"soon\" in since")
        );
        assert!(why(r#"[{"name": "A", "query": "", "source": "x"}]"#).contains("invalid source \"x\""));
    }
}
