//! The tracing layer: writes events to app.log or records them as entries.

use auditx_core::{AuditLogger, LogLevel, in_callback, try_audit};
use serde_json::{Map, Value};
use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterExt, LevelFilter, filter_fn};
use tracing_subscriber::layer::Context;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;

use crate::counts::Counts;
use crate::entry::{self, AUDIT_TARGET};
use crate::error::Result;
use crate::fields::{Fields, insert_reserved};
use crate::levels::{LevelHandle, SubscriberCell, parse};
use crate::reentrancy::ReentrancyGuard;
use crate::spans;

/// Writes events to app.log, with their spans and with the request and user of the current
/// [`RequestContext`](auditx_core::RequestContext).
///
/// Without a filter, the layer handles events of all levels. [`AuditTracingLayer::with_levels`] adds levels
/// that can be changed at run time; `with_filter` adds any other filter. ERROR, WARN and INFO are written as
/// ERROR, WARNING and INFO; DEBUG and TRACE are written as DEBUG.
///
/// Each event costs a formatted line and one write(2) on the thread that emits it. Events that are emitted
/// while the same thread is writing an event are skipped and counted, which prevents infinite recursion.
#[derive(Debug, Clone, Default)]
pub struct AuditTracingLayer {
    logger: Option<AuditLogger>,
    takes_entries: bool,
    repeats_entries: bool,
    counts: Counts,
    /// The subscriber that this layer belongs to; its [`LevelHandle`] needs it.
    subscriber: SubscriberCell,
}

impl AuditTracingLayer {
    /// Creates a layer that writes to the process-wide logger and records no entries.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Default: the process-wide logger, [`audit()`](auditx_core::audit), looked up for each event. The first
    /// event opens it if nothing has opened it before, so call [`configure`](auditx_core::configure) before
    /// installing the subscriber.
    #[must_use]
    pub fn logger(mut self, logger: AuditLogger) -> Self {
        self.logger = Some(logger);
        self
    }

    /// Default: false. Whether events of the target [`AUDIT_TARGET`] are recorded as entries instead of lines
    /// in app.log.
    ///
    /// The message is the entry's description. Fields named `action`, `module`, `level`, `entity_type`,
    /// `entity_id`, `reference_no`, `amount`, `currency`, `success`, `reason`, `user`, `user_role`,
    /// `on_behalf_of`, `company_id`, `branch_id`, `request_id`, `session_id`, `ip`, `method`, `endpoint`,
    /// `status`, `old_values` and `new_values` (JSON text) set the entry's field of that name; all others go
    /// to its metadata. Fields that the event does not set are taken from the context. The default level
    /// follows from the event's level: ERROR, WARNING, `AUDIT` for INFO, and DEBUG for the rest.
    ///
    /// An invalid value is stored in the metadata unchanged, and [`INVALID_FACTS`](crate::INVALID_FACTS)
    /// there explains it. An entry that the logger refuses is written to app.log as an error and counted by
    /// [`Counts::failed`]. The same applies to events inside a hook or a signer of the trail, because
    /// recording such an entry would cause the next one.
    ///
    /// Entries are recorded with [`record()`](auditx_core::EntryBuilder::record): they survive a crash of the
    /// process, and recording waits while the journal is full.
    #[must_use]
    pub fn entries(mut self, takes_entries: bool) -> Self {
        self.takes_entries = takes_entries;
        self
    }

    /// Default: false. Whether events recorded as entries are written to app.log as well.
    #[must_use]
    pub fn entries_in_app_log(mut self, repeats_entries: bool) -> Self {
        self.repeats_entries = repeats_entries;
        self
    }

    /// Returns the handle to this layer's counters. Call it before the layer moves into the subscriber.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// Returns the layer with levels such as `info,sqlx=warn`, and the handle that changes them; see
    /// [`LevelHandle::set`]. The levels apply to this layer only. They never hide an event that is to be
    /// recorded as an entry.
    ///
    /// # Errors
    /// `is_directive` if a directive is invalid.
    pub fn with_levels<S>(
        mut self,
        directives: &str,
    ) -> Result<(impl Layer<S> + Send + Sync + 'static, LevelHandle)>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let (levels, handle) = reload::Layer::new(parse(directives)?);
        let takes_entries = self.takes_entries;
        // Without a maximum level hint, the filter would enable the callsites of all levels in the whole
        // program.
        let hint = if takes_entries { LevelFilter::TRACE } else { LevelFilter::OFF };
        let entries = filter_fn(move |metadata| takes_entries && metadata.target() == AUDIT_TARGET)
            .with_max_level_hint(hint);
        // This layer may be a clone of one that belongs to another subscriber.
        self.subscriber = SubscriberCell::default();
        let handle = LevelHandle::new(handle, self.subscriber.clone());
        Ok((self.with_filter(entries.or(levels)), handle))
    }

    /// Returns the current logger. `None` while the process-wide logger is being set up for the first time:
    /// setting it up may be waiting for this thread, so it must not block.
    fn current_logger(&self) -> Option<&AuditLogger> {
        match &self.logger {
            Some(logger) => Some(logger),
            None => try_audit(),
        }
    }

    fn is_entry(&self, target: &str) -> bool {
        self.takes_entries && target == AUDIT_TARGET
    }

    /// Counts an event that can be written neither to the trail nor to app.log.
    fn discard(&self, target: &str) {
        if self.is_entry(target) {
            self.counts.add_failed();
        } else {
            self.counts.add_skipped();
        }
    }

    /// Records an entry. If the logger refuses it, reports it in app.log.
    fn record(&self, logger: &AuditLogger, level: Level, message: &str, fields: &Map<String, Value>) {
        let refusal = if in_callback() {
            "events inside a hook or a signer of the trail are not recorded".to_owned()
        } else {
            match entry::record(logger, entry_level(level), message, fields) {
                Ok(is_invalid) => return self.counts.add_entry(is_invalid),
                Err(error) => error.to_string(),
            }
        };
        self.counts.add_failed();
        let mut fields = fields.clone();
        insert_reserved(&mut fields, "not_recorded", refusal);
        insert_reserved(&mut fields, "target", AUDIT_TARGET);
        logger.error(message, Value::Object(fields));
    }

    fn write(
        &self,
        logger: &AuditLogger,
        level: Level,
        message: &str,
        (target, mut fields): (&str, Map<String, Value>),
        spans: Vec<Value>,
    ) {
        if logger.trail_dir().is_err() {
            // The process-wide logger could not be opened, so there is no app.log.
            return self.counts.add_skipped();
        }
        insert_reserved(&mut fields, "target", target);
        if !spans.is_empty() {
            insert_reserved(&mut fields, "spans", spans);
        }
        let fields = Value::Object(fields);
        match level {
            Level::ERROR => logger.error(message, fields),
            Level::WARN => logger.warning(message, fields),
            Level::INFO => logger.info(message, fields),
            _ => logger.debug(message, fields),
        }
        self.counts.add_line();
    }
}

impl<S> Layer<S> for AuditTracingLayer
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_register_dispatch(&self, subscriber: &Dispatch) {
        // A layer belongs to one subscriber only.
        self.subscriber.get_or_init(|| subscriber.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        spans::on_new_span(attributes, id, &context);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        spans::on_record(id, record, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(_guard) = ReentrancyGuard::enter() else { return self.discard(metadata.target()) };
        let Fields { message, log_target, values } = Fields::of_event(event);
        let level = *metadata.level();
        let message = message.filter(|text| !text.is_empty()).unwrap_or_else(|| metadata.name().to_owned());
        let target = log_target.as_deref().unwrap_or(metadata.target());
        let Some(logger) = self.current_logger() else { return self.discard(target) };
        if self.is_entry(target) {
            self.record(logger, level, &message, &values);
            if !self.repeats_entries {
                return;
            }
        }
        self.write(logger, level, &message, (target, values), spans::spans_of(event, &context));
    }
}

fn entry_level(level: Level) -> LogLevel {
    match level {
        Level::ERROR => LogLevel::Error,
        Level::WARN => LogLevel::Warning,
        Level::INFO => LogLevel::Audit,
        _ => LogLevel::Debug,
    }
}
