//! Stores the fields of spans in the spans' extensions, and reads them for the events inside these spans.

use serde_json::{Map, Value};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::fields::{Fields, insert_reserved};

/// A span's fields, stored in its extensions. All layers of this crate in one subscriber share them.
#[derive(Debug)]
struct SpanFields(Map<String, Value>);

/// Adds fields to those stored with the span.
fn store<S>(id: &Id, fields: Map<String, Value>, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(span) = context.span(id) else { return };
    let mut extensions = span.extensions_mut();
    match extensions.get_mut::<SpanFields>() {
        Some(SpanFields(known)) => known.extend(fields),
        None => extensions.insert(SpanFields(fields)),
    }
}

pub(crate) fn on_new_span<S>(attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // The fields are formatted before the extensions are locked: the application's formatting code may use
    // spans itself.
    store(id, Fields::of_span(attributes), context);
}

pub(crate) fn on_record<S>(id: &Id, record: &Record<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    store(id, Fields::of_record(record), context);
}

/// Returns the spans of an event, the outermost first; each is an object with the span's fields and its
/// `name`.
pub(crate) fn spans_of<S>(event: &Event<'_>, context: &Context<'_, S>) -> Vec<Value>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(scope) = context.event_scope(event) else { return Vec::new() };
    scope
        .from_root()
        .map(|span| {
            let stored = span.extensions().get::<SpanFields>().map(|SpanFields(fields)| fields.clone());
            let mut fields = stored.unwrap_or_default();
            insert_reserved(&mut fields, "name", span.name());
            Value::Object(fields)
        })
        .collect()
}
