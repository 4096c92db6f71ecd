//! Signing in with a key, and out.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{ConnectInfo, Form, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};
use serde::Deserialize;

use crate::dashboard::Dashboard;
use crate::guard::{Base, COOKIE, cookies, refused};
use crate::layout;
use crate::problem::Problem;

#[derive(Deserialize)]
pub(crate) struct Entered {
    key: String,
}

pub(crate) async fn form(Extension(Base(base)): Extension<Base>) -> Markup {
    page(&base, None)
}

pub(crate) async fn sign_in(
    State(ui): State<Arc<Dashboard>>,
    Extension(Base(base)): Extension<Base>,
    peer: Option<Extension<ConnectInfo<SocketAddr>>>,
    Form(entered): Form<Entered>,
) -> Response {
    let peer = peer.map(|Extension(ConnectInfo(peer))| peer.ip());
    let viewer = match ui.keys.viewer(entered.key.trim(), peer) {
        Ok(viewer) => viewer,
        Err(refusal) => {
            let problem = refused(&ui, refusal).await;
            let page = page(&base, Some(problem.detail()));
            return problem.with_headers((problem.status(), page).into_response());
        }
    };
    if let Err(problem) = ui.record_sign_in(Some(&viewer)).await {
        return problem.page(&base);
    }
    match ui.keys.begin(viewer) {
        Ok(token) => to_trail(&base, &token, ""),
        Err(error) => {
            let detail = format!("no session can begin, since the system has no random numbers: {error}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail).page(&base)
        }
    }
}

pub(crate) async fn sign_out(
    State(ui): State<Arc<Dashboard>>,
    Extension(Base(base)): Extension<Base>,
    headers: HeaderMap,
) -> Response {
    cookies(&headers).for_each(|token| ui.keys.end(token));
    to_trail(&base, "", "; Max-Age=0")
}

/// Sets the cookie and leads to the trail. Browsers send the cookie in no request that another site begins,
/// and show it to no script.
fn to_trail(base: &str, token: &str, end: &str) -> Response {
    let home = layout::home(base);
    let cookie = format!("{COOKIE}={token}; Path={home}; HttpOnly; SameSite=Strict{end}");
    ([(header::SET_COOKIE, cookie)], Redirect::to(home)).into_response()
}

fn page(base: &str, problem: Option<&str>) -> Markup {
    layout::bare(
        base,
        "Sign in",
        html! {
            h1 { "Sign in" }
            @if let Some(problem) = problem { p.problem role="alert" { (problem) } }
            form.query method="post" action=(format!("{base}/sign-in")) {
                label.wide {
                    "Key"
                    input type="password" name="key" autocomplete="current-password" required autofocus;
                }
                button { "Sign in" }
            }
        },
    )
}
