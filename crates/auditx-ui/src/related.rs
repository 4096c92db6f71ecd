//! Which entries are related to an entry, and why. The page of an entry links to them, the API lists them.

use std::time::Duration;

use auditx_reader::{Field, Moment, Query, Row, Zone};

use crate::problem::Problem;
use crate::selection::{Parameters, quoted};

/// How far the entries of the same user may be from an entry in time.
const NEAR: Duration = Duration::from_secs(15 * 60);

/// The longest value that is searched for, in bytes, so that a query for all relations is not too long.
const MAX_VALUE: usize = 1_000;

/// What related entries have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    Request,
    Session,
    /// The same user, at most [`NEAR`] before or after.
    User,
    Entity,
}

impl Why {
    /// Returns the name of the reason in the API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Session => "session",
            Self::User => "user",
            Self::Entity => "entity",
        }
    }
}

/// Entries that have something in common with an entry, which is one of them.
#[derive(Debug)]
pub(crate) struct Relation {
    pub(crate) why: Why,
    query: String,
    /// The period, in the query language; `None` for all time.
    period: Option<(String, String)>,
}

impl Relation {
    /// Returns the parameters of a search for these entries.
    pub(crate) fn parameters(&self) -> Parameters {
        let (since, until) = self.period.clone().unwrap_or_default();
        Parameters { q: self.query.clone(), since, until, ..Parameters::default() }
    }

    /// Returns the query for these entries, with the period.
    fn text(&self) -> String {
        match &self.period {
            Some((since, until)) => format!("{} since:{} until:{}", self.query, quoted(since), quoted(until)),
            None => self.query.clone(),
        }
    }
}

/// Returns what other entries may have in common with this one.
pub(crate) fn relations(row: &Row<'_>) -> Vec<Relation> {
    let mut relations = Vec::new();
    let mut add = |why, query, period| relations.push(Relation { why, query, period });
    for (why, field) in [(Why::Request, Field::RequestId), (Why::Session, Field::SessionId)] {
        let value = row.text(field);
        if !value.is_empty() && value.len() <= MAX_VALUE {
            add(why, format!("{}:{}", field.name(), quoted(&value)), None);
        }
    }
    let (user, moment) = (row.text(Field::User), row.moment());
    // Without a time, all entries of the user would be related.
    if let Some(moment) = moment.filter(|_| !user.is_empty() && user.len() <= MAX_VALUE) {
        let time = |moment| Zone::default().rfc3339(moment);
        let period = (time(moment.before(NEAR)), time(moment.after(NEAR)));
        add(Why::User, format!("user:{}", quoted(&user)), Some(period));
    }
    let (kind, id) = (row.text(Field::EntityType), row.text(Field::EntityId));
    if !kind.is_empty() && !id.is_empty() && kind.len() + id.len() <= MAX_VALUE {
        add(Why::Entity, of_entity(&kind, &id), None);
    }
    relations
}

/// Returns the query for the history of a record.
pub(crate) fn of_entity(kind: &str, id: &str) -> String {
    format!("entity_type:{} entity_id:{}", quoted(kind), quoted(id))
}

/// Returns one query for all of these entries except the one with this id.
pub(crate) fn query_of_all(relations: &[Relation], id: &str) -> String {
    let queries: Vec<String> = relations.iter().map(|relation| format!("({})", relation.text())).collect();
    // Nothing has a number below 0: an entry without relations has no related entries.
    if queries.is_empty() {
        "seq:<0".to_owned()
    } else {
        format!("({}) -id:{}", queries.join(" OR "), quoted(id))
    }
}

/// Says for each related entry why it is one.
#[derive(Debug)]
pub(crate) struct Reasons(Vec<(Why, Query)>);

impl Reasons {
    pub(crate) fn of(relations: &[Relation]) -> Result<Self, Problem> {
        let parsed = relations.iter().map(|relation| {
            let query = Query::parse(&relation.text(), Moment::now());
            query
                .map(|query| (relation.why, query))
                .map_err(|error| Problem::bad_request(format!("invalid query: {error}")))
        });
        parsed.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the names of the reasons why this entry is related.
    pub(crate) fn names(&self, row: &Row<'_>) -> Vec<&'static str> {
        self.0.iter().filter(|(_, query)| query.matches(row)).map(|(why, _)| why.name()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"seq":7,"id":"i","timestamp":"2026-11-24T09:00:00.000000Z","user":"a \"b\"",
        "entity_type":"invoice","entity_id":"42","request_id":"r1"}"#;

    fn reasons(line: &str) -> Vec<&'static str> {
        let entry = Row::read_text(LINE).unwrap();
        let relations = relations(&entry);
        let other = Row::read_text(line).unwrap();
        let names = Reasons::of(&relations).unwrap().names(&other);
        let all = Query::parse(&query_of_all(&relations, "i"), Moment::now()).unwrap();
        assert_eq!(all.matches(&other), !names.is_empty() && other.text(Field::Id) != "i", "{line}");
        names
    }

    #[test]
    fn an_entry_says_why_it_is_related() {
        assert_eq!(reasons(LINE), ["request", "user", "entity"]);
        for (line, expected) in [
            (r#"{"seq":8,"request_id":"r1"}"#, &["request"][..]),
            (r#"{"seq":8,"entity_type":"invoice","entity_id":"42"}"#, &["entity"]),
            (r#"{"seq":8,"entity_type":"order","entity_id":"42"}"#, &[]),
            (r#"{"seq":8,"timestamp":"2026-11-24T09:14:59.000000Z","user":"a \"b\""}"#, &["user"]),
            (r#"{"seq":8,"timestamp":"2026-11-24T08:44:59.000000Z","user":"a \"b\""}"#, &[]),
            (r#"{"seq":8,"session_id":""}"#, &[]),
        ] {
            assert_eq!(reasons(line), expected, "{line}");
        }
    }

    #[test]
    fn an_entry_that_shares_nothing_has_no_related_entries() {
        let row = Row::read_text(r#"{"seq":7,"id":"i"}"#).unwrap();
        assert!(relations(&row).is_empty());
        assert!(!Query::parse(&query_of_all(&[], "i"), Moment::now()).unwrap().matches(&row));
    }
}
