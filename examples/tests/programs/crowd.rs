//! Many concurrent clients, each on its own connection: every request has exactly one closing entry.

use std::collections::{HashMap, HashSet};
use std::sync::Barrier;
use std::thread;

use auditx_core::{Amount, StoredEntry};
use auditx_examples::accounts::{ACCOUNTS, Account, Role};
use serde_json::json;

use crate::client::{Client, Request};
use crate::server::{Server, Service};
use crate::trail;

for_each_service! {
    each_concurrent_request_has_one_closing_entry,
}

const CLIENTS: usize = 200;

/// A request that was answered, and what the trail must hold for it.
struct Answered {
    /// `None` for a path that needs no authentication.
    account: Option<&'static Account>,
    id: String,
    method: &'static str,
    endpoint: String,
    status: u16,
    recorded: Option<Recorded>,
}

struct Recorded {
    description: &'static str,
    amount: Option<String>,
}

fn each_concurrent_request_has_one_closing_entry(service: Service) {
    let server = Server::start(service);
    let all_connected = Barrier::new(CLIENTS);
    let answered: Vec<Answered> = thread::scope(|scope| {
        let (server, all_connected) = (&server, &all_connected);
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn(move || {
                    let client = server.client();
                    all_connected.wait();
                    Session::of(number, client).run()
                })
            })
            .collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let entries = server.stop();

    let ids: HashSet<&str> = answered.iter().map(|request| request.id.as_str()).collect();
    assert_eq!(ids.len(), answered.len(), "no two requests have the same id");
    let mut closings: HashMap<&str, Vec<&StoredEntry>> = HashMap::new();
    let mut recorded: HashMap<&str, Vec<&StoredEntry>> = HashMap::new();
    for entry in entries.iter().filter(|entry| trail::kind(entry).is_none()) {
        let entries = if trail::is_closing(entry) { &mut closings } else { &mut recorded };
        entries.entry(&entry.request_id).or_default().push(entry);
    }
    assert_eq!(closings.len(), answered.len(), "no other request has a closing entry");
    for request in &answered {
        let id = request.id.as_str();
        let [closing] = closings[id][..] else { panic!("closing entries of {id}: {:?}", closings[id]) };
        check_closing(request, closing);
        let found = recorded.get(id).map(Vec::as_slice).unwrap_or_default();
        match (&request.recorded, found) {
            (None, []) => {}
            (Some(expected), [entry]) => check_recorded(request.account, expected, entry),
            (_, found) => panic!("{} {}: {found:?}", request.method, request.endpoint),
        }
    }
    check_chain_of_changes(&entries);
}

fn check_closing(request: &Answered, closing: &StoredEntry) {
    check_actor(request.account, closing);
    assert_eq!(
        (closing.method.as_str(), closing.endpoint.as_str(), closing.status),
        (request.method, request.endpoint.as_str(), Some(request.status))
    );
    assert_eq!((closing.success, &closing.metadata["outcome"]), (request.status < 400, &json!("completed")));
    assert_eq!(closing.ip, "127.0.0.1");
}

fn check_recorded(account: Option<&Account>, expected: &Recorded, entry: &StoredEntry) {
    check_actor(account, entry);
    assert_eq!(entry.description, expected.description);
    assert_eq!(entry.amount, expected.amount.as_deref().map(|amount| Amount::parse(amount).unwrap()));
}

fn check_actor(account: Option<&Account>, entry: &StoredEntry) {
    let expected = account.map_or(("SYSTEM", "", "", ""), |account| {
        (account.user, account.role.as_str(), account.company_id, account.branch_id)
    });
    assert_eq!(
        (entry.user.as_str(), entry.user_role.as_str(), entry.company_id.as_str(), entry.branch_id.as_str()),
        expected
    );
}

/// Checks that changes are recorded in the order in which they were made: each starts from the value that the
/// previous one in the trail has set.
fn check_chain_of_changes(entries: &[StoredEntry]) {
    let mut limit = json!({"terms": {"credit_limit": 500_000}});
    let changes: Vec<_> = entries.iter().filter(|entry| entry.module == "crm").collect();
    assert_eq!(changes.len(), CLIENTS / 2, "half of the clients are managers");
    for change in changes {
        assert_eq!(change.old_values, limit);
        limit = change.new_values.clone();
    }
}

/// The requests of one client, in sequence.
struct Session {
    number: usize,
    token: &'static str,
    account: &'static Account,
    client: Client,
    answered: Vec<Answered>,
}

impl Session {
    fn of(number: usize, client: Client) -> Self {
        let (token, account) = &ACCOUNTS[number % ACCOUNTS.len()];
        Self { number, token, account, client, answered: Vec::new() }
    }

    fn run(mut self) -> Vec<Answered> {
        self.get_me();
        self.post_invoice();
        self.issue_stock();
        self.set_credit_limit();
        self.get("/nowhere", 404, None);
        self.get("/reports/stream?chunks=2", 200, Some("Stock movements exported"));
        self.get("/me", 200, None);
        self.answered
    }

    fn get_me(&mut self) {
        let me = self.client.request(&Request::get("/me").token(self.token));
        assert_eq!(
            (&me.json()["user"], &me.json()["request_id"]),
            (&json!(self.account.user), &json!(me.id()))
        );
        self.add(me.id().to_owned(), "GET", "/me", me.status, None);
    }

    fn post_invoice(&mut self) {
        let Self { number, token, .. } = *self;
        let amount = format!("{}.10", 1_000 + number);
        let reference_no = format!("SI-{number}");
        let body = json!({"reference_no": reference_no, "customer": "Golden Trading Co.", "amount": amount});
        let id = format!("invoice-{number}");
        let answer = self.client.request(&Request::post("/sales/invoice", &body).token(token).id(&id));
        assert_eq!((answer.status, answer.id()), (201, id.as_str()));
        let recorded = Recorded { description: "Sales invoice posted", amount: Some(amount) };
        self.add(id, "POST", "/sales/invoice", 201, Some(recorded));
    }

    fn issue_stock(&mut self) {
        let body = json!({
            "product_id": "SKU-1001", "quantity": 3, "warehouse_id": "WH-MAIN", "reference_no": "SI-7",
        });
        let answer = self.client.request(&Request::post("/inventory/issue", &body).token(self.token));
        assert_eq!(answer.status, 200);
        let recorded = Recorded { description: "Stock issued for sales order", amount: None };
        self.add(answer.id().to_owned(), "POST", "/inventory/issue", 200, Some(recorded));
    }

    fn set_credit_limit(&mut self) {
        let path = "/customers/CUST-220/credit-limit";
        let id = format!("limit/{}", self.number);
        let body = json!({"credit_limit": 1_000_000 + self.number});
        let answer = self.client.request(&Request::put(path, &body).token(self.token).id(&id));
        let (status, description) = match self.account.role {
            Role::Manager => (200, "Customer credit limit updated"),
            Role::Clerk => (403, "Permission denied"),
        };
        assert_eq!((answer.status, answer.id()), (status, id.as_str()));
        self.add(id, "PUT", path, status, Some(Recorded { description, amount: None }));
    }

    fn get(&mut self, path: &str, status: u16, description: Option<&'static str>) {
        let answer = self.client.request(&Request::get(path).token(self.token));
        assert_eq!(answer.status, status);
        let recorded = description.map(|description| Recorded { description, amount: None });
        self.add(answer.id().to_owned(), "GET", path, status, recorded);
    }

    fn add(
        &mut self,
        id: String,
        method: &'static str,
        endpoint: &str,
        status: u16,
        recorded: Option<Recorded>,
    ) {
        let account = (status != 404).then_some(self.account);
        self.answered.push(Answered { account, id, method, endpoint: endpoint.to_owned(), status, recorded });
    }
}
