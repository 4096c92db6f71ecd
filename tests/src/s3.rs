//! An S3 server (SeaweedFS) for one test: on free ports, in a temporary directory, with the user `erp` and
//! the password `secret`.

#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a test may panic")]

use std::fs;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::deadline::wait_for;
use crate::tool::{fetched, free_ports};

/// Returns the configuration with the only user, who has all permissions.
fn identities(password: &str) -> String {
    format!(
        r#"{{"identities":[{{"name":"erp","credentials":[{{"accessKey":"erp","secretKey":"{password}"}}],
            "actions":["Admin","Read","Write","List","Tagging"]}}]}}"#
    )
}

const SERVICES: [&str; 8] = [
    "s3.port",
    "master.port",
    "volume.port",
    "filer.port",
    "s3.port.grpc",
    "master.port.grpc",
    "volume.port.grpc",
    "filer.port.grpc",
];

/// A running server; killed when dropped.
#[derive(Debug)]
pub struct Server {
    process: Child,
    /// The ports of [`SERVICES`].
    ports: [u16; 8],
    directory: TempDir,
    password: String,
}

fn spawn(directory: &TempDir, ports: [u16; 8]) -> Child {
    let data = directory.path().join("data");
    Command::new(fetched("weed"))
        .arg("server")
        .arg(format!("-dir={}", data.display()))
        .arg(format!("-s3.config={}", directory.path().join("s3.json").display()))
        .args([
            "-s3",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=20",
        ])
        .args(SERVICES.iter().zip(ports).map(|(service, port)| format!("-{service}={port}")))
        .current_dir(directory.path())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(fs::File::create(directory.path().join("log")).unwrap())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start weed ({error}): run `cargo xtask setup`"))
}

impl Server {
    /// Starts a server without buckets.
    #[must_use]
    pub fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("data")).unwrap();
        fs::write(directory.path().join("s3.json"), identities("secret")).unwrap();
        let ports = free_ports();
        let process = spawn(&directory, ports);
        let mut server = Self { process, ports, directory, password: "secret".to_owned() };
        server.wait();
        server
    }

    /// Waits until the server answers. Starts it again on other ports if one of its ports was taken: it then
    /// ends, or can never store anything.
    fn wait(&mut self) {
        wait_for("an answer from SeaweedFS", || {
            let log = fs::read_to_string(self.directory.path().join("log")).unwrap();
            if self.process.try_wait().unwrap().is_some() || log.contains("address already in use") {
                self.kill();
                self.ports = free_ports();
                self.process = spawn(&self.directory, self.ports);
            }
            let answer = self.curl(&["-X", "GET", &format!("{}/", self.endpoint())]);
            answer.contains("ListAllMyBucketsResult").then_some(())
        });
    }

    /// Sends a signed request with curl and returns the response with its head.
    #[must_use]
    pub fn curl(&self, arguments: &[&str]) -> String {
        let user = format!("erp:{}", self.password);
        let mut all = vec!["-s", "-i", "--max-time", "5", "--aws-sigv4", "aws:amz:us-east-1:s3", "-u", &user];
        all.extend(arguments);
        let output = Command::new("curl").args(all).output().unwrap_or_else(|error| {
            panic!("cannot start curl ({error}): run `cargo xtask setup`");
        });
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Creates a bucket with Object Lock.
    pub fn make_bucket(&self, name: &str) {
        let url = format!("{}/{name}", self.endpoint());
        // The server may answer before it can store.
        wait_for("a bucket", || {
            let answer = self.curl(&["-X", "PUT", "-H", "x-amz-bucket-object-lock-enabled: true", &url]);
            (answer.starts_with("HTTP/1.1 200") || answer.contains("BucketAlreadyOwnedByYou")).then_some(())
        });
    }

    /// Restarts the server with another password for its user.
    pub fn change_password(&mut self, password: &str) {
        self.kill();
        password.clone_into(&mut self.password);
        fs::write(self.directory.path().join("s3.json"), identities(password)).unwrap();
        self.start_again();
    }

    /// Kills the server with SIGKILL.
    pub fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    /// Starts the server again on the same ports, with its data.
    pub fn start_again(&mut self) {
        self.process = spawn(&self.directory, self.ports);
        self.wait();
    }

    /// Returns the URL of the S3 service.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port())
    }

    /// Returns the port of the S3 service.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.ports[0]
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if the process has already ended.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}
