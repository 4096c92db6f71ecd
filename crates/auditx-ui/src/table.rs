//! Entries as rows of a table, and an entry's values as text.

use auditx_reader::{Field, Json, Moment, Row, Zone};
use maud::{Markup, html};

use crate::layout::visible;
use crate::page::Hit;
use crate::selection::percent_encode;

/// Fields of an entry that its page does not repeat: they have a place of their own.
const SHOWN_ELSEWHERE: [Field; 3] = [Field::OldValues, Field::NewValues, Field::Description];

/// Returns the time of an entry in this zone, to the second, and exactly; both are the text of the entry if
/// that is not a valid time.
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

/// The address of the page of an entry.
pub(crate) fn entry_address(base: &str, trail: &str, seq: u64) -> String {
    with_trail(format!("{base}/entries/{seq}"), trail)
}

/// The address of the proof of an entry.
pub(crate) fn proof_address(base: &str, trail: &str, seq: u64) -> String {
    with_trail(format!("{base}/api/v1/entries/{seq}/proof"), trail)
}

fn with_trail(mut address: String, trail: &str) -> String {
    if !trail.is_empty() {
        address.push_str("?trail=");
        percent_encode(trail, &mut address);
    }
    address
}

pub(crate) fn rows(hits: &[Hit], zone: &Zone, base: &str) -> Markup {
    let is_family = hits.iter().any(|hit| !hit.trail.is_empty());
    html! {
        div.scroll tabindex="0" role="region" aria-label="Entries" {
            table {
                thead { tr {
                    th scope="col" { "Time" } th scope="col" { "Level" } th scope="col" { "User" }
                    th scope="col" { "Action" } th scope="col" { "Description" } th scope="col" { "Record" }
                    @if is_family { th scope="col" { "Trail" } }
                } }
                tbody {
                    @for hit in hits {
                        @if let Some(row) = hit.row() { (one(hit, &row, zone, base)) }
                    }
                }
            }
        }
    }
}

fn one(hit: &Hit, row: &Row<'_>, zone: &Zone, base: &str) -> Markup {
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
                    Some(seq) => a href=(entry_address(base, &hit.trail, seq)) {
                        bdi { (visible(&description)) }
                    },
                    None => bdi { (visible(&description)) },
                }
                @if hit.is_unsigned { " " span.quiet { "not signed yet" } }
            }
            td { bdi { (visible(&entity(row))) } }
            @if !hit.trail.is_empty() { td { bdi { (visible(&hit.trail)) } } }
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
