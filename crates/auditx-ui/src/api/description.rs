//! The description of the API, for programs and tools (OpenAPI 3.1).
//!
//! It is written by hand, because answers contain lines as they are stored, which no type of this crate
//! describes. Tests compare it with the routes, the parameters and the answers.

use axum::Extension;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::{Value, json};

use crate::guard::Base;
use crate::problem::Problem;

use super::answer::json_text;
use super::parameters::Nothing;

const PATHS: &str = include_str!("openapi/paths.json");
const COMPONENTS: &str = include_str!("openapi/components.json");

/// What may be answered on any path, before its handler runs.
const TO_EVERYONE: [(&str, &str); 3] = [("400", "BadRequest"), ("403", "Forbidden"), ("421", "Misdirected")];

/// What else may be answered on a path that needs a key.
const WITH_KEY: [(&str, &str); 4] =
    [("401", "Unauthorized"), ("429", "TooManyRequests"), ("500", "InternalError"), ("503", "Unavailable")];

/// Needs no viewer: it says nothing about the trail.
pub(super) async fn description(
    Extension(Base(base)): Extension<Base>,
    Query(Nothing {}): Query<Nothing>,
) -> Result<Response, Problem> {
    Ok(json_text(described(&base)?.to_string()))
}

/// Returns the description for a dashboard below `base`.
fn described(base: &str) -> Result<Value, Problem> {
    // Cannot fail: a test parses them.
    let parsed = |text| {
        serde_json::from_str::<Value>(text).map_err(|error| {
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, format!("the description is not JSON: {error}"))
        })
    };
    let mut description = parsed(PATHS)?;
    description["components"] = parsed(COMPONENTS)?;
    description["servers"][0]["url"] = json!(format!("{base}/api/v1"));
    let paths = description["paths"].as_object_mut().into_iter().flat_map(|paths| paths.values_mut());
    let methods = paths.filter_map(Value::as_object_mut).flat_map(|path| path.values_mut());
    for operation in methods {
        let needs_key = operation["security"].is_null();
        let more = WITH_KEY.iter().filter(|_| needs_key);
        for (status, name) in TO_EVERYONE.iter().chain(more) {
            operation["responses"][status] = json!({ "$ref": format!("#/components/responses/{name}") });
        }
    }
    Ok(description)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(object: &Value) -> Vec<String> {
        let mut names: Vec<String> = object.as_object().unwrap().keys().cloned().collect();
        names.sort();
        names
    }

    #[test]
    fn every_route_is_described_and_nothing_else() {
        let mut paths = super::super::routes().map(|(path, _)| path);
        paths.sort_unstable();
        assert_eq!(names(&described("").unwrap()["paths"]), paths);
    }

    #[test]
    fn every_field_of_an_entry_is_described() {
        let mut fields = auditx_reader::Field::ALL.map(auditx_reader::Field::name).to_vec();
        fields.push("trail");
        fields.sort_unstable();
        let description = described("").unwrap();
        assert_eq!(names(&description["components"]["schemas"]["Entry"]["properties"]), fields);
    }

    #[test]
    fn the_server_has_the_prefix_of_the_dashboard() {
        assert_eq!(described("/a \"b\"").unwrap()["servers"], json!([{ "url": "/a \"b\"/api/v1" }]));
    }

    #[test]
    fn a_path_without_a_key_is_never_unauthorized() {
        let description = described("").unwrap();
        let answers = |path: &str| names(&description["paths"][path]["get"]["responses"]);
        assert_eq!(answers("/healthz"), ["200", "400", "403", "421"]);
        assert_eq!(answers("/verify"), ["200", "400", "401", "403", "421", "429", "500", "503"]);
    }
}
