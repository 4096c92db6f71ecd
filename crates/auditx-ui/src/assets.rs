//! The files that pages refer to, embedded in the program.

use std::sync::OnceLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::prelude::{BASE64_STANDARD, Engine as _};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("assets/dashboard.css");

/// Checks the proof of an entry in the browser.
pub(crate) static PROOF: Script = Script::new("/assets/proof.js", include_str!("assets/proof.js"));

/// Says how many entries are new in a view.
pub(crate) static LIVE: Script = Script::new("/assets/live.js", include_str!("assets/live.js"));

/// Every script. The policy of all pages names their hashes, and browsers run no other.
pub(crate) static SCRIPTS: &[&Script] = &[&PROOF, &LIVE];

/// A script that is served as a file.
#[derive(Debug)]
pub(crate) struct Script {
    /// Its path below the dashboard.
    pub(crate) path: &'static str,
    text: &'static str,
    integrity: OnceLock<String>,
}

impl Script {
    const fn new(path: &'static str, text: &'static str) -> Self {
        Self { path, text, integrity: OnceLock::new() }
    }

    /// Returns its hash as a policy and the attribute `integrity` have it.
    pub(crate) fn integrity(&self) -> &str {
        let hash = || format!("sha256-{}", BASE64_STANDARD.encode(Sha256::digest(self.text)));
        self.integrity.get_or_init(hash)
    }
}

/// Returns the script with this path below the dashboard.
pub(crate) fn script_at(path: &str) -> Option<&'static Script> {
    SCRIPTS.iter().copied().find(|script| script.path == path)
}

/// The name in an address. Taken by name, since the prefix of the dashboard may have parameters too.
#[derive(Debug, Deserialize)]
pub(crate) struct Named {
    file: String,
}

pub(crate) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

pub(crate) async fn script(Path(Named { file }): Path<Named>) -> Response {
    let Some(script) = script_at(&format!("/assets/{file}")) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], script.text).into_response()
}
