//! Who is acting, for whom, from where: one shared handle per request or job, current while its code runs.
//!
//! The current context is a thread-local that [`RequestContext::scope`] swaps in at each poll of a future and out
//! again when the poll ends or the future is dropped. It needs no runtime, works on tokio, actix and plain threads,
//! and cannot leak into the next task on the same thread. Spawned tasks, threads and blocking pools do not inherit
//! it: wrap what they run in [`RequestContext::in_task`] or [`RequestContext::in_fn`].

mod attachment;
mod carrier;
mod scope;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use attachment::Attachments;
pub use carrier::Carrier;
pub use scope::{ContextGuard, Scoped};

/// The user of an entry whose context names none.
pub const DEFAULT_USER: &str = "SYSTEM";

thread_local! {
    static CURRENT: RefCell<Option<RequestContext>> = const { RefCell::new(None) };
}

/// What a context says; empty strings say nothing and are left out of the line.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ContextFields {
    /// Who acts; [`DEFAULT_USER`] is written where this is empty.
    pub user: String,
    /// In which role.
    pub user_role: String,
    /// For which company.
    pub company_id: String,
    /// In which branch.
    pub branch_id: String,
    /// In which session (hashed, when the HTTP middleware sets it).
    pub session_id: String,
    /// In which request.
    pub request_id: String,
    /// From which address.
    pub ip: Option<IpAddr>,
    /// Free key-values; they join the metadata of every entry, which wins where both name a key.
    pub extra: BTreeMap<String, Value>,
    /// Keys of a carrier that this version does not know, handed on as they came.
    pub(crate) carried: BTreeMap<String, String>,
}

/// A shared handle: clones see each other's updates, and so do later entries and the middleware's closing entry.
///
/// ```
/// use auditx_core::RequestContext;
///
/// let _scope = RequestContext::new().user("admin").company_id("CO-001").enter();
/// RequestContext::update(|context| context.branch_id = "BR-YGN".into());
/// assert_eq!(RequestContext::current().fields().branch_id, "BR-YGN");
/// ```
#[derive(Clone, Default)]
pub struct RequestContext {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    fields: Mutex<ContextFields>,
    /// Stands for what the fields say, for those who remember it; 0 since a change until the next who asks. Written under
    /// the lock only. Read without it: who must see a change comes after the change's unlocking, and hence after its 0.
    version: AtomicU64,
    attachments: Attachments,
}

/// Who acts and in which request; without waiting for a thread that is editing the context.
impl fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut context = f.debug_struct("RequestContext");
        if let Ok(fields) = self.shared.fields.try_lock() {
            for (name, text) in [("user", &fields.user), ("request_id", &fields.request_id)] {
                if !text.is_empty() {
                    context.field(name, text);
                }
            }
        }
        context.finish_non_exhaustive()
    }
}

macro_rules! text_setters {
    ($($(#[$doc:meta])* $field:ident,)*) => {
        $($(#[$doc])*
        #[must_use]
        pub fn $field(self, $field: impl Into<String>) -> Self {
            let text: String = $field.into();
            self.change(|fields| fields.$field = text);
            self
        })*
    };
}

impl RequestContext {
    /// An empty context.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// One that says this from the start.
    pub(crate) fn of(fields: ContextFields) -> Self {
        let shared = Shared { fields: Mutex::new(fields), ..Shared::default() };
        Self { shared: Arc::new(shared) }
    }

    text_setters! {
        /// Who acts.
        user,
        /// In which role.
        user_role,
        /// For which company.
        company_id,
        /// In which branch.
        branch_id,
        /// In which session. Prefer a hash of it: a raw session id in a log is a session to steal.
        session_id,
        /// In which request.
        request_id,
    }

    /// From which address.
    #[must_use]
    pub fn ip(self, ip: IpAddr) -> Self {
        self.change(|fields| fields.ip = Some(ip));
        self
    }

    /// A free key-value that joins the metadata of every entry.
    #[must_use]
    pub fn extra(self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let (key, value) = (key.into(), value.into());
        self.change(|fields| drop(fields.extra.insert(key, value)));
        self
    }

    /// The context this code runs in, or a new empty one where there is none.
    #[must_use]
    pub fn current() -> Self {
        Self::try_current().unwrap_or_default()
    }

    /// The context this code runs in.
    #[must_use]
    pub fn try_current() -> Option<Self> {
        // While the thread's locals are torn down there is no context any more: entries then say SYSTEM.
        CURRENT
            .try_with(|current| current.try_borrow().ok().and_then(|current| current.clone()))
            .ok()
            .flatten()
    }

    /// Changes the current context; where there is none, this thread gets one until [`RequestContext::clear`].
    pub fn update(edit: impl FnOnce(&mut ContextFields)) {
        match Self::try_current() {
            Some(context) => context.edit(edit),
            None => {
                let context = Self::new();
                context.edit(edit);
                Self::install(Some(context));
            }
        }
    }

    /// Makes the current context say what `context` says; where there is none, `context` becomes this thread's until
    /// [`RequestContext::clear`].
    pub fn set(context: &Self) {
        match Self::try_current() {
            Some(current) if Arc::ptr_eq(&current.shared, &context.shared) => {}
            Some(current) => {
                let fields = context.fields();
                current.replace(fields);
            }
            None => drop(Self::install(Some(context.clone()))),
        }
    }

    /// Empties the current context and, outside any scope, forgets it. Call it where a pooled thread's job ends.
    pub fn clear() {
        if let Some(current) = Self::install(None) {
            current.replace(ContextFields::default());
            if scope::is_inside() {
                Self::install(Some(current));
            }
        }
    }

    /// Changes this context.
    ///
    /// `edit` works on a copy and its changes are merged in field by field, so it may itself record entries, and two
    /// edits at once lose nothing. Where it panics nothing is changed.
    pub fn edit(&self, edit: impl FnOnce(&mut ContextFields)) {
        let before = self.fields();
        let mut after = before.clone();
        edit(&mut after);
        self.change(|fields| fields.take_changes(&before, after));
    }

    /// A copy of what it says now.
    #[must_use]
    pub fn fields(&self) -> ContextFields {
        self.lock().clone()
    }

    /// Reads in place. `read` must not run foreign code: the context is locked meanwhile.
    pub(crate) fn read<T>(&self, read: impl FnOnce(&ContextFields) -> T) -> T {
        read(&self.lock())
    }

    /// Equal versions of whatever contexts say the same.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Relaxed)
    }

    /// As [`RequestContext::read`], with the version of what is read.
    pub(crate) fn read_version<T>(&self, read: impl FnOnce(&ContextFields, u64) -> T) -> T {
        /// No two contexts ever have the same; 2^64 of them will not be.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let fields = self.lock();
        let version = match self.version() {
            0 => NEXT.fetch_add(1, Ordering::Relaxed),
            known => known,
        };
        self.shared.version.store(version, Ordering::Relaxed);
        read(&fields, version)
    }

    fn change(&self, change: impl FnOnce(&mut ContextFields)) {
        let mut fields = self.lock();
        self.shared.version.store(0, Ordering::Relaxed);
        change(&mut fields);
    }

    fn replace(&self, fields: ContextFields) {
        self.change(|old| *old = fields);
    }

    fn lock(&self) -> MutexGuard<'_, ContextFields> {
        // Nothing panics while holding this lock, and half a set of facts beats none.
        self.shared.fields.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `read` with the context this code runs in. `read` must not run foreign code, which could not enter another context.
    #[inline]
    pub(crate) fn with_current<T>(read: impl FnOnce(Option<&Self>) -> T) -> T {
        let mut read = Some(read);
        let mut run = |context: Option<&Self>| read.take().map(|read| read(context));
        let done =
            CURRENT.try_with(|current| current.try_borrow().ok().and_then(|current| run(current.as_ref())));
        match done {
            Ok(Some(done)) => done,
            _ => run(None).expect("read has not run yet: there was no context to borrow"),
        }
    }

    /// Replaces the thread's slot and returns what was in it.
    fn install(context: Option<Self>) -> Option<Self> {
        CURRENT
            .try_with(|current| {
                current
                    .try_borrow_mut()
                    .ok()
                    .and_then(|mut current| std::mem::replace(&mut *current, context))
            })
            .ok()
            .flatten()
    }
}

impl ContextFields {
    fn take_changes(&mut self, before: &Self, after: Self) {
        let Self { user, user_role, company_id, branch_id, session_id, request_id, ip, extra, carried: _ } =
            after;
        let take = |live: &mut String, before: &String, after: String| {
            if *before != after {
                *live = after;
            }
        };
        take(&mut self.user, &before.user, user);
        take(&mut self.user_role, &before.user_role, user_role);
        take(&mut self.company_id, &before.company_id, company_id);
        take(&mut self.branch_id, &before.branch_id, branch_id);
        take(&mut self.session_id, &before.session_id, session_id);
        take(&mut self.request_id, &before.request_id, request_id);
        if before.ip != ip {
            self.ip = ip;
        }
        for key in before.extra.keys().filter(|key| !extra.contains_key(*key)) {
            self.extra.remove(key);
        }
        for (key, value) in extra {
            if before.extra.get(&key) != Some(&value) {
                self.extra.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests;
