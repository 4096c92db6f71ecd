//! The lines that events write to app.log.

use std::fmt;

use auditx_core::RequestContext;
use serde_json::{Value, json};
use tracing::{Instrument, debug, error, info, info_span, trace, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry;

use crate::fixture::Fixture;

#[test]
fn an_event_is_a_line_with_its_level_message_fields_and_target() {
    let fixture = Fixture::new();
    fixture.run(fixture.layer(), || {
        error!("an error");
        warn!("a warning");
        let who = Some(1);
        info!(target: "erp::sales", lines = 3, total = 12.5, paid = true, number = "SI-42", ?who, "posted");
        debug!("for developers");
        trace!("for them too");
    });
    let lines = fixture.lines();
    let levels: Vec<&str> = lines.iter().map(|line| line.level.as_str()).collect();
    assert_eq!(levels, ["ERROR", "WARNING", "INFO", "DEBUG", "DEBUG"]);
    assert_eq!((lines[0].message.as_str(), lines[2].message.as_str()), ("an error", "posted"));
    assert_eq!(Value::Object(lines[0].fields.clone()), json!({ "target": module_path!() }));
    assert_eq!(
        Value::Object(lines[2].fields.clone()),
        json!({
            "target": "erp::sales", "lines": 3, "total": 12.5, "paid": true,
            "number": "SI-42", "who": "Some(1)"
        })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_have_request_and_user_only_inside_the_scope() {
    let fixture = Fixture::new();
    let subscriber = std::sync::Arc::new(registry().with(fixture.layer()));
    let request = |user: &'static str| {
        let work = async move {
            info!(expected = user, "before");
            for _ in 0..5 {
                tokio::task::yield_now().await;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                info!(expected = user, "after");
            }
            RequestContext::update(|context| context.user = format!("{user} again"));
            info!(expected = format!("{user} again"), "changed");
        };
        let context = RequestContext::new().user(user).request_id(format!("r-{user}"));
        tracing::instrument::WithSubscriber::with_subscriber(context.scope(work), subscriber.clone())
    };
    let tasks: Vec<_> = ["ma", "mya", "ko"].into_iter().map(|user| tokio::spawn(request(user))).collect();
    for task in tasks {
        task.await.unwrap();
    }
    tracing::subscriber::with_default(subscriber.clone(), || info!("outside"));
    let lines = fixture.lines();
    assert_eq!(lines.len(), 3 * 7 + 1);
    for line in &lines {
        let fields = &line.fields;
        if line.message == "outside" {
            assert!(!fields.contains_key("user") && !fields.contains_key("request_id"), "{line:?}");
            continue;
        }
        assert_eq!(fields["user"], fields["expected"], "{line:?}");
        let user = fields["user"].as_str().unwrap().trim_end_matches(" again");
        assert_eq!(fields["request_id"], format!("r-{user}"), "{line:?}");
    }
}

#[tokio::test]
async fn spans_are_in_order_with_fields_recorded_later() {
    let fixture = Fixture::new();
    let _default = tracing::subscriber::set_default(registry().with(fixture.layer()));
    async {
        let span = info_span!("post_invoice", number = "SI-42", lines = tracing::field::Empty);
        span.record("lines", 3);
        async {
            tokio::task::yield_now().await;
            info!("posted");
        }
        .instrument(span)
        .await;
        info!("answered");
    }
    .instrument(info_span!("request", path = "/sales", name = "its own"))
    .await;
    info!(parent: None, "alone");
    let lines = fixture.lines();
    let request = json!({"name": "request", "path": "/sales", "field.name": "its own"});
    let invoice = json!({"name": "post_invoice", "number": "SI-42", "lines": 3});
    assert_eq!(lines[0].fields["spans"], json!([request, invoice]));
    assert_eq!(lines[1].fields["spans"], json!([request]));
    assert!(!lines[2].fields.contains_key("spans"));
}

#[test]
fn secrets_are_masked_in_events_and_in_spans() {
    let fixture = Fixture::new();
    fixture.run(fixture.layer(), || {
        let _span = info_span!("login", user_password = "hunter2", user.name = "admin").entered();
        info!(token = "t0ps3cret", card.number = 4111, "checked");
    });
    let line = fixture.line();
    assert_eq!(
        (&line.fields["token"], &line.fields["card.number"]),
        (&json!("[REDACTED]"), &json!("[REDACTED]"))
    );
    let span = &line.fields["spans"][0];
    assert_eq!((&span["user_password"], &span["user.name"]), (&json!("[REDACTED]"), &json!("admin")));
    assert!(!fixture.app_log().contains("hunter2") && !fixture.app_log().contains("t0ps3cret"));
}

#[test]
fn a_message_of_several_lines_stays_one_line() {
    let fixture = Fixture::new();
    fixture.run(fixture.layer(), || info!(text = "one\ntwo", "first\nsecond\r\u{1b}[31m \u{2028} third"));
    let line = fixture.line();
    assert!(line.message.starts_with("first\\nsecond"), "{line:?}");
    assert_eq!(line.fields["text"], "one\ntwo");
}

#[test]
fn reserved_fields_are_renamed_and_the_default_message_is_the_name() {
    let fixture = Fixture::new();
    fixture.run(fixture.layer(), || {
        let _span = info_span!("s").entered();
        info!(target: "erp", target = "Mandalay", spans = 2, user = "named in the event");
    });
    let line = fixture.line();
    assert!(line.message.starts_with("event "), "{line:?}");
    assert_eq!((&line.fields["target"], &line.fields["field.target"]), (&json!("erp"), &json!("Mandalay")));
    assert_eq!(
        (&line.fields["field.spans"], &line.fields["user"]),
        (&json!(2), &json!("named in the event"))
    );
}

#[derive(Debug)]
struct Outer(std::num::ParseIntError);

impl fmt::Display for Outer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no quantity")
    }
}

impl std::error::Error for Outer {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

#[test]
fn values_of_all_types_are_written() {
    let fixture = Fixture::new();
    let error = Outer("x".parse::<i32>().unwrap_err());
    fixture.run(fixture.layer(), || {
        info!(
            huge = u128::MAX,
            deep = i128::MIN,
            small = -5_i128,
            large = u64::MAX,
            nan = f64::NAN,
            nothing = None::<u8>,
            error = &error as &(dyn std::error::Error + 'static),
            shown = %"a\"b",
            r#type = "invoice",
            "kinds"
        );
    });
    let fields = fixture.line().fields;
    assert_eq!(fields["huge"], u128::MAX.to_string());
    assert_eq!(fields["deep"], i128::MIN.to_string());
    assert_eq!((&fields["small"], &fields["large"]), (&json!(-5), &json!(u64::MAX)));
    assert_eq!((&fields["nan"], &fields["shown"]), (&json!("NaN"), &json!("a\"b")));
    assert_eq!(fields["error"], "no quantity: invalid digit found in string");
    assert_eq!(fields["type"], "invoice");
    assert!(!fields.contains_key("nothing"));
}

#[test]
fn two_layers_in_one_subscriber_write_to_their_own_trails() {
    let fixtures = [Fixture::new(), Fixture::new()];
    let subscriber = registry().with(fixtures[0].layer()).with(fixtures[1].layer());
    tracing::subscriber::with_default(subscriber, || {
        let span = info_span!("s", a = 1, b = tracing::field::Empty);
        span.record("b", 2);
        span.in_scope(|| info!("x"));
    });
    for fixture in fixtures {
        assert_eq!(fixture.line().fields["spans"], json!([{"name": "s", "a": 1, "b": 2}]));
    }
}

#[test]
fn lines_of_many_threads_are_not_interleaved() {
    let fixture = Fixture::new();
    let counts = fixture.layer().counts();
    let layer = fixture.layer();
    let shared = layer.counts();
    let dispatch = tracing::Dispatch::new(registry().with(layer));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let dispatch = dispatch.clone();
            scope.spawn(move || {
                tracing::dispatcher::with_default(&dispatch, || {
                    let _scope = RequestContext::new().user(thread.to_string()).enter();
                    let _span = info_span!("worker", thread = %thread).entered();
                    for number in 0..200 {
                        info!(number, "x");
                    }
                });
            });
        }
    });
    let lines = fixture.lines();
    assert_eq!((lines.len(), shared.lines(), shared.skipped(), counts.lines()), (1600, 1600, 0, 0));
    assert!(lines.iter().all(|line| line.fields["user"] == line.fields["spans"][0]["thread"]));
}

#[test]
fn a_closed_logger_still_takes_lines() {
    let fixture = Fixture::new();
    fixture.trail.close();
    fixture.run(fixture.layer(), || info!("after the end"));
    assert_eq!(fixture.line().message, "after the end");
}
