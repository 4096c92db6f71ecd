//! Records entries with the console that the environment configures: `console
//! sessions|nonblocking|abandoned`. Its own output goes to standard error.

use std::thread;
use std::time::{Duration, Instant};

use auditx_core::{AuditLogger, Config};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

const TIMEOUT: Duration = Duration::from_secs(60);

fn open() -> AuditLogger {
    AuditLogger::open(Config::from_env().expect("the environment can be read")).expect("the trail opens")
}

/// Records from four threads; some of the lines are longer than a pipe's buffer.
fn record(logger: &AuditLogger, each: usize) {
    thread::scope(|scope| {
        for thread in 0..4 {
            scope.spawn(move || {
                for number in 0..each {
                    let length = if number % 50 == 0 { 60_000 } else { 10 };
                    logger
                        .log(format!("Entry {number} of thread {thread} \u{1b}[31m ကျပ်"))
                        .metadata("filling", "x".repeat(length))
                        .record()
                        .expect("the entry is accepted");
                }
            });
        }
    });
}

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("sessions") => sessions(),
        Some("nonblocking") => {
            let stdout = std::io::stdout();
            let flags = fcntl_getfl(&stdout).expect("standard output has flags");
            fcntl_setfl(&stdout, flags | OFlags::NONBLOCK).expect("standard output takes flags");
            let logger = open();
            record(&logger, 100);
            logger.close(TIMEOUT).expect("the trail closes");
        }
        Some("abandoned") => abandoned(),
        other => panic!("unknown mode {other:?}"),
    }
}

/// Opens, records and closes twice, while the program prints other lines.
fn sessions() {
    for session in 0..2 {
        let logger = open();
        thread::scope(|scope| {
            scope.spawn(|| {
                for number in 0..1_000 {
                    println!("own line {number} of session {session}");
                }
            });
            record(&logger, 200);
        });
        logger.close(TIMEOUT).expect("the trail closes");
    }
}

/// Continues after the reader of its standard output has closed the pipe.
fn abandoned() {
    let logger = open();
    logger.log("read by the collector").record().expect("the entry is accepted");
    logger.flush(TIMEOUT).expect("the console shows it");
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).expect("standard input can be read");
    let began = Instant::now();
    record(&logger, 100);
    logger.flush(TIMEOUT).expect("flush does not wait for a closed console");
    let console = logger.metrics().followers.into_iter().find(|follower| follower.name == "console");
    let console = console.expect("there is a console");
    logger.close(TIMEOUT).expect("the trail closes");
    let is_quick = began.elapsed() < TIMEOUT / 2;
    eprintln!("failures {} lag {} quick {is_quick}", console.failures, console.lag);
}
