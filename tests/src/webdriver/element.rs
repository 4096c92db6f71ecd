//! An element of a page: what it shows, and input to it.

use serde_json::{Value, json};

use super::{Session, text};

/// The Enter key, for [`Element::send_keys`].
pub const ENTER: &str = "\u{E007}";
/// The Tab key.
pub const TAB: &str = "\u{E004}";
/// The Escape key.
pub const ESCAPE: &str = "\u{E00C}";

/// An element of the page. A command on an element that the page has since removed panics.
#[derive(Debug)]
pub struct Element<'s> {
    session: &'s Session,
    path: String,
}

impl<'s> Element<'s> {
    pub(super) fn new(session: &'s Session, id: &str) -> Self {
        Self { session, path: format!("/element/{id}") }
    }

    fn get(&self, path: &str) -> Value {
        self.session.get(&format!("{}{path}", self.path))
    }

    fn post(&self, path: &str, body: &Value) {
        self.session.post(&format!("{}{path}", self.path), body);
    }

    /// Returns the visible text.
    #[must_use]
    pub fn text(&self) -> String {
        text(&self.get("/text"))
    }

    /// Returns an attribute as the page's source has it; `None` if it is absent.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<String> {
        self.get(&format!("/attribute/{name}")).as_str().map(str::to_owned)
    }

    /// Returns a property of the element's object, such as the current `value` of a field.
    #[must_use]
    pub fn property(&self, name: &str) -> Value {
        self.get(&format!("/property/{name}"))
    }

    /// Returns whether a user could see the element, possibly after scrolling.
    #[must_use]
    pub fn is_displayed(&self) -> bool {
        self.get("/displayed") == json!(true)
    }

    /// Clicks the middle of the element. Panics if another element covers it.
    pub fn click(&self) {
        self.post("/click", &json!({}));
    }

    /// Empties a field.
    pub fn clear(&self) {
        self.post("/clear", &json!({}));
    }

    /// Types text into the element, after the text that is there. See [`ENTER`] for other keys.
    pub fn send_keys(&self, keys: &str) {
        self.post("/value", &json!({ "text": keys }));
    }
}
