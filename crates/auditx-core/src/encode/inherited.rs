//! The fields that an entry has from its context, rendered once and copied into line after line until the context changes.
//!
//! Comes in: a context, or none. Goes out: each field with its key and its comma. A thread remembers the context it recorded
//! in last; another one costs it the lock and a rendering.

use std::collections::BTreeMap;
use std::ops::Range;

use serde_json::Value;

use super::first_of;
use super::pen::{Buffer, Pen, room_for};
use super::scalar::address;
use crate::context::{ContextFields, DEFAULT_USER, RequestContext};

/// Free key-values of a context that has none.
static NO_EXTRA: BTreeMap<String, Value> = BTreeMap::new();

/// In the order of the line; those that stand side by side there are copied together.
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

/// What a context's version is compared with where there is no context. No context has it.
const NO_CONTEXT: u64 = u64::MAX;

/// Of what is rendered before anything is. A changed context's 0 must not equal it. No context has it either.
const NOTHING: u64 = NO_CONTEXT - 1;

#[derive(Debug)]
pub(super) struct Inherited {
    /// Of what is rendered.
    version: u64,
    has_extra: bool,
    rendered: Buffer,
    /// Where each field ends.
    ends: [usize; FIELDS],
}

impl Default for Inherited {
    fn default() -> Self {
        Self { version: NOTHING, has_extra: false, rendered: Buffer::default(), ends: [0; FIELDS] }
    }
}

impl Inherited {
    /// Runs `work` with what `context` says, all of it said at one moment.
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
        self.rendered.clear();
        let user = first_of([&fields.user, DEFAULT_USER]);
        let room = room_for([
            user,
            &fields.user_role,
            &fields.company_id,
            &fields.branch_id,
            &fields.request_id,
            &fields.session_id,
        ]);
        let pen = self.rendered.pen(ROOM.saturating_add(room));
        let begun = pen.left();
        let pen = pen.field(b",\"user\":\"", user);
        self.ends[Field::User as usize] = begun - pen.left();
        let pen = pen.field(b",\"user_role\":\"", &fields.user_role);
        self.ends[Field::UserRole as usize] = begun - pen.left();
        let pen = pen.field(b",\"company_id\":\"", &fields.company_id);
        self.ends[Field::Company as usize] = begun - pen.left();
        let pen = pen.field(b",\"branch_id\":\"", &fields.branch_id);
        self.ends[Field::Branch as usize] = begun - pen.left();
        let pen = pen.field(b",\"request_id\":\"", &fields.request_id);
        self.ends[Field::Request as usize] = begun - pen.left();
        let pen = pen.field(b",\"session_id\":\"", &fields.session_id);
        self.ends[Field::Session as usize] = begun - pen.left();
        let pen = address(pen, fields.ip);
        self.ends[Field::Ip as usize] = begun - pen.left();
        let left = pen.left();
        self.rendered.put_down(left);
        (self.version, self.has_extra) = (version, !fields.extra.is_empty());
    }

    /// All of it.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.rendered.written().len()
    }

    /// From the first of these fields to the last.
    #[inline]
    pub(super) fn copy<'r>(&self, pen: Pen<'r>, first: Field, last: Field) -> Pen<'r> {
        pen.raw(&self.rendered.written()[self.range(first, last)])
    }

    /// The entry's own text; where it has none, the context's.
    #[inline]
    pub(super) fn field<'r, const N: usize>(
        &self,
        pen: Pen<'r>,
        start: &[u8; N],
        own: &str,
        field: Field,
    ) -> Pen<'r> {
        if own.is_empty() { self.copy(pen, field, field) } else { pen.field(start, own) }
    }

    #[inline]
    fn range(&self, first: Field, last: Field) -> Range<usize> {
        let start = (first as usize).checked_sub(1).map_or(0, |before| self.ends[before]);
        start..self.ends[last as usize]
    }
}

/// For the keys, the quotes and the address.
const ROOM: usize = 256;
