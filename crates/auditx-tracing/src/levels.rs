//! Parses levels by target and replaces them at run time. The filtering itself is done by tracing-subscriber.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tracing::Subscriber;
use tracing::dispatcher::{WeakDispatch, with_default};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::reload;

use crate::error::{Error, Result};

/// A handle that changes the levels of one layer at run time; clones change the same layer. Created by
/// [`AuditTracingLayer::with_levels`](crate::AuditTracingLayer::with_levels).
///
/// Other layers of the same subscriber are not affected.
///
/// ```
/// use auditx_tracing::AuditTracingLayer;
/// use tracing_subscriber::layer::SubscriberExt;
///
/// let (layer, levels) = AuditTracingLayer::new().with_levels("info")?;
/// let subscriber = tracing_subscriber::registry().with(layer);
/// levels.set("warn, erp::sales=debug")?;
/// assert_eq!(levels.current()?, "erp::sales=debug,warn");
/// let error = levels.set("warn,sqlx=loud").unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#"invalid level "loud" in "sqlx=loud": expected off, error, warn, info, debug or trace"#,
/// );
/// # drop(subscriber);
/// # Ok::<(), auditx_tracing::Error>(())
/// ```
#[derive(Clone)]
pub struct LevelHandle {
    levels: Arc<dyn ReloadLevels>,
    subscriber: SubscriberCell,
}

/// The subscriber that a layer belongs to; set when the subscriber is registered.
pub(crate) type SubscriberCell = Arc<OnceLock<WeakDispatch>>;

impl LevelHandle {
    pub(crate) fn new<S: Subscriber>(levels: reload::Handle<Targets, S>, subscriber: SubscriberCell) -> Self {
        Self { levels: Arc::new(levels), subscriber }
    }

    /// Replaces all levels. A directive is either a default level or `target=level`, which applies to all
    /// targets with that prefix (`sqlx=warn` includes `sqlx::query`). The longest matching prefix wins.
    /// Targets without a directive are off.
    ///
    /// The levels take effect for all threads before this function returns. It re-evaluates every callsite of
    /// the program.
    ///
    /// # Errors
    /// `is_directive` if a directive is neither a level nor `target=level`; `is_gone` if the subscriber has
    /// been dropped. The levels are then unchanged.
    pub fn set(&self, directives: &str) -> Result<()> {
        let targets = parse(directives)?;
        let replace = || self.levels.replace(targets);
        match self.subscriber.get().and_then(WeakDispatch::upgrade) {
            // If a process has one subscriber, `tracing` re-evaluates callsites with the calling thread's
            // default subscriber, which on this thread may be another one or none.
            Some(subscriber) => with_default(&subscriber, replace),
            None => replace(),
        }
    }

    /// Returns the current levels in the form that [`LevelHandle::set`] accepts, the longest targets first.
    ///
    /// # Errors
    /// `is_gone` if the subscriber has been dropped.
    pub fn current(&self) -> Result<String> {
        self.levels.to_text()
    }
}

impl fmt::Debug for LevelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LevelHandle").field("current", &self.current()).finish()
    }
}

/// A reload handle without its subscriber's type, so that [`LevelHandle`] has no type parameter.
trait ReloadLevels: Send + Sync {
    fn replace(&self, targets: Targets) -> Result<()>;
    fn to_text(&self) -> Result<String>;
}

impl<S: Subscriber> ReloadLevels for reload::Handle<Targets, S> {
    fn replace(&self, targets: Targets) -> Result<()> {
        // `reload` also re-evaluates every callsite.
        self.reload(targets).map_err(|_| Error::subscriber_dropped())
    }

    fn to_text(&self) -> Result<String> {
        self.with_current(Targets::to_string).map_err(|_| Error::subscriber_dropped())
    }
}

/// Parses directives. It is stricter than `Targets`, which accepts any word as a target to show at all
/// levels: a misspelt default level would turn off all other targets.
pub(crate) fn parse(directives: &str) -> Result<Targets> {
    let mut targets = Targets::new();
    for directive in directives.split(',').map(str::trim) {
        targets = match directive.split_once('=') {
            None => targets.with_default(level(directive, directive)?),
            Some((target, text)) => {
                let target = target.trim();
                if target.is_empty() || target.contains(['[', ']', '{', '}', '"']) {
                    return Err(Error::directive(format!(
                        "invalid target {target:?} in {directive:?}: expected a path such as my_crate::module"
                    )));
                }
                targets.with_target(target, level(text.trim(), directive)?)
            }
        };
    }
    Ok(targets)
}

fn level(text: &str, directive: &str) -> Result<LevelFilter> {
    const LEVELS: &str = "off, error, warn, info, debug or trace";
    // tracing also accepts the empty string (ERROR) and numbers as levels.
    let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    text.parse().ok().filter(|_| is_word).ok_or_else(|| {
        Error::directive(if text == directive {
            format!("invalid directive {text:?}: expected target=level or a level: {LEVELS}")
        } else {
            format!("invalid level {text:?} in {directive:?}: expected {LEVELS}")
        })
    })
}
