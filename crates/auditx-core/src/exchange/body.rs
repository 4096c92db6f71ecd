//! Captures one body, and returns the part of it that the closing entry may contain.
//!
//! Memory is bounded by the limit: if a body exceeds it, the bytes kept so far are hashed and freed, and
//! later bytes are only hashed. Content is recorded only if all of it was read and parsed, because a part of
//! a body cannot be redacted: it may end within a secret value, or before the key that identifies it as a
//! secret.

use std::sync::{Arc, Mutex, PoisonError};

use auditx_format::redact::{Decision, Path, REDACTED, Rules};
use auditx_tlog::to_hex;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::capture::Content;
use super::url::{form_pairs, masked_url, masked_value};

/// Less than 100 levels, beyond which the encoder would reject the entry.
const MAX_DEPTH: usize = 64;

/// A captured body.
pub(super) struct Body {
    content: Content,
    limit: usize,
    bytes: u64,
    /// All bytes, while they are within the limit.
    kept: Vec<u8>,
    /// The hash of all bytes, once they exceed the limit.
    hasher: Option<Sha256>,
    has_ended: bool,
    /// Whether all bytes are passed to this body.
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

    /// Marks the body as not observed, because bytes were sent that were not passed to it.
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
                // Doubles the capacity like a `Vec`, but not beyond the limit.
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

    /// Returns the metadata value of the closing entry under `key`; null if the body was empty.
    pub(super) fn recorded(&self, key: &str, rules: &Rules) -> Value {
        if self.has_ended && self.bytes == 0 && self.is_watched {
            return Value::Null;
        }
        match self.redacted(key, rules) {
            Ok(content) => json!({ "bytes": self.bytes, "content": content }),
            Err(why) => self.summary(why),
        }
    }

    /// Returns the metadata value without the content. `why` is the reason for the omission.
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

/// Masks values that are secret in bodies. Values that are hashed are left to the encoder, which applies the
/// rules of all metadata. `None` if the value is nested too deeply.
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

/// Returns a form as a JSON object, with its values masked like those of a query. The values of a repeated
/// name become an array.
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

/// Receives the body of a request from the adapter; see
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

    /// Reports bytes that the application received.
    pub fn data(&self, data: &[u8]) {
        self.with(|body| body.push(data));
    }

    /// Reports the end of the body. Without this call the closing entry marks the body as incomplete.
    pub fn end(&self) {
        self.with(Body::end);
    }

    pub(super) fn with<T>(&self, work: impl FnOnce(&mut Body) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
