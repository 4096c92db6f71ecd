//! The context of a request or job: who acts, for which company, from which address.
//!
//! The current context is a thread-local that [`RequestContext::scope`] sets at each poll of a future and
//! resets when the poll ends or the future is dropped. It needs no runtime, works on tokio, actix and plain
//! threads, and cannot leak into the next task on the same thread. Spawned tasks, threads and blocking pools
//! do not inherit it: wrap their work in [`RequestContext::in_task`] or [`RequestContext::in_fn`].

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

/// The user of an entry that has no user of its own and none in its context.
pub const DEFAULT_USER: &str = "SYSTEM";

thread_local! {
    static CURRENT: RefCell<Option<RequestContext>> = const { RefCell::new(None) };
}

/// The fields of a context. Empty strings are omitted from the line.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct ContextFields {
    /// The user who acts. [`DEFAULT_USER`] is written if this is empty.
    pub user: String,
    /// The role of the user.
    pub user_role: String,
    /// The company.
    pub company_id: String,
    /// The branch of the company.
    pub branch_id: String,
    /// The session; a hash of its id if the HTTP middleware sets it.
    pub session_id: String,
    /// The request.
    pub request_id: String,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// Additional keys and values, added to the metadata of every entry. If an entry sets the same key, the
    /// value of the entry is used.
    pub extra: BTreeMap<String, Value>,
    /// Keys of a carrier that this version does not know. They are passed on unchanged.
    pub(crate) carried: BTreeMap<String, String>,
}

/// A shared handle to the context of one request or job.
///
/// Clones share the same fields: an update through one of them applies to all later entries, including the
/// closing entry of the HTTP middleware.
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
    /// Identifies the current content of `fields`, for caches of it. A change sets it to 0; the next
    /// [`RequestContext::read_version`] assigns a new number.
    ///
    /// ORDERING: relaxed is enough. It is written only while `fields` is locked. A reader that must see a
    /// change happens after the unlock of that change, and therefore after the store of 0.
    version: AtomicU64,
    attachments: Attachments,
}

/// Shows user and request id. Does not block: shows nothing while another thread has the fields locked.
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
    /// Creates an empty context.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a context with these fields.
    #[doc(hidden)]
    #[must_use]
    pub fn of(fields: ContextFields) -> Self {
        let shared = Shared { fields: Mutex::new(fields), ..Shared::default() };
        Self { shared: Arc::new(shared) }
    }

    text_setters! {
        /// Sets the user who acts.
        user,
        /// Sets the role of the user.
        user_role,
        /// Sets the company.
        company_id,
        /// Sets the branch.
        branch_id,
        /// Sets the session. Prefer a hash of the session id: a raw id in a log lets its readers take over
        /// the session.
        session_id,
        /// Sets the request id.
        request_id,
    }

    /// Sets the client's address.
    #[must_use]
    pub fn ip(self, ip: IpAddr) -> Self {
        self.change(|fields| fields.ip = Some(ip));
        self
    }

    /// Adds a key and a value to the metadata of every entry.
    #[must_use]
    pub fn extra(self, key: impl Into<String>, value: impl Into<Value>) -> Self {
        let (key, value) = (key.into(), value.into());
        self.change(|fields| drop(fields.extra.insert(key, value)));
        self
    }

    /// Returns the current context, or a new empty one outside of any context.
    #[must_use]
    pub fn current() -> Self {
        Self::try_current().unwrap_or_default()
    }

    /// Returns the current context; `None` outside of any context.
    #[must_use]
    pub fn try_current() -> Option<Self> {
        // During thread teardown there is no context; the user of entries is then SYSTEM.
        CURRENT
            .try_with(|current| current.try_borrow().ok().and_then(|current| current.clone()))
            .ok()
            .flatten()
    }

    /// Changes the current context. Outside of any context, a new one becomes current on this thread until
    /// [`RequestContext::clear`].
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

    /// Replaces the fields of the current context by those of `context`. If there is no current context,
    /// `context` becomes current on this thread until [`RequestContext::clear`].
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

    /// Clears the fields of the current context. Outside of any scope, also removes the context from this
    /// thread.
    ///
    /// Call it at the end of a job on a pooled thread.
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
    /// `edit` gets a copy of the fields; the fields it changes are then merged into the context. `edit` may
    /// therefore record entries, and concurrent edits of different fields do not overwrite each other. If it
    /// panics, nothing is changed.
    pub fn edit(&self, edit: impl FnOnce(&mut ContextFields)) {
        let before = self.fields();
        let mut after = before.clone();
        edit(&mut after);
        self.change(|fields| fields.take_changes(&before, after));
    }

    /// Returns a copy of the fields.
    #[must_use]
    pub fn fields(&self) -> ContextFields {
        self.lock().clone()
    }

    /// Calls `read` with the fields. They are locked during the call, so `read` must not call application
    /// code.
    #[doc(hidden)]
    pub fn read<T>(&self, read: impl FnOnce(&ContextFields) -> T) -> T {
        read(&self.lock())
    }

    /// Returns the version of the fields; 0 if none is assigned. Contexts with the same other version have
    /// equal fields.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.shared.version.load(Ordering::Relaxed)
    }

    /// Like [`RequestContext::read`], but also passes the version of the fields.
    pub(crate) fn read_version<T>(&self, read: impl FnOnce(&ContextFields, u64) -> T) -> T {
        /// Unique for the lifetime of the process: 2^64 versions are never used up.
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
        // Nothing panics while holding this lock, and a part of the fields would still be better than none.
        self.shared.fields.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Calls `read` with the current context. The thread-local is borrowed during the call, so `read` must
    /// not call application code, which could not enter another context.
    #[doc(hidden)]
    #[inline]
    pub fn with_current<T>(read: impl FnOnce(Option<&Self>) -> T) -> T {
        let mut read = Some(read);
        let mut run = |context: Option<&Self>| read.take().map(|read| read(context));
        let done =
            CURRENT.try_with(|current| current.try_borrow().ok().and_then(|current| run(current.as_ref())));
        match done {
            Ok(Some(done)) => done,
            _ => run(None).expect("`read` was not called yet, since the thread-local was not available"),
        }
    }

    /// Sets the current context of this thread and returns the previous one.
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
        let take = |current: &mut String, before: &String, after: String| {
            if *before != after {
                *current = after;
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
