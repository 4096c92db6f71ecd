//! The layer: from an event to a line of app.log, or to an entry.

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
use crate::fields::{Fields, put_own};
use crate::levels::{Home, LevelHandle, parse};
use crate::spans;
use crate::writing::Writing;

/// Writes events to app.log, with their spans and the current [`RequestContext`](auditx_core::RequestContext)'s request and user.
///
/// By itself it takes events of every level: give it levels that can change with [`AuditTracingLayer::with_levels`], or any
/// filter with `with_filter`. ERROR, WARN and INFO are ERROR, WARNING and INFO in app.log; DEBUG and TRACE are DEBUG.
///
/// Each event costs a formatted line and one write(2) on the thread that says it. What is said while a thread writes an event
/// is skipped and counted, so nothing can go round in circles.
#[derive(Debug, Clone, Default)]
pub struct AuditTracingLayer {
    logger: Option<AuditLogger>,
    takes_entries: bool,
    repeats_entries: bool,
    counts: Counts,
    /// For its levels, which have to know it.
    subscriber: Home,
}

impl AuditTracingLayer {
    /// Writes to the process-wide logger, entries off.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Default: the process-wide logger, [`audit()`](auditx_core::audit), as it is at each event. The first event opens it where
    /// nothing did before: call [`configure`](auditx_core::configure) before the subscriber is installed.
    #[must_use]
    pub fn logger(mut self, logger: AuditLogger) -> Self {
        self.logger = Some(logger);
        self
    }

    /// Default: false. Whether events of the target [`AUDIT_TARGET`] become entries instead of lines in app.log.
    ///
    /// The message is the description. Fields named `action`, `module`, `level`, `entity_type`, `entity_id`, `reference_no`,
    /// `amount`, `currency`, `success`, `reason`, `user`, `user_role`, `on_behalf_of`, `company_id`, `branch_id`, `request_id`,
    /// `session_id`, `ip`, `method`, `endpoint`, `status`, `old_values` and `new_values` (JSON text) are the entry's facts; all
    /// others go to its metadata. What no field says comes from the context, and the level from the event's: ERROR, WARNING,
    /// for INFO `AUDIT`, for the rest DEBUG.
    ///
    /// A fact that cannot be read goes to the metadata as it was given, and [`INVALID_FACTS`](crate::INVALID_FACTS) there says
    /// why. An entry that is refused is written to app.log as an error and counted by [`Counts::failed`]; so is one that a hook
    /// or a signer of the trail asks for, which would bring the next one with it.
    ///
    /// Recording is [`record()`](auditx_core::EntryBuilder::record): it survives the death of the process, and it waits where
    /// the journal is full.
    #[must_use]
    pub fn entries(mut self, takes_entries: bool) -> Self {
        self.takes_entries = takes_entries;
        self
    }

    /// Default: false. Whether events that became entries are lines in app.log as well.
    #[must_use]
    pub fn entries_in_app_log(mut self, repeats_entries: bool) -> Self {
        self.repeats_entries = repeats_entries;
        self
    }

    /// What became of events so far; keep it before the layer goes into the subscriber.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.counts.clone()
    }

    /// The layer with levels such as `info,sqlx=warn`, and the handle that changes them; see [`LevelHandle::set`]. The levels
    /// are this layer's alone. They never hide an event that is to become an entry.
    ///
    /// # Errors
    /// `is_directive` where the levels cannot be read.
    pub fn with_levels<S>(
        mut self,
        directives: &str,
    ) -> Result<(impl Layer<S> + Send + Sync + 'static, LevelHandle)>
    where
        S: Subscriber + for<'a> LookupSpan<'a>,
    {
        let (levels, handle) = reload::Layer::new(parse(directives)?);
        let takes_entries = self.takes_entries;
        // The hint: a filter that names none would have the program look at every callsite below all levels.
        let hint = if takes_entries { LevelFilter::TRACE } else { LevelFilter::OFF };
        let entries = filter_fn(move |metadata| takes_entries && metadata.target() == AUDIT_TARGET)
            .with_max_level_hint(hint);
        // A layer that this is a clone of may be in another subscriber.
        self.subscriber = Home::default();
        let handle = LevelHandle::new(handle, self.subscriber.clone());
        Ok((self.with_filter(entries.or(levels)), handle))
    }

    /// The logger as it is now; none while the process-wide one is first set up, which may be waiting for this very thread.
    fn current_logger(&self) -> Option<&AuditLogger> {
        match &self.logger {
            Some(logger) => Some(logger),
            None => try_audit(),
        }
    }

    fn is_entry(&self, target: &str) -> bool {
        self.takes_entries && target == AUDIT_TARGET
    }

    /// Nothing can be written now, app.log included.
    fn miss(&self, target: &str) {
        if self.is_entry(target) {
            self.counts.add_failed();
        } else {
            self.counts.add_skipped();
        }
    }

    /// Records an entry; one that is refused is reported in app.log.
    fn record(&self, logger: &AuditLogger, level: Level, message: &str, fields: &Map<String, Value>) {
        let refusal = if in_callback() {
            "it was said inside a hook or a signer of the trail".to_owned()
        } else {
            match entry::record(logger, entry_level(level), message, fields) {
                Ok(is_invalid) => return self.counts.add_entry(is_invalid),
                Err(error) => error.to_string(),
            }
        };
        self.counts.add_failed();
        let mut fields = fields.clone();
        put_own(&mut fields, "not_recorded", refusal);
        put_own(&mut fields, "target", AUDIT_TARGET);
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
            // The process-wide logger could not be opened; there is no app.log.
            return self.counts.add_skipped();
        }
        put_own(&mut fields, "target", target);
        if !spans.is_empty() {
            put_own(&mut fields, "spans", spans);
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
        // A layer becomes part of one subscriber only.
        self.subscriber.get_or_init(|| subscriber.downgrade());
    }

    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        spans::begin(attributes, id, &context);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        spans::learn(id, record, &context);
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(_writing) = Writing::begin() else { return self.miss(metadata.target()) };
        let Fields { message, log_target, values } = Fields::of_event(event);
        let level = *metadata.level();
        let message = message.filter(|text| !text.is_empty()).unwrap_or_else(|| metadata.name().to_owned());
        let target = log_target.as_deref().unwrap_or(metadata.target());
        let Some(logger) = self.current_logger() else { return self.miss(target) };
        if self.is_entry(target) {
            self.record(logger, level, &message, &values);
            if !self.repeats_entries {
                return;
            }
        }
        self.write(logger, level, &message, (target, values), spans::around(event, &context));
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
