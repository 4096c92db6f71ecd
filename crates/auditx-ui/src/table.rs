//! Entries as rows of a table, and an entry's values as text.

use auditx_reader::{Field, Json, Moment, Row, Zone};
use maud::{Markup, html};

use crate::layout::visible;
use crate::selection::Hit;

/// Fields of an entry that its page does not repeat: they have a place of their own.
const SHOWN_ELSEWHERE: [Field; 3] = [Field::OldValues, Field::NewValues, Field::Description];

/// Returns a time in this zone, to the second, and exactly; both are empty if the entry has none.
pub(crate) fn times(row: &Row<'_>, zone: &Zone) -> (String, String) {
    let text = row.text(Field::Timestamp);
    let Some(moment) = Moment::parse(&text) else { return (text.clone().into_owned(), text.into_owned()) };
    let exact = zone.rfc3339(moment);
    (short(&exact), exact)
}

/// Shortens an RFC 3339 time to the second, without its offset.
pub(crate) fn short(exact: &str) -> String {
    exact.get(..19).unwrap_or(exact).replace('T', " ")
}

/// The record that an entry is about, as TYPE/ID; empty if it is about none.
pub(crate) fn entity(row: &Row<'_>) -> String {
    let (kind, id) = (row.text(Field::EntityType), row.text(Field::EntityId));
    if kind.is_empty() && id.is_empty() { String::new() } else { format!("{kind}/{id}") }
}

pub(crate) fn rows(hits: &[Hit], zone: &Zone, base: &str) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label="Entries" {
            table {
                thead { tr {
                    th scope="col" { "Time" } th scope="col" { "Level" } th scope="col" { "User" }
                    th scope="col" { "Action" } th scope="col" { "Description" } th scope="col" { "Record" }
                } }
                tbody {
                    @for hit in hits {
                        @if let Some(row) = hit.row() { (one(&row, hit.is_unsigned, zone, base)) }
                    }
                }
            }
        }
    }
}

fn one(row: &Row<'_>, is_unsigned: bool, zone: &Zone, base: &str) -> Markup {
    let (short, exact) = times(row, zone);
    let description = row.text(Field::Description);
    let description = if description.is_empty() { "(no description)".into() } else { description };
    html! {
        tr.failed[!row.is_success()] {
            td.when { time datetime=(exact) title=(exact) { (visible(&short)) } }
            td { (visible(&row.text(Field::Level))) }
            td { bdi { (visible(&row.text(Field::User))) } }
            td {
                (visible(&row.text(Field::Module))) " " (visible(&row.text(Field::Action)))
                @if !row.is_success() { " failed" }
            }
            td {
                @match row.seq() {
                    Some(seq) => a href=(format!("{base}/entries/{seq}")) { bdi { (visible(&description)) } },
                    None => bdi { (visible(&description)) },
                }
                @if is_unsigned { " " span.quiet { "not signed yet" } }
            }
            td { bdi { (visible(&entity(row))) } }
        }
    }
}

/// The fields of an entry and their values.
pub(crate) fn fields(row: &Row<'_>) -> Markup {
    let present = Field::ALL.into_iter().filter(|field| !SHOWN_ELSEWHERE.contains(field));
    let values = present.filter_map(|field| Some((field.name(), row.get(field)?)));
    html! {
        table {
            tbody {
                @for (name, value) in values {
                    tr { th scope="row" { (name) } td { bdi { (visible(&text(value))) } } }
                }
            }
        }
    }
}

/// A value as text: a string without quotes, anything else as JSON.
pub(crate) fn text(value: Json<'_>) -> String {
    match value {
        Json::Object(raw) | Json::Array(raw) => raw.to_owned(),
        other => other.text().unwrap_or_default().into_owned(),
    }
}
