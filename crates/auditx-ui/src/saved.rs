//! Saved queries: searches with a name, from a file of the operator. The dashboard never writes it.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use auditx_reader::{Moment, Query, Source, end_moment_of, length_of, moment_of};
use maud::{Markup, html};
use serde::Deserialize;

use crate::layout::{self, visible};
use crate::selection::Parameters;
use crate::webhook::Webhook;

/// The longest name, in characters.
const MAX_NAME: usize = 100;

/// The default and the shortest interval between two posts of an alert.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5 * 60);
const MIN_INTERVAL: Duration = Duration::from_secs(1);

/// Searches with names, shown as links on the page of the trail.
///
/// The file is a JSON array of objects: `name`, `query` (docs/QUERY.md), and optionally `source`
/// (`security`), `since` and `until`, as in the address of the page.
///
/// A query may have an `alert`, an object with the address of a `webhook`, and optionally `at_most_every`
/// (`5m` by default) and the secret that signs each post, in a `secret_file` or an environment variable,
/// `secret_env`. Paths are relative to the file. [`Alerts`](crate::Alerts) sends them.
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
    pub(crate) alert: Option<Alert>,
}

/// Where new entries that match are reported, and how often.
#[derive(Debug, Clone)]
pub(crate) struct Alert {
    pub(crate) webhook: Webhook,
    pub(crate) at_most_every: Duration,
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
    alert: Option<StoredAlert>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredAlert {
    webhook: String,
    at_most_every: Option<String>,
    secret_file: Option<PathBuf>,
    secret_env: Option<String>,
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
    /// Fails if the file cannot be read, is not JSON of this form, has an unknown member, two queries with
    /// the same name, or a query or time that is not valid. The error says which and where.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, SavedError> {
        let path = path.as_ref();
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string());
        let directory = path.parent().unwrap_or(Path::new(""));
        text.and_then(|text| Self::parse(&text, directory))
            .map_err(|why| SavedError(format!("saved queries in {}: {why}", path.display())))
    }

    fn parse(text: &str, directory: &Path) -> Result<Self, String> {
        let stored: Vec<Stored> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let mut names = HashSet::new();
        let mut queries = Vec::new();
        for (index, stored) in stored.into_iter().enumerate() {
            let name = stored.name.clone();
            let query = SavedQuery::of(stored, directory);
            let at = |why: String| format!("query {} ({name:?}): {why}", index + 1);
            queries.push(query.map_err(at)?);
            if !names.insert(name.clone()) {
                return Err(at("this name is taken by an earlier query: choose another".to_owned()));
            }
        }
        Ok(Self(queries))
    }

    /// Whether a query has an alert.
    #[must_use]
    pub fn has_alerts(&self) -> bool {
        self.iter().any(|query| query.alert.is_some())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &SavedQuery> {
        self.0.iter()
    }
}

impl SavedQuery {
    fn of(stored: Stored, directory: &Path) -> Result<Self, String> {
        let Stored { name, query, source, since, until, alert } = stored;
        if name.trim().is_empty() || name.chars().count() > MAX_NAME || visible(&name) != name {
            return Err(format!("invalid name: expected 1 to {MAX_NAME} visible characters"));
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
        let alert = alert.map(|alert| Alert::of(&alert, directory)).transpose();
        let alert = alert.map_err(|why| format!("alert: {why}"))?;
        let parameters = Parameters { q: query, since, until, source, ..Parameters::default() };
        let saved = Self { name, parameters, alert };
        saved.query(now).map_err(|error| format!("invalid query: {error}"))?;
        Ok(saved)
    }

    /// Returns the query with the condition of its source; times such as `2h` are relative to `now`.
    pub(crate) fn query(&self, now: Moment) -> Result<Query, auditx_reader::QueryError> {
        let query = Query::parse(&self.parameters.q, now)?;
        let is_security = self.parameters.is_security();
        Ok(if is_security { query.and(Source::Security.query()) } else { query })
    }
}

impl Alert {
    fn of(stored: &StoredAlert, directory: &Path) -> Result<Self, String> {
        let at_most_every = match &stored.at_most_every {
            None => DEFAULT_INTERVAL,
            Some(text) => length_of(text).filter(|length| *length >= MIN_INTERVAL).ok_or_else(|| {
                format!("invalid at_most_every {text:?}: expected a duration of 1s or more, such as 5m")
            })?,
        };
        let secret = match (&stored.secret_file, &stored.secret_env) {
            (None, None) => None,
            (Some(_), Some(_)) => return Err("give secret_file or secret_env, not both".to_owned()),
            (Some(path), None) => {
                let path = directory.join(path);
                let unreadable = |error| format!("cannot read the secret in {}: {error}", path.display());
                Some(std::fs::read_to_string(&path).map_err(unreadable)?)
            }
            (None, Some(name)) => {
                let unset = |error| format!("cannot read the secret in the variable {name}: {error}");
                Some(std::env::var(name).map_err(unset)?)
            }
        };
        Ok(Self { webhook: Webhook::new(&stored.webhook, secret.as_deref())?, at_most_every })
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
        SavedQueries::parse(text, Path::new("")).unwrap_err()
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

    #[test]
    fn a_mistake_in_an_alert_is_named() {
        let why = |alert: &str| why(&format!("[{{\"name\": \"A\", \"query\": \"\", \"alert\": {alert}}}]"));
        let hook = "\"webhook\": \"https://ops.example/hook\"";
        assert!(
            why("{\"webhook\": \"ops\"}")
                .starts_with("query 1 (\"A\"): alert: invalid address of the webhook")
        );
        assert!(why(&format!("{{{hook}, \"every\": \"5m\"}}")).starts_with("unknown field `every`"));
        for often in ["often", "0s", "10ms"] {
            let refused = why(&format!("{{{hook}, \"at_most_every\": \"{often}\"}}"));
            assert!(refused.contains(&format!("invalid at_most_every \"{often}\"")), "{refused}");
        }
        let absent = why(&format!("{{{hook}, \"secret_file\": \"/nowhere/secret\"}}"));
        assert!(absent.contains("cannot read the secret in /nowhere/secret: No such file"), "{absent}");
        let both = why(&format!("{{{hook}, \"secret_file\": \"a\", \"secret_env\": \"B\"}}"));
        assert!(both.contains("not both"), "{both}");
    }
}
