//! Maps entries to OCSF events: their class, and the attributes that all classes have.
//!
//! The schema is <https://schema.ocsf.io/1.6.0>. Values without an attribute in it go to `unmapped`.

mod class;
mod objects;

use crate::json::Object;
use crate::scale;
use crate::settings::Settings;
use crate::view::{Subject, View};
use class::Class;

/// The version of the Open Cybersecurity Schema Framework that [`Format::Ocsf`](crate::Format::Ocsf) writes.
pub const OCSF_VERSION: &str = "1.6.0";

/// The captions of `severity_id`.
const SEVERITIES: [&str; 6] = ["Unknown", "Informational", "Low", "Medium", "High", "Critical"];

/// Appends one event and a newline.
pub(crate) fn write(out: &mut Vec<u8>, view: &View<'_>, settings: &Settings) {
    let class = Class::of(view);
    Object::write(out, |o| {
        classification(o, view, class);
        o.number("time", view.millis());
        o.text("message", view.message());
        status(o, view, class);
        o.object("metadata", |o| metadata(o, view, settings));
        match view.subject {
            Subject::Erased => {}
            Subject::Trail(_) => objects::trail(o, view),
            Subject::RateLimit => objects::finding(o, view),
            Subject::Logon | Subject::Logoff => objects::authentication(o, view),
            Subject::Request => objects::request(o, view),
            Subject::Record => objects::record(o, view),
            Subject::Other => o.object("actor", |o| objects::actor(o, view)),
        }
        objects::device(o, view);
        o.object("unmapped", |o| objects::unmapped(o, view, class));
    });
    out.push(b'\n');
}

fn classification(o: &mut Object<'_>, view: &View<'_>, class: Class) {
    let (activity, name) = class.activity(view);
    o.number("category_uid", class.category());
    o.number("class_uid", class.uid());
    o.number("activity_id", activity);
    o.number("type_uid", class.uid() * 100 + activity);
    let severity = scale::ocsf(view.level);
    o.number("severity_id", severity);
    let (category, caption) = class.captions();
    o.text("category_name", category);
    o.text("class_name", caption);
    o.text("activity_name", name);
    o.text("severity", SEVERITIES[severity]);
}

fn status(o: &mut Object<'_>, view: &View<'_>, class: Class) {
    let (id, caption) = match view.success() {
        // The status of a finding says how far its handling is.
        _ if class == Class::Finding => (1, "New"),
        Some(true) => (1, "Success"),
        Some(false) => (2, "Failure"),
        None => (0, "Unknown"),
    };
    o.number("status_id", id);
    o.text("status", caption);
    o.text("status_detail", view.reason());
}

fn metadata(o: &mut Object<'_>, view: &View<'_>, settings: &Settings) {
    o.text("version", OCSF_VERSION);
    o.object("product", |o| {
        o.text("name", "auditx");
        o.text("vendor_name", "auditx");
        o.text("version", &settings.product_version);
    });
    // The profile that gives every class `actor` and `device`.
    o.texts("profiles", &["host"]);
    o.text("log_name", "auditx");
    o.text("log_level", &view.entry.level);
    o.text("event_code", &view.code().join("."));
    o.text("original_time", &view.entry.timestamp);
    o.text("uid", &view.entry.id);
    if let Some(seq) = view.seq() {
        o.number("sequence", seq);
    }
    o.text("tenant_uid", &view.entry.company_id);
}
