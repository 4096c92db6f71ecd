//! Levels by target, read from text and replaced while the program runs. The filtering itself is tracing-subscriber's.

use std::fmt;
use std::sync::{Arc, OnceLock};

use tracing::Subscriber;
use tracing::dispatcher::{WeakDispatch, with_default};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::reload;

use crate::error::{Error, Result};

/// Changes the levels of one layer while the program runs; clones change the same. Made by
/// [`AuditTracingLayer::with_levels`](crate::AuditTracingLayer::with_levels).
///
/// Other layers of the same subscriber keep their levels.
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
///     r#""loud" in "sqlx=loud" is not a level; one of off error warn info debug trace"#,
/// );
/// # drop(subscriber);
/// # Ok::<(), auditx_tracing::Error>(())
/// ```
#[derive(Clone)]
pub struct LevelHandle {
    levels: Arc<dyn Swap>,
    subscriber: Home,
}

/// The subscriber that a layer is part of, once it is.
pub(crate) type Home = Arc<OnceLock<WeakDispatch>>;

impl LevelHandle {
    pub(crate) fn new<S: Subscriber>(levels: reload::Handle<Targets, S>, subscriber: Home) -> Self {
        Self { levels: Arc::new(levels), subscriber }
    }

    /// Replaces all levels: one for whatever is not named, and one for each target named, by the beginning of its name
    /// (`sqlx=warn` is also `sqlx::query`). The longest name decides. What no directive speaks of is off.
    ///
    /// Takes effect for all threads before it returns. Costs a look at every callsite of the program.
    ///
    /// # Errors
    /// `is_directive` where a directive is neither a level nor `target=level`, `is_gone` where there is no subscriber any
    /// more. The levels then stay as they were.
    pub fn set(&self, directives: &str) -> Result<()> {
        let targets = parse(directives)?;
        let swap = || self.levels.swap(targets);
        match self.subscriber.get().and_then(WeakDispatch::upgrade) {
            // Where a process has one subscriber, `tracing` has it judge callsites as the calling thread's default. That may
            // be another, or none, on a thread that sets levels.
            Some(subscriber) => with_default(&subscriber, swap),
            None => swap(),
        }
    }

    /// The levels in force, as [`LevelHandle::set`] takes them, the longest names first.
    ///
    /// # Errors
    /// `is_gone` where there is no subscriber any more.
    pub fn current(&self) -> Result<String> {
        self.levels.text()
    }
}

impl fmt::Debug for LevelHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LevelHandle").field("current", &self.current()).finish()
    }
}

/// A reload handle without the type of its subscriber, which nobody who sets levels wants to spell.
trait Swap: Send + Sync {
    fn swap(&self, targets: Targets) -> Result<()>;
    fn text(&self) -> Result<String>;
}

impl<S: Subscriber> Swap for reload::Handle<Targets, S> {
    fn swap(&self, targets: Targets) -> Result<()> {
        // It also has every callsite asked anew.
        self.reload(targets).map_err(|_| Error::gone())
    }

    fn text(&self) -> Result<String> {
        self.with_current(Targets::to_string).map_err(|_| Error::gone())
    }
}

/// Reads directives. Stricter than `Targets` itself, which takes any word for a target to show everything of: a misspelt
/// level would silence all the rest.
pub(crate) fn parse(directives: &str) -> Result<Targets> {
    let mut targets = Targets::new();
    for directive in directives.split(',').map(str::trim) {
        targets = match directive.split_once('=') {
            None => targets.with_default(level(directive, directive)?),
            Some((target, text)) => {
                let target = target.trim();
                if target.is_empty() || target.contains(['[', ']', '{', '}', '"']) {
                    return Err(Error::directive(format!(
                        "{target:?} in {directive:?} is not a target, such as my_crate::module"
                    )));
                }
                targets.with_target(target, level(text.trim(), directive)?)
            }
        };
    }
    Ok(targets)
}

fn level(text: &str, directive: &str) -> Result<LevelFilter> {
    const LEVELS: &str = "one of off error warn info debug trace";
    // What tracing takes for a level beyond its name: nothing at all (ERROR), and numbers.
    let is_word = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    text.parse().ok().filter(|_| is_word).ok_or_else(|| {
        Error::directive(if text == directive {
            format!("{text:?} is neither a level nor a target=level; a level is {LEVELS}")
        } else {
            format!("{text:?} in {directive:?} is not a level; {LEVELS}")
        })
    })
}
