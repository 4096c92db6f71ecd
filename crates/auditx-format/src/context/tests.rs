//! Tests of the context through its public API: nesting, sharing, teardown, carriers.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use serde_json::json;

use super::*;

struct NoWake;

impl Wake for NoWake {
    fn wake(self: Arc<Self>) {}
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(&Waker::from(Arc::new(NoWake))))
}

fn current_user() -> String {
    RequestContext::current().fields().user
}

async fn yield_once() {
    let mut yielded = false;
    poll_fn(|_| if std::mem::replace(&mut yielded, true) { Poll::Ready(()) } else { Poll::Pending }).await;
}

#[test]
fn guards_nest_and_restore_the_previous_context() {
    let _outer = RequestContext::new().user("outer").enter();
    {
        let _inner = RequestContext::new().user("inner").enter();
        assert_eq!(current_user(), "inner");
    }
    assert_eq!(current_user(), "outer");
}

#[test]
fn two_scoped_futures_on_one_thread_do_not_mix() {
    let work = |name: &'static str| {
        RequestContext::new().user(name).scope(async move {
            for _ in 0..3 {
                assert_eq!(current_user(), name);
                yield_once().await;
            }
        })
    };
    let (mut first, mut second) = (pin!(work("first")), pin!(work("second")));
    for _ in 0..3 {
        assert!(poll_once(first.as_mut()).is_pending());
        assert!(poll_once(second.as_mut()).is_pending());
        assert_eq!(current_user(), "");
    }
    assert!(poll_once(first.as_mut()).is_ready() && poll_once(second.as_mut()).is_ready());
}

#[test]
fn a_guard_held_across_an_await_stays_with_its_future() {
    let mut future = pin!(RequestContext::new().user("outer").scope(async {
        let _inner = RequestContext::new().user("inner").enter();
        yield_once().await;
        assert_eq!(current_user(), "inner");
    }));
    assert!(poll_once(future.as_mut()).is_pending());
    assert_eq!(current_user(), "");
    assert!(poll_once(future.as_mut()).is_ready());
}

#[test]
fn a_dropped_future_drops_inside_its_context() {
    struct SeeUser(Arc<Mutex<String>>);
    impl Drop for SeeUser {
        fn drop(&mut self) {
            *self.0.lock().unwrap() = current_user();
        }
    }
    let seen = Arc::new(Mutex::new(String::new()));
    let guard = SeeUser(seen.clone());
    let mut future = Box::pin(RequestContext::new().user("owner").scope(async move {
        let _guard = guard;
        yield_once().await;
    }));
    assert!(poll_once(future.as_mut()).is_pending());
    drop(future);
    assert_eq!(*seen.lock().unwrap(), "owner");
}

#[test]
fn a_panic_in_a_scoped_future_leaves_no_context_behind() {
    let mut future = Box::pin(RequestContext::new().user("inner").scope(async { panic!("on purpose") }));
    let polled = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| poll_once(future.as_mut())));
    assert!(polled.is_err());
    assert_eq!(current_user(), "");
}

#[test]
fn update_set_and_clear_respect_scopes() {
    std::thread::spawn(|| {
        RequestContext::update(|context| context.user = "worker".into());
        assert_eq!(current_user(), "worker");
        RequestContext::clear();
        assert!(RequestContext::try_current().is_none());

        let request = RequestContext::new().user("before");
        let _scope = request.enter();
        RequestContext::set(&RequestContext::new().user("after"));
        assert_eq!(request.fields().user, "after");
        RequestContext::clear();
        assert_eq!(request.fields().user, "");
        RequestContext::update(|context| context.user = "again".into());
        assert_eq!(request.fields().user, "again");
    })
    .join()
    .unwrap();
}

#[test]
fn an_edit_may_edit_the_same_context() {
    let context = RequestContext::new().user("admin").extra("kept", 1).extra("removed", 2);
    context.edit(|fields| {
        fields.user_role = "manager".into();
        fields.extra.remove("removed");
        context.edit(|inner| inner.branch_id = "BR-YGN".into());
        fields.company_id = context.fields().branch_id;
    });
    let fields = context.fields();
    assert_eq!((fields.user.as_str(), fields.user_role.as_str()), ("admin", "manager"));
    assert_eq!((fields.branch_id.as_str(), fields.company_id.as_str()), ("BR-YGN", "BR-YGN"));
    assert_eq!(fields.extra.into_iter().collect::<Vec<_>>(), [("kept".to_owned(), json!(1))]);
}

#[test]
fn a_carrier_keeps_all_fields_and_unknown_keys() {
    let context = RequestContext::new()
        .user("admin")
        .user_role("manager")
        .company_id("CO-001")
        .branch_id("BR-YGN")
        .session_id("s")
        .request_id("r")
        .ip("192.168.1.10".parse().unwrap())
        .extra("tenant", json!({"shard": 7}));
    let mut pairs: BTreeMap<String, String> =
        context.to_carrier().iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
    pairs.insert("auditx-from-the-future".into(), "kept".into());

    let restored = RequestContext::from_carrier(&pairs.clone().into_iter().collect()).unwrap();
    assert_eq!(ContextFields { carried: BTreeMap::new(), ..restored.fields() }, context.fields());
    assert_eq!(restored.to_carrier(), pairs.into_iter().collect());
}

#[test]
fn a_malformed_carrier_is_rejected() {
    let reject = |pairs: &[(&str, &str)], expected: &str| {
        let error = RequestContext::from_carrier(&pairs.iter().copied().collect()).unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(expected), "{error}");
    };
    reject(&[], "auditx-version");
    reject(&[("auditx-version", "9")], "unknown carrier version \"9\"");
    reject(&[("auditx-version", "1"), ("auditx-ip", "localhost")], "is not an IP address");
    reject(&[("auditx-version", "1"), ("auditx-extra", "[1]")], "expected a JSON object");
}

#[test]
fn spawned_work_gets_the_context_only_when_wrapped() {
    let context = RequestContext::new().user("admin");
    let _scope = context.enter();
    assert_eq!(std::thread::spawn(current_user).join().unwrap(), "");
    assert_eq!(std::thread::spawn(context.in_fn(current_user)).join().unwrap(), "admin");
}
