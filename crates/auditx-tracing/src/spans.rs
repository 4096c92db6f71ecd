//! The spans an event is in: their fields are kept with them, as they are made and as they learn more.

use serde_json::{Map, Value};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;

use crate::fields::{Fields, put_own};

/// What a span's extensions keep. Several layers of this crate in one subscriber share it.
#[derive(Debug)]
struct SpanFields(Map<String, Value>);

/// Adds to what is kept with the span.
fn keep<S>(id: &Id, fields: Map<String, Value>, context: &Context<'_, S>)
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

pub(crate) fn begin<S>(attributes: &Attributes<'_>, id: &Id, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    // Formatted before the extensions are locked: the application's code may use spans itself.
    keep(id, Fields::of_span(attributes), context);
}

pub(crate) fn learn<S>(id: &Id, record: &Record<'_>, context: &Context<'_, S>)
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    keep(id, Fields::of_record(record), context);
}

/// The spans that an event is in, the outermost first, each as its fields and its `name`.
pub(crate) fn around<S>(event: &Event<'_>, context: &Context<'_, S>) -> Vec<Value>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let Some(scope) = context.event_scope(event) else { return Vec::new() };
    scope
        .from_root()
        .map(|span| {
            let kept = span.extensions().get::<SpanFields>().map(|SpanFields(fields)| fields.clone());
            let mut fields = kept.unwrap_or_default();
            put_own(&mut fields, "name", span.name());
            Value::Object(fields)
        })
        .collect()
}
