//! The fields that an entry inherits from its context, encoded once and copied into each line until the
//! context changes.
//!
//! A thread caches the fields of the context in which it last recorded. Another context costs the context's
//! lock and one encoding.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use super::buffer::{Buffer, Reserved, max_escaped_len};
use super::first_of;
use super::scalar::address;
use crate::context::{ContextFields, DEFAULT_USER, RequestContext};

/// The metadata of a context that has none.
static NO_EXTRA: BTreeMap<String, Value> = BTreeMap::new();

/// The inherited fields in the order of the line. Adjacent ones are copied together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Field {
    User,
    UserRole,
    Company,
    Branch,
    Request,
    Session,
    Ip,
}

const FIELDS: usize = 7;

/// The version that stands for "no context". No context has it.
const NO_CONTEXT: u64 = u64::MAX;

/// The version before anything is cached. It must differ from 0, which a context has until a version is
/// assigned. No context has it.
const NOT_CACHED: u64 = NO_CONTEXT - 1;

#[derive(Debug)]
pub(super) struct Inherited {
    /// The version of the cached context.
    version: u64,
    has_extra: bool,
    encoded: Buffer,
    /// The end offset of each field.
    ends: [usize; FIELDS],
}

impl Default for Inherited {
    fn default() -> Self {
        Self { version: NOT_CACHED, has_extra: false, encoded: Buffer::default(), ends: [0; FIELDS] }
    }
}

impl Inherited {
    /// Runs `work` with a consistent snapshot of `context`.
    #[inline]
    pub(super) fn with<T>(
        &mut self,
        context: Option<&RequestContext>,
        work: impl FnOnce(&Self, &BTreeMap<String, Value>) -> T,
    ) -> T {
        let version = context.map_or(NO_CONTEXT, RequestContext::version);
        if self.version == version && !self.has_extra {
            return work(self, &NO_EXTRA);
        }
        match context {
            Some(context) => context.read_version(|fields, version| {
                self.refresh(fields, version);
                work(self, &fields.extra)
            }),
            None => {
                self.refresh(&ContextFields::default(), NO_CONTEXT);
                work(self, &NO_EXTRA)
            }
        }
    }

    #[cold]
    fn refresh(&mut self, fields: &ContextFields, version: u64) {
        if self.version == version {
            return;
        }
        self.encoded.clear();
        let user = first_of([&fields.user, DEFAULT_USER]);
        let text_len = max_escaped_len([
            user,
            &fields.user_role,
            &fields.company_id,
            &fields.branch_id,
            &fields.request_id,
            &fields.session_id,
        ]);
        let out = self.encoded.reserve(FIXED_LEN.saturating_add(text_len));
        let start = out.remaining();
        let out = out.field(b",\"user\":\"", user);
        self.ends[Field::User as usize] = start - out.remaining();
        let out = out.field(b",\"user_role\":\"", &fields.user_role);
        self.ends[Field::UserRole as usize] = start - out.remaining();
        let out = out.field(b",\"company_id\":\"", &fields.company_id);
        self.ends[Field::Company as usize] = start - out.remaining();
        let out = out.field(b",\"branch_id\":\"", &fields.branch_id);
        self.ends[Field::Branch as usize] = start - out.remaining();
        let out = out.field(b",\"request_id\":\"", &fields.request_id);
        self.ends[Field::Request as usize] = start - out.remaining();
        let out = out.field(b",\"session_id\":\"", &fields.session_id);
        self.ends[Field::Session as usize] = start - out.remaining();
        let out = address(out, fields.ip);
        self.ends[Field::Ip as usize] = start - out.remaining();
        let remaining = out.remaining();
        self.encoded.commit(remaining);
        (self.version, self.has_extra) = (version, !fields.extra.is_empty());
    }

    /// Returns the length of all encoded fields.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.encoded.written().len()
    }

    /// Copies the fields from `first` to `last`.
    #[inline]
    pub(super) fn copy<'r>(&self, out: Reserved<'r>, first: Field, last: Field) -> Reserved<'r> {
        out.raw(&self.encoded.written()[self.range(first, last)])
    }

    /// Writes the text of the entry, or that of the context if it is empty.
    #[inline]
    pub(super) fn field<'r, const N: usize>(
        &self,
        out: Reserved<'r>,
        start: &[u8; N],
        own: &str,
        field: Field,
    ) -> Reserved<'r> {
        if own.is_empty() { self.copy(out, field, field) } else { out.field(start, own) }
    }

    #[inline]
    fn range(&self, first: Field, last: Field) -> Range<usize> {
        let start = (first as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[last as usize]
    }
}

/// An upper bound for the keys, the quotes and the address.
const FIXED_LEN: usize = 256;
