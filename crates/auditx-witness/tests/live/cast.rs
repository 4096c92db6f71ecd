//! Witnesses on free ports, which can be taken down, restored, or replaced by ones that lie or are silent.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};

use auditx_tests::deadline::{TIMEOUT, wait_for};
use auditx_tlog::{Policy, Signer as _, SigningKey, Submission, VerifierKey, WitnessKey};
use auditx_witness::{Witness, router};
use axum::Router;
use axum::body::Bytes;
use axum::routing::post;
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// The witnesses of a trail.
pub(crate) struct Cast {
    log: VerifierKey,
    actors: Vec<Actor>,
}

struct Actor {
    key: SigningKey,
    name: String,
    state: TempDir,
    address: SocketAddr,
    /// `None` if it is down.
    server: Option<Runtime>,
}

impl Cast {
    pub(crate) fn new(log: &VerifierKey, count: usize) -> Self {
        let actor = |number| Actor {
            key: SigningKey::generate(),
            name: format!("witness.example.com/w{number}"),
            state: TempDir::new().unwrap(),
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            server: None,
        };
        let mut cast = Self { log: log.clone(), actors: (0..count).map(actor).collect() };
        for actor in &mut cast.actors {
            Witness::create(actor.state.path(), &actor.name, &actor.key).unwrap();
            actor.start(&cast.log);
        }
        cast
    }

    /// A policy with all witnesses.
    pub(crate) fn policy(&self, rest: &str) -> Policy {
        let mut text = format!("log {}\n", self.log);
        for (number, actor) in self.actors.iter().enumerate() {
            let key = WitnessKey::new(&actor.name, &actor.key.public_key()).unwrap();
            text += &format!("witness w{number} {key} http://{}\n", actor.address);
        }
        Policy::parse(format!("{text}{rest}").as_bytes()).unwrap()
    }

    pub(crate) fn stop(&mut self, number: usize) {
        // Ends all tasks, and with them the witness, which releases its directory.
        self.actors[number].server = None;
    }

    /// Replaces a witness by one that cosigns everything, with a key that is not its own.
    pub(crate) fn lie(&mut self, number: usize) {
        self.stop(number);
        let actor = &mut self.actors[number];
        let (name, key) = (actor.name.clone(), SigningKey::generate());
        let cosign = move |body: Bytes| async move {
            let submission = Submission::parse(&body).unwrap();
            submission.checkpoint().cosign(&name, &key, 1_800_000_000).unwrap()
        };
        actor.serve(Router::new().route("/add-checkpoint", post(cosign)));
    }

    /// Replaces a witness by one that accepts connections and does not answer. Returns these.
    pub(crate) fn silence(&mut self, number: usize) -> Receiver<TcpStream> {
        self.stop(number);
        let (sender, connections) = channel();
        let listener = bound(self.actors[number].address);
        std::thread::spawn(move || listener.incoming().flatten().try_for_each(|stream| sender.send(stream)));
        connections
    }

    /// Copies the state of a witness.
    pub(crate) fn backup(&self, number: usize) -> TempDir {
        let backup = TempDir::new().unwrap();
        copy(self.actors[number].state.path(), backup.path());
        backup
    }

    /// Starts a witness with an earlier state.
    pub(crate) fn restore(&mut self, number: usize, backup: &TempDir) {
        self.stop(number);
        let actor = &mut self.actors[number];
        copy(backup.path(), actor.state.path());
        actor.start(&self.log);
    }
}

impl Actor {
    fn start(&mut self, log: &VerifierKey) {
        let witness = wait_for("the directory of the witness", || {
            let signer = Arc::new(self.key.clone());
            Witness::open(self.state.path(), &self.name, signer, [log.clone()]).ok()
        });
        self.serve(router(Arc::new(witness)));
    }

    fn serve(&mut self, router: Router) {
        let listener = bound(self.address);
        listener.set_nonblocking(true).unwrap();
        self.address = listener.local_addr().unwrap();
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(async { tokio::net::TcpListener::from_std(listener).unwrap() });
        runtime.spawn(async move { axum::serve(listener, router).await.unwrap() });
        self.server = Some(runtime);
    }
}

/// Listens as soon as the server before has ended.
fn bound(address: SocketAddr) -> TcpListener {
    wait_for("the port", || TcpListener::bind(address).ok())
}

/// Copies the files of a directory, and those of its directories.
pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir_all(&to).unwrap();
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}

/// Waits for a connection on which a request has begun.
pub(crate) fn requested(connections: &Receiver<TcpStream>) -> TcpStream {
    let stream = connections.recv_timeout(TIMEOUT).unwrap();
    assert!(stream.peek(&mut [0]).unwrap() > 0, "a request");
    stream
}
