//! Writes CEF records: a header of seven fields and an extension of `key=value` pairs, one record per line.
//!
//! A harmful character without a CEF escape is written as the literal text `\uXXXX`.

use std::net::IpAddr;

use crate::scale;
use crate::settings::Settings;
use crate::text::{Style, shortened};
use crate::view::View;

static HEADER: Style = Style::new(
    b"|\\",
    |c| match c {
        '|' => Some("\\|"),
        '\\' => Some("\\\\"),
        // CEF headers have no escape for line breaks.
        '\n' => Some("\\\\n"),
        '\r' => Some("\\\\r"),
        '\t' => Some("\\\\t"),
        _ => None,
    },
    "\\\\u",
);

static EXTENSION: Style = Style::new(
    b"=\\",
    |c| match c {
        '=' => Some("\\="),
        '\\' => Some("\\\\"),
        '\n' => Some("\\n"),
        '\r' => Some("\\r"),
        '\t' => Some("\\\\t"),
        _ => None,
    },
    "\\\\u",
);

/// The maximum length of the name in the header.
const MAX_NAME: usize = 512;

/// Appends one record and a newline.
pub(crate) fn write(out: &mut Vec<u8>, view: &View<'_>, settings: &Settings) {
    header(out, view, settings);
    let mut pairs = Pairs { out, is_empty: true };
    identity(&mut pairs, view);
    people(&mut pairs, view);
    record(&mut pairs, view);
    request(&mut pairs, view);
    out.push(b'\n');
}

fn header(out: &mut Vec<u8>, view: &View<'_>, settings: &Settings) {
    out.extend_from_slice(b"CEF:0|auditx|auditx|");
    HEADER.write(out, &settings.product_version);
    out.push(b'|');
    HEADER.write(out, &view.code().join("."));
    out.push(b'|');
    HEADER.write(out, shortened(view.message(), MAX_NAME));
    out.push(b'|');
    out.extend_from_slice(itoa::Buffer::new().format(scale::tenths(view.level)).as_bytes());
    out.push(b'|');
}

fn identity(pairs: &mut Pairs<'_>, view: &View<'_>) {
    let entry = view.entry;
    pairs.text("externalId", &entry.id);
    if view.time.is_some() {
        pairs.number("rt", view.millis());
    }
    pairs.text("cat", &entry.module);
    pairs.text("act", &entry.action);
    pairs.text("outcome", view.outcome());
    pairs.text("reason", view.reason());
    pairs.text("msg", view.message());
    if let Some(seq) = view.seq() {
        pairs.labelled("cn2", "seq", itoa::Buffer::new().format(seq));
    }
    pairs.text("auditxTrail", view.trail);
    pairs.text("auditxLeafHash", &view.leaf_hash().unwrap_or_default());
}

fn people(pairs: &mut Pairs<'_>, view: &View<'_>) {
    let entry = view.entry;
    pairs.text("suid", &entry.user);
    pairs.text("suser", &entry.user);
    pairs.text("spriv", &entry.user_role);
    // The account on whose behalf the action was done.
    pairs.text("duid", &entry.on_behalf_of);
    pairs.text("duser", &entry.on_behalf_of);
    pairs.labelled("cs1", "company", &entry.company_id);
    pairs.labelled("cs2", "branch", &entry.branch_id);
}

fn record(pairs: &mut Pairs<'_>, view: &View<'_>) {
    let entry = view.entry;
    pairs.labelled("cs3", "entity type", &entry.entity_type);
    pairs.labelled("cs4", "entity id", &entry.entity_id);
    pairs.labelled("cs5", "reference", &entry.reference_no);
    if let Some(amount) = &entry.amount {
        let amount = amount.to_string();
        let currency = if entry.currency.is_empty() { "" } else { " " };
        pairs.labelled("flexString1", "amount", &[&amount, currency, &entry.currency].concat());
    }
}

fn request(pairs: &mut Pairs<'_>, view: &View<'_>) {
    let entry = view.entry;
    pairs.labelled("cs6", "request", &entry.request_id);
    pairs.labelled("flexString2", "session", &entry.session_id);
    match view.address {
        Some(IpAddr::V4(_)) => pairs.text("src", &entry.ip),
        Some(IpAddr::V6(_)) => pairs.labelled("c6a2", "Source IPv6 Address", &entry.ip),
        None => pairs.text("shost", &entry.ip),
    }
    pairs.text("dvchost", view.hostname);
    pairs.text("requestMethod", &entry.method);
    pairs.text("request", &entry.endpoint);
    if let Some(status) = entry.status {
        pairs.labelled("cn1", "status", itoa::Buffer::new().format(status));
    }
}

/// The extension, without empty pairs.
struct Pairs<'o> {
    out: &'o mut Vec<u8>,
    is_empty: bool,
}

impl Pairs<'_> {
    fn text(&mut self, key: &str, text: &str) {
        if text.is_empty() {
            return;
        }
        if !self.is_empty {
            self.out.push(b' ');
        }
        self.is_empty = false;
        self.out.extend_from_slice(key.as_bytes());
        self.out.push(b'=');
        EXTENSION.write(self.out, text);
    }

    fn number(&mut self, key: &str, number: impl itoa::Integer) {
        self.text(key, itoa::Buffer::new().format(number));
    }

    /// A custom field, whose label gives its meaning.
    fn labelled(&mut self, key: &str, label: &str, text: &str) {
        if !text.is_empty() {
            self.text(&[key, "Label"].concat(), label);
            self.text(key, text);
        }
    }
}
