//! Translates a query into a PostgreSQL condition over the columns of a shipped entry (docs/SCALE.md).
//!
//! Every matching entry meets the condition, and as few others as SQL can distinguish; the caller checks the
//! returned lines with the query itself. So the condition can omit whatever SQL evaluates differently, such
//! as case folding, which depends on the database's locale: ASCII letters are compared in the collation `C`,
//! other letters are left to the query.
//!
//! A negation is translated only if the negated condition is exact: entries that an inexact condition wrongly
//! includes would be wrongly excluded by its negation.

use auditx_format::moment::Moment;
use auditx_format::row::Field;

use super::ast::{Node, Term, Test};
use super::network::Network;
use super::plan::{Needle, Plan};
use super::text::{Case, Literal, Pattern, Piece};

/// A condition, and the values of its parameters `$1`, `$2`, …
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SqlCondition {
    /// The condition; empty if it does not restrict anything.
    pub text: String,
    /// The values to bind, in order.
    pub parameters: Vec<SqlParameter>,
}

/// A value to bind to a parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlParameter {
    /// A `text`.
    Text(String),
    /// A `timestamptz`.
    Moment(Moment),
}

/// Matches text that PostgreSQL accepts as an IPv4 address.
const IPV4: &str = r"^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(\.(?!$)|$)){4}$";

pub(super) fn condition(node: &Node) -> SqlCondition {
    let mut writer = Writer { parameters: Vec::new() };
    let mut parts: Vec<String> = writer.bound(node).into_iter().collect();
    parts.extend(writer.needle(&Plan::of(node).needle));
    SqlCondition { text: parts.join(" AND "), parameters: writer.parameters }
}

/// The column that holds the field.
fn column(field: Field) -> Option<&'static str> {
    Some(match field {
        Field::CompanyId => "company",
        Field::BranchId => "branch",
        Field::User => "actor",
        Field::Action => "action",
        Field::Module => "module",
        Field::Level => "level",
        Field::EntityType => "entity_type",
        Field::EntityId => "entity_id",
        Field::ReferenceNo => "reference_no",
        _ => return None,
    })
}

/// Whether exactly the matching entries meet the condition translated from this node.
fn is_exact(node: &Node) -> bool {
    match node {
        Node::Everything => true,
        Node::All(nodes) | Node::Any(nodes) => nodes.iter().all(is_exact),
        Node::Not(node) => is_exact(node),
        Node::Term(Term::Field(field, tests)) => {
            column(*field).is_some()
                && tests.iter().all(|test| matches!(test, Test::Equal(literal) if is_plain(&literal.text)))
        }
        Node::Term(_) => false,
    }
}

/// PostgreSQL's `text` cannot hold NUL: the columns have a replacement character instead.
fn is_plain(text: &str) -> bool {
    !text.contains(['\0', char::REPLACEMENT_CHARACTER])
}

struct Writer {
    parameters: Vec<SqlParameter>,
}

impl Writer {
    fn bind(&mut self, parameter: SqlParameter) -> String {
        self.parameters.push(parameter);
        format!("${}", self.parameters.len())
    }

    /// `None` if the node restricts nothing that SQL can express.
    fn bound(&mut self, node: &Node) -> Option<String> {
        match node {
            Node::Everything => None,
            Node::All(nodes) => {
                let parts: Vec<String> = nodes.iter().filter_map(|node| self.bound(node)).collect();
                (!parts.is_empty()).then(|| format!("({})", parts.join(" AND ")))
            }
            Node::Any(nodes) => {
                let len_before = self.parameters.len();
                let parts: Option<Vec<String>> = nodes.iter().map(|node| self.bound(node)).collect();
                if parts.is_none() {
                    self.parameters.truncate(len_before);
                }
                parts.map(|parts| format!("({})", parts.join(" OR ")))
            }
            Node::Not(node) if **node == Node::Everything => Some("false".to_owned()),
            Node::Not(node) if is_exact(node) => {
                self.bound(node).map(|condition| format!("({condition}) IS NOT TRUE"))
            }
            Node::Not(_) => None,
            Node::Term(term) => self.term(term),
        }
    }

    fn term(&mut self, term: &Term) -> Option<String> {
        match term {
            Term::Since(moment) => {
                Some(format!("recorded_at >= {}", self.bind(SqlParameter::Moment(*moment))))
            }
            Term::Until(moment) => {
                Some(format!("recorded_at < {}", self.bind(SqlParameter::Moment(*moment))))
            }
            Term::Field(Field::Ip, tests) => self.addresses(tests),
            Term::Field(field, tests) => {
                let (column, len_before) = (column(*field)?, self.parameters.len());
                let parts: Option<Vec<String>> = tests.iter().map(|test| self.test(column, test)).collect();
                if parts.is_none() {
                    self.parameters.truncate(len_before);
                }
                parts.map(|parts| format!("({})", parts.join(" OR ")))
            }
            Term::Word(_) | Term::WordLike(_) | Term::Member(..) | Term::Changed(_) | Term::Success(_) => {
                None
            }
        }
    }

    /// Translates networks. There is no column for addresses: they are in the body, which is NULL if jsonb
    /// rejects the line. Only text that is an IPv4 address is cast to inet, since the cast could fail on any
    /// other; CASE guarantees that order of evaluation. Addresses with a colon are left to the query.
    fn addresses(&mut self, tests: &[Test]) -> Option<String> {
        let networks: Option<Vec<&Network>> = tests
            .iter()
            .map(|test| if let Test::Network(network) = test { Some(network) } else { None })
            .collect();
        let mut parts = vec!["body IS NULL".to_owned(), "body->>'ip' LIKE '%:%'".to_owned()];
        for network in networks?.into_iter().filter(|network| network.is_ipv4()) {
            let network = self.bind(SqlParameter::Text(network.to_string()));
            parts.push(format!(
                "CASE WHEN body->>'ip' ~ '{IPV4}' THEN (body->>'ip')::inet <<= {network}::text::inet \
                 ELSE false END"
            ));
        }
        Some(format!("({})", parts.join(" OR ")))
    }

    fn test(&mut self, column: &str, test: &Test) -> Option<String> {
        match test {
            Test::Present => Some(format!("{column} <> ''")),
            Test::Equal(literal) => self.equal(column, literal),
            Test::Like(pattern) => {
                let (case, text) = like(pattern)?;
                let folded = folded(&format!("coalesce({column}, '')"), case);
                Some(format!("{folded} LIKE {}", self.bind(SqlParameter::Text(text))))
            }
            Test::Contains(word) if word.text.is_ascii() && is_plain(&word.text) => {
                let folded = folded(column, Case::Ascii);
                let word = word.text.to_ascii_lowercase();
                // A missing value contains nothing but the empty word.
                (!word.is_empty())
                    .then(|| format!("strpos({folded}, {}) > 0", self.bind(SqlParameter::Text(word))))
            }
            Test::Absent
            | Test::Contains(_)
            | Test::ContainsLike(_)
            | Test::Same(..)
            | Test::Expression(_)
            | Test::Network(_)
            | Test::Between(_) => None,
        }
    }

    fn equal(&mut self, column: &str, Literal { text, case }: &Literal) -> Option<String> {
        if text.is_empty() {
            return Some(format!("coalesce({column}, '') = ''"));
        }
        if !is_plain(text) {
            return None;
        }
        let has_letters = text.bytes().any(|byte| byte.is_ascii_alphabetic());
        let case = if *case == Case::Exact || !has_letters { Case::Exact } else { Case::Ascii };
        let text = if case == Case::Exact { text.to_string() } else { text.to_ascii_lowercase() };
        Some(format!("{} = {}", folded(column, case), self.bind(SqlParameter::Text(text))))
    }

    /// The line contains one of the literals, or an escape.
    fn needle(&mut self, needle: &Needle) -> Option<String> {
        let Needle::OneOf(literals) = needle else { return None };
        let texts: Option<Vec<(&str, bool)>> = literals
            .iter()
            .map(|literal| Some((std::str::from_utf8(&literal.bytes).ok()?, literal.ignores_case)))
            .collect();
        let mut parts = vec!["strpos(line, '\\') > 0".to_owned()];
        for (text, ignores_case) in texts?.into_iter().filter(|(text, _)| !text.contains('\0')) {
            let case = if ignores_case { Case::Ascii } else { Case::Exact };
            let text = if ignores_case { text.to_ascii_lowercase() } else { text.to_owned() };
            let text = self.bind(SqlParameter::Text(text));
            parts.push(format!("strpos({}, {text}) > 0", folded("line", case)));
        }
        Some(format!("({})", parts.join(" OR ")))
    }
}

/// The expression itself, or with ASCII letters in lower case.
fn folded(text: &str, case: Case) -> String {
    match case {
        Case::Exact => text.to_owned(),
        Case::Ascii | Case::Folded => format!("lower({text} COLLATE \"C\")"),
    }
}

/// Translates a pattern for LIKE.
fn like(pattern: &Pattern) -> Option<(Case, String)> {
    let mut text = String::new();
    for piece in &pattern.pieces {
        match *piece {
            Piece::Any => text.push('%'),
            Piece::One => text.push('_'),
            Piece::Char('\0' | char::REPLACEMENT_CHARACTER) => return None,
            // SQL folds letters outside ASCII differently.
            Piece::Char(c) if pattern.case == Case::Folded && !c.is_ascii() => return None,
            Piece::Char(c) => {
                if ['%', '_', '\\'].contains(&c) {
                    text.push('\\');
                }
                text.push(c);
            }
        }
    }
    let case = if pattern.case == Case::Exact { Case::Exact } else { Case::Ascii };
    Some((case, if case == Case::Exact { text } else { text.to_ascii_lowercase() }))
}

#[cfg(test)]
mod tests {
    use crate::query::Query;

    use super::*;

    fn sql(query: &str) -> (String, Vec<String>) {
        let SqlCondition { text, parameters } = Query::parse(query, Moment::from_micros(0)).unwrap().sql();
        let shown = parameters.into_iter().map(|parameter| match parameter {
            SqlParameter::Text(text) => text,
            SqlParameter::Moment(moment) => moment.to_string(),
        });
        (text, shown.collect())
    }

    #[track_caller]
    fn assert_sql(query: &str, text: &str, parameters: &[&str]) {
        assert_eq!(sql(query), (text.to_owned(), parameters.iter().map(ToString::to_string).collect()));
    }

    #[test]
    fn fields_with_a_column_are_compared_with_bound_values() {
        assert_sql("since:1h", "recorded_at >= $1", &["1969-12-31T23:00:00.000000Z"]);
        let injected = "user:\"x'; DROP\"";
        assert_sql(
            injected,
            "(actor = $1) AND (strpos(line, '\\') > 0 OR strpos(line, $2) > 0)",
            &["x'; DROP", "\"x'; DROP\""],
        );
        assert_sql(
            "level:Audit ref:SI-2026-*",
            "((lower(level COLLATE \"C\") = $1) AND (coalesce(reference_no, '') LIKE $2)) \
             AND (strpos(line, '\\') > 0 OR strpos(line, $3) > 0)",
            &["audit", "SI-2026-%", "\"SI-2026-"],
        );
        assert_sql(
            "branch:*",
            "(branch <> '') AND (strpos(line, '\\') > 0 OR strpos(line, $1) > 0)",
            &["\"branch_id\""],
        );
        assert_sql("company:\"\"", "(coalesce(company, '') = '')", &[]);
    }

    #[test]
    fn only_text_that_is_an_address_is_cast() {
        let condition = format!(
            "(body IS NULL OR body->>'ip' LIKE '%:%' OR CASE WHEN body->>'ip' ~ '{IPV4}' \
             THEN (body->>'ip')::inet <<= $1::text::inet ELSE false END)"
        );
        assert_sql(
            "ip:10.1.0.0/16",
            &format!(
                "{condition} AND (strpos(line, '\\') > 0 OR strpos(line, $2) > 0 \
                 OR strpos(lower(line COLLATE \"C\"), $3) > 0)"
            ),
            &["10.1.0.0/16", "\"10.1.", ":ffff:"],
        );
        assert_sql("-ip:10.1.0.0/16", "", &[]);
        assert_sql(
            "ip:10.1.0.0/16,unknown",
            "(strpos(line, '\\') > 0 OR strpos(line, $1) > 0 OR strpos(line, $2) > 0 \
             OR strpos(lower(line COLLATE \"C\"), $3) > 0)",
            &["\"10.1.", "\"unknown\"", ":ffff:"],
        );
    }

    #[test]
    fn only_exact_conditions_are_negated() {
        assert_sql("-user:admin", "((actor = $1)) IS NOT TRUE", &["admin"]);
        assert_sql("-invoice", "", &[]);
        assert_sql("-user:adm*", "", &[]);
        assert_sql(
            "-(user:admin OR user:guest)",
            "(((actor = $1) OR (actor = $2))) IS NOT TRUE",
            &["admin", "guest"],
        );
        assert_sql("-(user:admin invoice)", "", &[]);
    }

    #[test]
    fn an_unrestricted_alternative_adds_no_parameters() {
        assert_sql(
            "user:admin OR amount:>5",
            "(strpos(line, '\\') > 0 OR strpos(line, $1) > 0 OR strpos(line, $2) > 0)",
            &["\"admin\"", "\"amount\""],
        );
        assert_sql(
            "user:ÉLODIE*",
            "(coalesce(actor, '') LIKE $1) AND (strpos(line, '\\') > 0 OR strpos(line, $2) > 0)",
            &["ÉLODIE%", "\"ÉLODIE"],
        );
    }
}
