//! A server that receives alerts.

use std::collections::VecDeque;
use std::net::TcpListener;
use std::sync::mpsc::{self, Receiver as Channel};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::server::TIMEOUT;

/// Receives posts until it is dropped.
pub(crate) struct Receiver {
    pub(crate) url: String,
    posts: Channel<Post>,
    /// The statuses of the next answers; then 200.
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
    _runtime: Runtime,
}

pub(crate) struct Post {
    pub(crate) at: Instant,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Receiver {
    pub(crate) fn start() -> Self {
        let answers: Arc<Mutex<VecDeque<StatusCode>>> = Arc::default();
        let (sender, posts) = mpsc::channel();
        let waiting = answers.clone();
        let receive = async move |headers: HeaderMap, body: Bytes| {
            let answer = waiting.lock().unwrap().pop_front().unwrap_or(StatusCode::OK);
            sender.send(Post { at: Instant::now(), headers, body }).unwrap();
            answer
        };
        let router = Router::new().route("/hook", post(receive));
        let runtime = Runtime::new().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let listener = runtime.block_on(async { tokio::net::TcpListener::from_std(listener).unwrap() });
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, posts, answers, _runtime: runtime }
    }

    /// Answers the next posts with these statuses.
    pub(crate) fn answer(&self, statuses: &[u16]) {
        let statuses = statuses.iter().map(|status| StatusCode::from_u16(*status).unwrap());
        self.answers.lock().unwrap().extend(statuses);
    }

    pub(crate) fn next(&self) -> Post {
        self.posts.recv_timeout(TIMEOUT).unwrap()
    }
}

impl Post {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}
