//! Alerts: posted to a real server, recorded, and neither lost nor repeated without end.

use std::ops::ControlFlow;
use std::time::Duration;

use auditx_core::{AuditLogger, Config};
use auditx_reader::{Field, Query, Search};
use auditx_tests::deadline::wait_until;
use auditx_ui::{Alerts, RunningAlerts, SavedQueries};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;

use crate::receiver::Receiver;
use crate::server::{TIMEOUT, Trail};

/// Reads one saved query whose alert posts to this receiver at most every second.
fn saved(trail: &Trail, query: &str, receiver: &Receiver, more: &Value) -> SavedQueries {
    let mut alert = json!({ "webhook": receiver.url, "at_most_every": "1s" });
    alert.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let path = trail.directory.path().join("queries.json");
    let queries = json!([{ "name": "Invoices", "query": query, "alert": alert }]);
    std::fs::write(&path, queries.to_string()).unwrap();
    SavedQueries::read(path).unwrap()
}

fn started(trail: &Trail, query: &str, receiver: &Receiver) -> RunningAlerts {
    Alerts::new(&saved(trail, query, receiver, &Value::Null)).start(&trail.logger).unwrap()
}

fn record(trail: &Trail, descriptions: &[&str]) {
    descriptions.iter().for_each(|text| drop(trail.logger.log(*text).record().unwrap()));
    trail.logger.flush(TIMEOUT).unwrap();
}

/// Waits until so many firings are recorded, and returns them.
fn firings(trail: &Trail, count: usize) -> Vec<Value> {
    let query = Query::is(Field::Action, ["ALERT"]);
    let recorded = || {
        let mut found: Vec<Value> = Vec::new();
        let search = Search::new(trail.directory.path()).query(query.clone());
        let searched = search.each(|entry| {
            found.push(serde_json::from_str(entry.row.line()).unwrap());
            ControlFlow::Continue(())
        });
        searched.map(|_| found).unwrap()
    };
    wait_until("the firings are recorded", || recorded().len() >= count);
    let recorded = recorded();
    assert_eq!(recorded.len(), count, "{recorded:?}");
    recorded
}

fn descriptions(post: &Value) -> Vec<&str> {
    let entries = post["entries"].as_array().unwrap().iter();
    entries.map(|entry| entry["description"].as_str().unwrap()).collect()
}

#[test]
fn matching_entries_are_posted_and_the_firing_is_recorded() {
    let (trail, receiver) = (Trail::with(3), Receiver::start());
    let queries = saved(&trail, "Invoice", &receiver, &Value::Null);
    let url = "https://audit.example/audit/";
    let _alerts = Alerts::new(&queries).public_url(url).start(&trail.logger).unwrap();
    record(&trail, &["Stock counted", "Invoice 3 posted"]);
    let post = receiver.next().json();
    assert_eq!(
        (&post["name"], &post["query"], &post["count"]),
        (&"Invoices".into(), &"Invoice".into(), &1.into())
    );
    assert_eq!(descriptions(&post), ["Invoice 3 posted"], "a new alert does not report older entries");
    let since = post["entries"][0]["timestamp"].as_str().unwrap().replace(':', "%3A");
    assert_eq!(
        post["link"].as_str().unwrap(),
        format!("https://audit.example/audit/?q=Invoice&since={since}")
    );
    assert_eq!(post["first_seq"], post["entries"][0]["seq"]);

    let firing = &firings(&trail, 1)[0];
    assert_eq!(
        json!([firing["level"], firing["success"], firing["entity_type"], firing["entity_id"]]),
        json!(["SECURITY", true, "saved_query", "Invoices"])
    );
    let seq = post["first_seq"].to_string();
    let expected = json!({ "found": "1", "first_seq": seq, "last_seq": seq, "webhook": "127.0.0.1" });
    assert_eq!(firing["metadata"], expected);
}

#[test]
fn a_post_is_signed_with_the_secret_of_the_file() {
    let (trail, receiver) = (Trail::new(), Receiver::start());
    let secret = [7_u8; 32];
    let text = format!("whsec_{}\n", BASE64_STANDARD.encode(secret));
    std::fs::write(trail.directory.path().join("secret"), text).unwrap();
    let queries = saved(&trail, "Invoice", &receiver, &json!({ "secret_file": "secret" }));
    let _alerts = Alerts::new(&queries).start(&trail.logger).unwrap();
    record(&trail, &["Invoice posted"]);
    let post = receiver.next();
    let mut mac = Hmac::<Sha256>::new_from_slice(&secret).unwrap();
    mac.update(format!("{}.{}.", post.header("webhook-id"), post.header("webhook-timestamp")).as_bytes());
    mac.update(&post.body);
    let expected = format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()));
    assert_eq!(post.header("webhook-signature"), expected);
}

#[test]
fn a_post_that_fails_for_now_is_repeated() {
    let (trail, receiver) = (Trail::new(), Receiver::start());
    receiver.answer(&[503]);
    let _alerts = started(&trail, "Invoice", &receiver);
    record(&trail, &["Invoice posted"]);
    let (first, second) = (receiver.next(), receiver.next());
    assert_eq!(first.body, second.body);
    assert_eq!(first.header("webhook-id"), second.header("webhook-id"));
    assert_eq!(firings(&trail, 1)[0]["success"], json!(true));
}

#[test]
fn a_post_that_is_refused_is_recorded_and_part_of_the_next() {
    let (trail, receiver) = (Trail::new(), Receiver::start());
    receiver.answer(&[404]);
    let _alerts = started(&trail, "Invoice", &receiver);
    record(&trail, &["Invoice 1 posted"]);
    assert_eq!(descriptions(&receiver.next().json()), ["Invoice 1 posted"]);
    assert_eq!(descriptions(&receiver.next().json()), ["Invoice 1 posted"]);
    let outcomes: Vec<_> = firings(&trail, 2)
        .iter()
        .map(|entry| json!([entry["success"], entry["metadata"]["reason"]]))
        .collect();
    assert_eq!(outcomes, [json!([false, "the answer was 404 Not Found"]), json!([true, null])]);
}

#[test]
fn a_burst_makes_one_post_in_the_interval() {
    let (trail, receiver) = (Trail::new(), Receiver::start());
    let _alerts = started(&trail, "Invoice", &receiver);
    record(&trail, &["Invoice posted"]);
    let first = receiver.next();
    let mut counts = vec![first.json()["count"].as_u64().unwrap()];
    let mut at = first.at;
    for number in 0..10_000 {
        trail.logger.log(format!("Invoice {number} posted")).record().unwrap();
    }
    while counts.iter().sum::<u64>() < 10_001 {
        let post = receiver.next();
        assert!(post.at.duration_since(at) > Duration::from_millis(900), "{:?}", post.at.duration_since(at));
        at = post.at;
        let post = post.json();
        assert_eq!(post["entries"].as_array().unwrap().len(), 5);
        counts.push(post["count"].as_u64().unwrap());
    }
    assert_eq!(counts.iter().sum::<u64>(), 10_001);
    firings(&trail, counts.len());
}

#[test]
fn a_firing_triggers_no_alert() {
    let (trail, receiver) = (Trail::new(), Receiver::start());
    let _alerts = started(&trail, "", &receiver);
    for number in 1..=3 {
        let text = format!("Invoice {number} posted");
        record(&trail, &[&text]);
        let post = receiver.next().json();
        assert_eq!((descriptions(&post), &post["count"]), (vec![text.as_str()], &json!(1)));
        firings(&trail, number);
    }
}

#[test]
fn entries_before_a_delivery_or_while_stopped_are_not_lost() {
    let (trail, receiver) = (Trail::new(), Receiver::start());
    receiver.answer(&[503; 1]);
    let alerts = started(&trail, "Invoice", &receiver);
    record(&trail, &["Invoice 1 posted"]);
    receiver.next();
    // Dropped in the pause after the refusal, or during the next attempt.
    drop(alerts);
    record(&trail, &["Invoice 2 posted"]);
    let _alerts = started(&trail, "Invoice", &receiver);
    let mut post = receiver.next().json();
    if post["count"] == json!(1) {
        // The next attempt arrived, and its answer did not.
        post = receiver.next().json();
    }
    assert_eq!(descriptions(&post), ["Invoice 1 posted", "Invoice 2 posted"]);
    assert_eq!(firings(&trail, 1)[0]["metadata"]["found"], json!("2"));
}

#[test]
fn what_was_posted_is_not_posted_again_after_a_restart() {
    let (trail, receiver) = (Trail::new(), Receiver::start());
    let alerts = started(&trail, "Invoice", &receiver);
    record(&trail, &["Invoice 1 posted"]);
    let first = receiver.next();
    firings(&trail, 1);
    drop(alerts);
    let _alerts = started(&trail, "Invoice", &receiver);
    record(&trail, &["Invoice 2 posted"]);
    let second = receiver.next();
    assert_eq!(descriptions(&second.json()), ["Invoice 2 posted"]);
    let pause = second.at.duration_since(first.at);
    assert!(pause > Duration::from_millis(900), "a restart shortened the interval to {pause:?}");
}

#[test]
fn the_alerts_of_a_trail_run_once() {
    let (trail, receiver) = (Trail::new(), Receiver::start());
    let queries = saved(&trail, "Invoice", &receiver, &Value::Null);
    let _alerts = Alerts::new(&queries).start(&trail.logger).unwrap();
    let second = Alerts::new(&queries).start(&trail.logger).unwrap_err();
    assert!(second.is_locked(), "{second}");
}

#[test]
fn each_trail_of_a_family_has_posts_of_its_own() {
    let (own, receiver) = (Trail::new(), Receiver::start());
    let family = tempfile::tempdir().unwrap();
    let open = |name| AuditLogger::open(Config::new(family.path().join(name))).unwrap();
    let workers = [open("worker-1"), open("worker-2")];
    let queries = saved(&own, "Invoice", &receiver, &Value::Null);
    let alerts = Alerts::new(&queries).source(family.path()).public_url("https://audit.example");
    let _alerts = alerts.start(&own.logger).unwrap();
    for worker in &workers {
        worker.log("Invoice posted").record().unwrap();
    }
    let mut posts = [receiver.next().json(), receiver.next().json()];
    posts.sort_by_key(|post| post["trail"].to_string());
    for (post, name) in posts.iter().zip(["worker-1", "worker-2"]) {
        assert_eq!((&post["trail"], &post["count"]), (&json!(name), &json!(1)));
        assert!(post["link"].as_str().unwrap().ends_with(&format!("&trail={name}")), "{post}");
    }
    let firings = firings(&own, 2);
    let mut names: Vec<&Value> = firings.iter().map(|firing| &firing["entity_id"]).collect();
    names.sort_by_key(ToString::to_string);
    assert_eq!(names, [&json!("Invoices (worker-1)"), &json!("Invoices (worker-2)")]);
    for worker in workers {
        worker.close(TIMEOUT).unwrap();
    }
}
