//! A service of several worker processes on one port, all of which record into one trail.
//!
//! The kernel distributes connections among the workers (`SO_REUSEPORT`). A worker that dies is replaced.
//! SIGHUP replaces them one after the other: each new one serves before its predecessor ends. One of the
//! workers writes the trail; when it ends or is killed, another one continues.
//!
//! ```console
//! $ cargo run -p auditx-examples --bin prefork_erp -- --workers 4
//! $ curl -i -X POST http://127.0.0.1:8080/orders/17
//! $ auditx tail --dir logs
//! ```

use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use auditx_core::{AuditAction, BusinessModule, Config, audit, configure};
use auditx_examples::axum_server;
use auditx_examples::options::{CLOSE_TIMEOUT, Options};
use auditx_examples::shutdown;
use axum::Router;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::routing::post;
use clap::Parser;
use rustix::process::{Pid, Signal, kill_process};
use tokio::net::TcpSocket;
use tokio::signal::unix::{SignalKind, signal};

/// How often the parent looks for workers that have ended.
const LOOK: Duration = Duration::from_millis(100);

#[derive(Debug, Parser)]
struct Arguments {
    #[command(flatten)]
    service: Options,
    /// The number of worker processes.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// Serve as one of the workers.
    #[arg(long, hide = true)]
    worker: bool,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    if !arguments.worker {
        return supervise(&arguments);
    }
    // Each worker opens the trail itself. The parent does not record, and has it not open.
    configure(Config::new(&arguments.service.log_dir))?;
    let served = serve(&arguments.service);
    audit().close(CLOSE_TIMEOUT)?;
    served
}

#[tokio::main(flavor = "current_thread")]
async fn serve(options: &Options) -> Result<(), Box<dyn Error>> {
    let app =
        Router::new().route("/orders/{number}", post(post_order)).layer(axum_server::audit_layer(options)?);
    let listener = socket(options.addr)?.listen(1_024)?;
    let stop = shutdown::signal()?;
    println!("serving");
    let app = app.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, app).with_graceful_shutdown(stop).await?)
}

/// Returns the number of the worker's process.
async fn post_order(Path(number): Path<u32>) -> Result<String, StatusCode> {
    audit()
        .log_transaction("Order posted", BusinessModule::Sales, AuditAction::Post, format!("SO-{number}"), 1)
        .record()
        .map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
    Ok(std::process::id().to_string())
}

/// A socket that shares its address with those of the other workers.
fn socket(address: SocketAddr) -> std::io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.set_reuseport(true)?;
    socket.bind(address)?;
    Ok(socket)
}

#[tokio::main(flavor = "current_thread")]
async fn supervise(arguments: &Arguments) -> Result<(), Box<dyn Error>> {
    let stop = shutdown::signal()?;
    let mut replace = signal(SignalKind::hangup())?;
    // Bound, so that the port stays this service's, and not listening, so that no connection comes here.
    let reserved = socket(arguments.service.addr)?;
    let address = reserved.local_addr()?;
    let start = || Worker::start(&arguments.service, address);
    let mut workers = (0..arguments.workers).map(|_| start()).collect::<Result<Vec<_>, _>>()?;
    println!("listening on http://{address}");
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = replace.recv() => {
                for worker in &mut workers {
                    let old = std::mem::replace(worker, start()?);
                    // It may have been killed meanwhile.
                    old.end().unwrap_or_else(|error| eprintln!("{error}"));
                }
            }
            () = tokio::time::sleep(LOOK) => {
                for worker in &mut workers {
                    if worker.0.try_wait()?.is_some() {
                        *worker = start()?;
                    }
                }
            }
        }
    }
    // All are asked first, so that they end side by side.
    workers.iter().try_for_each(Worker::ask_to_end)?;
    workers.into_iter().try_for_each(Worker::end)
}

struct Worker(Child);

impl Worker {
    /// Starts a worker, and waits until it serves.
    fn start(options: &Options, address: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(std::env::current_exe()?)
            .args(["--worker", "--addr", &address.to_string(), "--log-dir"])
            .arg(&options.log_dir)
            .stdout(Stdio::piped())
            .spawn()?;
        let printed = process.stdout.take().ok_or("the worker has no standard output")?;
        let mut line = String::new();
        BufReader::new(printed).read_line(&mut line)?;
        if line.trim_end() != "serving" {
            return Err("a worker has ended before it served".into());
        }
        Ok(Self(process))
    }

    fn ask_to_end(&self) -> Result<(), Box<dyn Error>> {
        Ok(kill_process(Pid::from_child(&self.0), Signal::TERM)?)
    }

    /// Ends it once its requests have ended.
    fn end(mut self) -> Result<(), Box<dyn Error>> {
        self.ask_to_end()?;
        let status = self.0.wait()?;
        if status.success() { Ok(()) } else { Err(format!("a worker ended with {status}").into()) }
    }
}
