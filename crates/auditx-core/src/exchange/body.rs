//! One captured body: collects its bytes as they pass, and says what the closing entry may hold of them.
//!
//! Memory is bounded by the limit: of a body that exceeds it, what was kept so far is hashed and dropped, and
//! the rest is hashed as it passes. Content is recorded only where all of it was read and parsed, because a
//! part of a body cannot be redacted: it may end within the value of a secret, or before the key that says
//! what it was.

use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::capture::Content;
use super::url::{form_pairs, masked_url, masked_value};
use crate::redact::{Decision, Path, REDACTED, Rules};
use crate::tree::to_hex;

/// The encoder refuses JSON beyond 100 levels, and the entry with it.
const MAX_DEPTH: usize = 64;

/// A captured body under way.
pub(super) struct Body {
    content: Content,
    limit: usize,
    bytes: u64,
    /// All bytes, up to the limit.
    kept: Vec<u8>,
    /// Of all bytes, once there are more than the limit.
    hasher: Option<Sha256>,
    has_ended: bool,
    /// Whether bytes are seen at all.
    is_watched: bool,
}

impl Body {
    pub(super) fn new(content: Content, limit: usize) -> Self {
        let (kept, hasher) = (Vec::new(), None);
        Self { content, limit, bytes: 0, kept, hasher, has_ended: false, is_watched: false }
    }

    pub(super) fn watch(&mut self) {
        self.is_watched = true;
    }

    /// Bytes passed that nobody showed.
    pub(super) fn miss(&mut self) {
        self.is_watched = false;
    }

    pub(super) fn push(&mut self, data: &[u8]) {
        self.bytes = self.bytes.saturating_add(data.len() as u64);
        if self.hasher.is_none() && self.kept.len() + data.len() > self.limit {
            self.hasher = Some(Sha256::new_with_prefix(std::mem::take(&mut self.kept)));
        }
        match &mut self.hasher {
            Some(hasher) => hasher.update(data),
            None => {
                // Grows as a `Vec` does, but not beyond the limit.
                let needed = self.kept.len() + data.len();
                if needed > self.kept.capacity() {
                    let capacity = needed.max(2 * self.kept.capacity()).min(self.limit);
                    self.kept.reserve_exact(capacity - self.kept.len());
                }
                self.kept.extend_from_slice(data);
            }
        }
    }

    pub(super) fn end(&mut self) {
        self.has_ended = true;
    }

    #[cfg(test)]
    pub(super) fn kept_capacity(&self) -> usize {
        self.kept.capacity()
    }

    /// What the closing entry says under `key` in its metadata; nothing of a body that was empty.
    pub(super) fn recorded(&self, key: &str, rules: &Rules) -> Value {
        if self.has_ended && self.bytes == 0 && self.is_watched {
            return Value::Null;
        }
        match self.redacted(key, rules) {
            Ok(content) => json!({ "bytes": self.bytes, "content": content }),
            Err(why) => self.summary(why),
        }
    }

    /// The same without content: `why` it is omitted.
    pub(super) fn summary(&self, why: &str) -> Value {
        if !self.is_watched {
            return json!({ "omitted": why });
        }
        let hasher = self.hasher.clone().unwrap_or_else(|| Sha256::new_with_prefix(&self.kept));
        let hash: [u8; 32] = hasher.finalize().into();
        json!({ "bytes": self.bytes, "omitted": why, "sha256": to_hex(&hash) })
    }

    fn redacted(&self, key: &str, rules: &Rules) -> Result<Value, &'static str> {
        if !self.is_watched {
            return Err("not_observed");
        }
        if !self.has_ended {
            return Err("incomplete");
        }
        if self.hasher.is_some() {
            return Err("too_long");
        }
        let mut content = match self.content {
            Content::Encoded => return Err("encoded"),
            Content::Opaque => return Err("content_type"),
            Content::Json => serde_json::from_slice(&self.kept).ok(),
            Content::Form => std::str::from_utf8(&self.kept).ok().map(|form| object_of(form, rules)),
        }
        .ok_or("malformed")?;
        let (metadata, body) = (Path::root("metadata"), key);
        mask(&mut content, rules, metadata.join(body).join("content"), 0).ok_or("malformed")?;
        Ok(content)
    }
}

/// Masks what is a secret in a body only. Rules that hold in all metadata are left to the encoder, which
/// hashes, too. `None` for what is nested too deeply.
fn mask(value: &mut Value, rules: &Rules, path: Path<'_>, depth: usize) -> Option<()> {
    if depth > MAX_DEPTH {
        return None;
    }
    match value {
        Value::String(text) if text.starts_with('/') || text.contains("://") => {
            *text = masked_url(text, rules)
        }
        Value::Array(items) => {
            for item in items {
                mask(item, rules, path, depth + 1)?;
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                match rules.decide_member(path.join(name)) {
                    Decision::Mask => *member = REDACTED.into(),
                    Decision::Keep | Decision::Hash => mask(member, rules, path.join(name), depth + 1)?,
                }
            }
        }
        _ => {}
    }
    Some(())
}

/// A form as an object, its values read as those of a query are; what is named several times is an array.
fn object_of(form: &str, rules: &Rules) -> Value {
    let mut object = Map::new();
    for (name, value) in form_pairs(form) {
        let value = Value::String(masked_value(&value, rules).into_owned());
        match object.get_mut(&*name) {
            None => drop(object.insert(name.into_owned(), value)),
            Some(Value::Array(values)) => values.push(value),
            Some(first) => *first = Value::Array(vec![first.take(), value]),
        }
    }
    Value::Object(object)
}

/// The body of a request, as an adapter shows it to its exchange; see
/// [`Exchange::request_body`](super::Exchange::request_body).
#[derive(Clone)]
pub struct BodyTap(Arc<Mutex<Body>>);

impl std::fmt::Debug for BodyTap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BodyTap").finish_non_exhaustive()
    }
}

impl BodyTap {
    pub(super) fn of(body: Body) -> Self {
        Self(Arc::new(Mutex::new(body)))
    }

    /// These bytes passed to the application.
    pub fn data(&self, data: &[u8]) {
        self.with(|body| body.push(data));
    }

    /// The body ended. Without this call the entry says that it was not read to its end.
    pub fn end(&self) {
        self.with(Body::end);
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Body) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
