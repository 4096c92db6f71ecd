//! Business entries: exact amounts, exact changes, and no entry for what was not done.

use auditx_core::Amount;
use serde_json::{Value, json};

use crate::client::{CLERK, MANAGER, Request};
use crate::server::{Server, Service};
use crate::trail;

for_each_service! {
    an_invoice_keeps_the_digits_of_its_amount,
    a_refused_invoice_leaves_only_its_closing_entry,
    issuing_more_than_the_stock_is_refused,
    only_managers_change_credit_limits,
}

fn invoice(reference_no: &str, amount: impl Into<Value>) -> Request {
    let body =
        json!({"reference_no": reference_no, "customer": "Golden Trading Co.", "amount": amount.into()});
    Request::post("/sales/invoice", &body).token(CLERK).id(reference_no)
}

fn an_invoice_keeps_the_digits_of_its_amount(service: Service) {
    let server = Server::start(service);
    let amounts = [
        ("SI-1", json!("1250000.10"), "1250000.10"),
        ("SI-2", json!(1_250_000), "1250000"),
        ("SI-3", json!("0.30"), "0.30"),
        ("SI-4", json!("9007199254740993.01"), "9007199254740993.01"),
        ("SI-5", json!(-5), "-5"),
    ];
    for (reference_no, amount, digits) in &amounts {
        let answer = server.request(&invoice(reference_no, amount.clone()));
        assert_eq!((answer.status, &answer.json()["amount"]), (201, &json!(digits)), "{reference_no}");
        let id = &answer.json()["entry_id"];
        trail::wait_for_entry(&server.logs(), "the entry that the response names", |entry| {
            id == &json!(entry.id)
        });
    }
    let entries = server.stop();
    for (reference_no, _, digits) in amounts {
        let recorded = trail::recorded_in(&entries, reference_no);
        assert_eq!(recorded.len(), 1);
        let posted = recorded[0];
        assert_eq!(posted.amount, Some(Amount::parse(digits).unwrap()));
        assert_eq!((posted.module.as_str(), posted.action.as_str()), ("sales", "POST"));
        assert_eq!((posted.reference_no.as_str(), posted.currency.as_str()), (reference_no, "MMK"));
        assert_eq!(posted.metadata["party"], "Golden Trading Co.");
        assert_eq!((posted.user.as_str(), posted.branch_id.as_str()), ("kyaw", "BR-MDY"));
    }
}

fn a_refused_invoice_leaves_only_its_closing_entry(service: Service) {
    let server = Server::start(service);
    assert_eq!(server.request(&invoice("SI-1", 1)).status, 201);
    assert_eq!(server.request(&invoice("SI-1", 2).header("X-Company-ID", "x")).status, 409);
    for (reference_no, amount) in [("SI-F", json!(1.5)), ("SI-E", json!("1e3")), ("SI-C", json!("1,250"))] {
        let answer = server.request(&invoice(reference_no, amount));
        assert!((400..500).contains(&answer.status), "{reference_no}: {}", answer.status);
    }
    let entries = server.stop();
    let sales: Vec<_> = entries.iter().filter(|entry| entry.module == "sales").collect();
    assert_eq!(sales.len(), 1, "{sales:?}");
    for reference_no in ["SI-F", "SI-E", "SI-C"] {
        let closing = trail::closing(&entries, reference_no);
        assert_eq!((closing.level.as_str(), closing.success), ("WARNING", false));
    }
    let conflict = entries.iter().find(|entry| entry.status == Some(409)).unwrap();
    assert_eq!(conflict.metadata["error"], "invoice SI-1 is already posted");
}

fn issuing_more_than_the_stock_is_refused(service: Service) {
    let server = Server::start(service);
    let issue = |id, product: &str, quantity: u32| {
        let body = json!({
            "product_id": product, "quantity": quantity, "warehouse_id": "WH-MAIN", "reference_no": "SI-7",
        });
        server.request(&Request::post("/inventory/issue", &body).token(CLERK).id(id))
    };
    assert_eq!(issue("some", "SKU-1002", 39).json()["on_hand"], 1);
    assert_eq!(issue("more", "SKU-1002", 2).status, 409);
    assert_eq!(issue("other", "SKU-9", 1).status, 404);
    let entries = server.stop();
    let recorded = trail::recorded_in(&entries, "some");
    assert_eq!(recorded.len(), 1);
    let issued = recorded[0];
    assert_eq!((issued.entity_type.as_str(), issued.entity_id.as_str()), ("product", "SKU-1002"));
    let facts = json!({
        "quantity": 39, "unit": "pcs", "product_name": "Copper Cable 2.5mm", "warehouse_id": "WH-MAIN",
    });
    assert_eq!(Value::Object(issued.metadata.clone()), facts);
    assert_eq!((issued.reference_no.as_str(), issued.action.as_str()), ("SI-7", "TRANSFER"));
    for (id, error) in [("more", "only 1 of SKU-1002 in stock"), ("other", "no product SKU-9")] {
        assert!(trail::recorded_in(&entries, id).is_empty());
        assert_eq!(trail::closing(&entries, id).metadata["error"], error);
    }
}

fn only_managers_change_credit_limits(service: Service) {
    let server = Server::start(service);
    let set = |id, token, customer: &str, limit: u64| {
        let path = format!("/customers/{customer}/credit-limit");
        server.request(&Request::put(&path, &json!({"credit_limit": limit})).token(token).id(id)).status
    };
    assert_eq!(set("manager", MANAGER, "CUST-220", 1_000_000), 200);
    assert_eq!(set("clerk", CLERK, "CUST-220", 9_999_999), 403);
    assert_eq!(set("unknown", MANAGER, "CUST-9", 1), 404);
    let entries = server.stop();

    let recorded = trail::recorded_in(&entries, "manager");
    assert_eq!(recorded.len(), 1);
    let change = recorded[0];
    assert_eq!(change.old_values, json!({"terms": {"credit_limit": 500_000}}), "only what differs");
    assert_eq!(change.new_values, json!({"terms": {"credit_limit": 1_000_000}}));
    assert_eq!((change.entity_type.as_str(), change.entity_id.as_str()), ("customer", "CUST-220"));
    assert_eq!((change.user.as_str(), change.user_role.as_str()), ("thida", "manager"));
    assert_eq!(trail::closing(&entries, "manager").action, "UPDATE");

    let recorded = trail::recorded_in(&entries, "clerk");
    assert_eq!(recorded.len(), 1);
    let denied = recorded[0];
    assert_eq!((denied.level.as_str(), denied.user.as_str(), denied.success), ("SECURITY", "kyaw", false));
    assert_eq!(denied.metadata["reason"], "only a manager may change a credit limit");
    assert!(trail::recorded_in(&entries, "unknown").is_empty());
}
