//! The description of the API is that of the server: methods, parameters, defaults, members of answers.

use std::collections::BTreeSet;

use auditx_core::RequestContext;
use auditx_ui::{Dashboard, Key, Viewer};
use axum::Router;
use serde_json::{Value, json};

use crate::server::{Server, TIMEOUT, Trail};

const KEY: &str = "a key of sixteen bytes or more";

fn served(trail: &Trail) -> Server {
    Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(Viewer::new("mya")))
}

struct Description(Value);

impl Description {
    fn of(server: &Server) -> Self {
        Self(server.get("/api/v1/openapi.json", "").json())
    }

    fn paths(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.0["paths"].as_object().unwrap().iter()
    }

    fn resolved<'d>(&'d self, value: &'d Value) -> &'d Value {
        match value["$ref"].as_str() {
            Some(address) => self.0.pointer(address.strip_prefix('#').unwrap()).unwrap(),
            None => value,
        }
    }

    fn query_parameters<'d>(&'d self, operation: &'d Value) -> Vec<&'d Value> {
        let all = operation["parameters"].as_array().into_iter().flatten();
        all.map(|parameter| self.resolved(parameter)).filter(|it| it["in"] == "query").collect()
    }

    /// Asserts that objects have exactly the members that are described.
    fn check(&self, path: &str, schema: &Value, value: &Value) {
        let mut schemas = vec![self.resolved(schema)];
        let parts = schemas[0]["allOf"].as_array().into_iter().flatten();
        schemas.extend(parts.map(|part| self.resolved(part)));
        let described = |name: &str| schemas.iter().find_map(|schema| schema["properties"].get(name));
        for (name, member) in value.as_object().into_iter().flatten() {
            if schemas.iter().any(|schema| schema["properties"].is_object()) {
                let schema = described(name).unwrap_or_else(|| panic!("{path}: {name} is not described"));
                self.check(&format!("{path}.{name}"), schema, member);
            }
        }
        let required = schemas.iter().flat_map(|schema| schema["required"].as_array()).flatten();
        for name in required.map(|name| name.as_str().unwrap()) {
            assert!(value.get(name).is_some(), "{path} lacks {name}: {value}");
        }
        for item in value.as_array().into_iter().flatten() {
            self.check(&format!("{path}[]"), &schemas[0]["items"], item);
        }
    }
}

fn real(path: &str) -> String {
    let path = path.replace("{seq}", "3").replace("{format}", "csv");
    format!("/api/v1{path}")
}

#[test]
fn every_method_is_described() {
    let server = served(&Trail::with(3));
    for (path, methods) in Description::of(&server).paths() {
        let request = format!("PATCH {} HTTP/1.1\r\nHost: {}\r\n\r\n", real(path), server.address);
        let answer = server.send(&request);
        assert_eq!(answer.status, 405, "{path}");
        let allowed: BTreeSet<&str> = answer.header("allow").unwrap().split(',').collect();
        let mut described: BTreeSet<&str> = methods.as_object().unwrap().keys().map(String::as_str).collect();
        // Answered for each path with GET, as HTTP demands.
        described.insert("head");
        assert_eq!(allowed, described, "{path}");
        assert_eq!(answer.header("content-type"), Some("application/problem+json"), "{path}");
        assert!(answer.json()["detail"].as_str().unwrap().contains("Allow"), "{path}");
    }
}

#[test]
fn every_parameter_is_described() {
    let server = served(&Trail::with(3));
    let description = Description::of(&server);
    let mut compared = 0;
    for (path, methods) in description.paths().filter(|(path, _)| *path != "/healthz") {
        let answer = server.get(&format!("{}?sinse=2h", real(path)), "");
        assert_eq!(answer.status, 400, "{path}");
        let problem = answer.json();
        // The names that a struct of parameters has, as serde lists them.
        let accepted = problem["detail"].as_str().unwrap().split('`').skip(3).step_by(2);
        let accepted: BTreeSet<&str> = accepted.collect();
        let described = description.query_parameters(&methods["get"]);
        let described = described.iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
        assert_eq!(accepted, described, "{path}: {problem}");
        compared += accepted.len();
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn the_described_defaults_are_the_real_ones() {
    let trail = Trail::with(150);
    for _ in 0..120 {
        trail.logger.log("Customer seen").entity("customer", "CUST-220").record().unwrap();
    }
    trail.logger.close(TIMEOUT).unwrap();
    let server = served(&trail);
    let description = Description::of(&server);
    // Events never end, and archives have a time in them.
    let is_compared = |path: &str| !["/stream", "/export/bundle"].contains(&path);
    for (path, methods) in description.paths().filter(|(path, _)| is_compared(path)) {
        let mut addresses = [real(path), real(path)];
        for parameter in description.query_parameters(&methods["get"]) {
            let (name, schema) = (parameter["name"].as_str().unwrap(), &parameter["schema"]);
            let default = schema.get("default").map(|value| value.to_string().replace('"', ""));
            assert_eq!(default.is_none(), parameter["required"] == true, "{path}: {name}");
            let value = default.clone().or(parameter["example"].as_str().map(str::to_owned)).unwrap();
            let given = if default.is_some() { &mut addresses[1..] } else { &mut addresses[..] };
            for address in given {
                let sign = if address.contains('?') { '&' } else { '?' };
                // A closed set has no empty value; other defaults are written as they are.
                *address += &format!("{sign}{name}={value}");
            }
        }
        let [without, with] = addresses.map(|address| server.get(&address, ""));
        assert_eq!((without.status, &without.body), (200, &with.body), "{path}");
    }
}

#[test]
fn answers_have_exactly_the_described_members() {
    let trail = Trail::with(3);
    let _scope = RequestContext::new().user("thida").request_id("r1").enter();
    for limit in [1, 2] {
        let entry = trail.logger.log("Customer corrected").entity("customer", "CUST-220");
        let entry = entry.old_values(json!({ "gone": 1, "limit": limit }));
        entry.new_values(json!({ "limit": 9, "added": null })).record().unwrap();
    }
    trail.logger.flush(TIMEOUT).unwrap();
    let server = served(&trail);
    assert_eq!(server.post("/api/v1/verify", "", "").status, 200);
    let description = Description::of(&server);
    let mut compared = BTreeSet::new();
    for (path, methods) in description.paths() {
        let content = &methods["get"]["responses"]["200"]["content"]["application/json"];
        let address = real(path).replace("/3", "/5")
            + if path == "/history" { "?entity=customer/CUST-220" } else { "" };
        if content.is_object() && path != "/openapi.json" {
            let answer = server.get(&address, "").json();
            assert!(answer.get("entries").is_none_or(|entries| entries[0].is_object()), "{path}: {answer}");
            description.check(path, &content["schema"], &answer);
            compared.insert(path.as_str());
        }
    }
    let all = ["/entries", "/entries/{seq}", "/entries/{seq}/related", "/history", "/stats", "/verify"];
    assert!(compared.into_iter().eq(all));
    let problem = server.get("/api/v1/nothing", "").json();
    description.check("problem", &json!({ "$ref": "#/components/schemas/Problem" }), &problem);
}

#[test]
fn the_description_needs_no_key_and_has_the_prefix() {
    let trail = Trail::with(1);
    let dashboard = Dashboard::unrecorded(trail.directory.path());
    let router = dashboard.key(Key::new(KEY).unwrap(), Viewer::new("mya")).router();
    let server = Server::serving(Router::new().nest("/t/{tenant}/audit", router));
    assert_eq!(server.get("/t/acme/audit/api/v1/entries", "").status, 401);
    let description = server.get("/t/acme/audit/api/v1/openapi.json", "").json();
    assert_eq!(description["servers"][0]["url"], "/t/acme/audit/api/v1");
}

#[test]
fn refusals_before_a_handler_runs_are_described() {
    let trail = Trail::with(1);
    let dashboard = Dashboard::unrecorded(trail.directory.path()).hosts(["127.0.0.1"]);
    let server = Server::of(dashboard.key(Key::new(KEY).unwrap(), Viewer::new("mya")));
    let description = Description::of(&server);
    let answers = &description.0["paths"]["/stats"]["get"]["responses"];
    let get = |headers: &str| server.get("/api/v1/stats", headers);
    let wrong = "Authorization: Bearer wrong\r\n";
    let foreign = "GET /api/v1/stats HTTP/1.1\r\nHost: evil.example\r\n\r\n";
    let wrong_keys: Vec<_> = (0..11).map(|_| get(wrong)).collect();
    let refusals = [
        (400, server.get("/api/v1/stats?token=x", "")),
        (401, get("")),
        (403, get("Sec-Fetch-Site: cross-site\r\n")),
        (421, server.send(foreign)),
        (429, wrong_keys.into_iter().next_back().unwrap()),
    ];
    for (status, answer) in refusals {
        let described = description.resolved(&answers[status.to_string()]);
        assert_eq!((answer.status, answer.json()["status"].as_u64()), (status, Some(u64::from(status))));
        let kind = answer.header("content-type").unwrap();
        assert!(described["content"][kind].is_object(), "{status}: {kind}");
        for name in described["headers"].as_object().into_iter().flat_map(|headers| headers.keys()) {
            assert!(answer.header(&name.to_ascii_lowercase()).is_some(), "{status} lacks {name}");
        }
    }
}
