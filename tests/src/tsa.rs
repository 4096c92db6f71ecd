//! A time-stamping authority (RFC 3161): OpenSSL, and a server of HTTP that asks it.

use std::fs;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;

/// The keys of signers.
pub const RSA: &[&str] = &["-newkey", "rsa:2048"];
/// See [`RSA`].
pub const P256: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
/// See [`RSA`].
pub const P384: &[&str] = &["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-384"];

/// When most certificates begin and end.
pub const LONG: (&str, &str) = ("20190101000000Z", "20490101000000Z");

/// The extensions of a signer's certificate.
pub const TIME_STAMPING: &str = "basicConstraints = critical, CA:false\n\
    extendedKeyUsage = critical, timeStamping\nsubjectKeyIdentifier = hash";

const AUTHORITY: &str = "basicConstraints = critical, CA:true\nsubjectKeyIdentifier = hash";

/// The object identifier of what a time stamp contains.
const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";

const CONFIGURATION: &str = "\
[ca]
default_ca = own
[own]
new_certs_dir = .
database = index.txt
rand_serial = yes
default_md = sha256
policy = any
unique_subject = no
[any]
commonName = supplied
[req]
distinguished_name = name
prompt = no
[name]
CN = unused
[here]
serial = serial
certs = chain.pem
signer_cert = signer.pem
signer_key = signer.key
default_policy = 1.2.3.4
accuracy = secs:1, millisecs:500
clock_precision_digits = 3
";

/// A root certificate, an intermediate one, and the signer of time stamps, `signer.pem`.
#[derive(Debug)]
pub struct Authority {
    directory: TempDir,
    /// OpenSSL counts in a file.
    counter: Mutex<()>,
}

impl Authority {
    /// Makes an authority whose signer has a key of this kind.
    ///
    /// # Panics
    /// If OpenSSL fails.
    #[must_use]
    pub fn new(key: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let authority = Self { directory, counter: Mutex::new(()) };
        authority.write("index.txt", b"");
        authority.write("ca.cnf", format!("{CONFIGURATION}[root]\n{AUTHORITY}\n").as_bytes());
        let root = ["req", "-x509", "-nodes", "-config", "ca.cnf", "-extensions", "root", "-days", "3650"];
        let files = ["-subj", "/CN=Test Root", "-keyout", "root.key", "-out", "root.pem"];
        authority.openssl(&[&root[..], P256, &files[..]].concat());
        authority.issue(("intermediate", "root"), RSA, AUTHORITY, LONG);
        authority.issue(("signer", "intermediate"), key, TIME_STAMPING, LONG);
        authority.write("chain.pem", &authority.read("intermediate.pem"));
        authority
    }

    /// Issues the certificate `<name>.pem` with a new key of this kind, `<name>.key`.
    ///
    /// # Panics
    /// If OpenSSL fails.
    pub fn issue(
        &self,
        (name, issuer): (&str, &str),
        key: &[&str],
        extensions: &str,
        (from, to): (&str, &str),
    ) {
        let file = |extension: &str| format!("{name}.{extension}");
        let (subject, key_file, request) = (format!("/CN=Test {name}"), file("key"), file("csr"));
        let files = ["-subj", &subject, "-keyout", &key_file, "-out", &request];
        self.openssl(&[&["req", "-nodes", "-config", "ca.cnf"], key, &files[..]].concat());
        self.write(&file("ext"), extensions.as_bytes());
        let (issuer, issuer_key) = (format!("{issuer}.pem"), format!("{issuer}.key"));
        let ca = ["ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", &issuer, "-keyfile", &issuer_key];
        let times = ["-startdate", from, "-enddate", to, "-extfile", &file("ext")];
        self.openssl(&[&ca[..], &times, &["-in", &request, "-out", &file("pem")]].concat());
    }

    /// Returns the certificate of the root, in PEM.
    #[must_use]
    pub fn root(&self) -> Vec<u8> {
        self.read("root.pem")
    }

    /// Answers a request for a time stamp. `options` are further lines of the configuration.
    ///
    /// # Panics
    /// If OpenSSL fails.
    #[must_use]
    pub fn answer(&self, request: &[u8], options: &str) -> Vec<u8> {
        let _counter = self.counter.lock().unwrap_or_else(PoisonError::into_inner);
        self.write("request", request);
        let configuration =
            String::from_utf8_lossy(&self.read("ca.cnf")).replace("[here]", &format!("[here]\n{options}"));
        self.write("tsa.cnf", configuration.as_bytes());
        let arguments = ["ts", "-reply", "-config", "tsa.cnf", "-section", "here"];
        self.openssl(&[&arguments[..], &["-queryfile", "request", "-out", "answer"]].concat());
        self.read("answer")
    }

    /// Signs the content of an answer again, after `change`, with the certificate `<signer>.pem`.
    ///
    /// # Panics
    /// If OpenSSL fails.
    #[must_use]
    pub fn signed_again(
        &self,
        answer: &[u8],
        signer: &str,
        options: &[&str],
        change: impl FnOnce(&mut Vec<u8>),
    ) -> Vec<u8> {
        self.write("again", answer);
        self.openssl(&["ts", "-reply", "-in", "again", "-token_out", "-out", "token"]);
        let verify = ["cms", "-verify", "-noverify", "-binary", "-inform", "DER", "-in", "token"];
        self.openssl(&[&verify[..], &["-out", "info"]].concat());
        let mut info = self.read("info");
        change(&mut info);
        self.write("info", &info);
        let (certificate, key) = (format!("{signer}.pem"), format!("{signer}.key"));
        let sign = ["cms", "-sign", "-binary", "-nodetach", "-nosmimecap", "-cades", "-outform", "DER"];
        let files = ["-econtent_type", TST_INFO, "-certfile", "chain.pem", "-in", "info", "-out", "token"];
        let signer = ["-signer", &certificate, "-inkey", &key];
        self.openssl(&[&sign[..], &files, &signer, options].concat());
        // A status that says granted, and the token.
        let content = [&[0x30, 3, 2, 1, 0], &*self.read("token")].concat();
        let len = u16::try_from(content.len()).expect("a short token").to_be_bytes();
        [&[0x30, 0x82], &len[..], &content].concat()
    }

    /// Runs OpenSSL in the directory of the authority. Returns what it prints.
    ///
    /// # Panics
    /// If it fails.
    pub fn openssl(&self, arguments: &[&str]) -> String {
        let output = Command::new("openssl").args(arguments).current_dir(self.directory.path()).output();
        let output =
            output.unwrap_or_else(|error| panic!("cannot start openssl ({error}): run `cargo xtask setup`"));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "openssl {arguments:?}: {}", text(&output.stderr));
        text(&output.stdout) + &text(&output.stderr)
    }

    /// Returns the path of one of its files.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap_or_else(|error| panic!("cannot read {name}: {error}"))
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap_or_else(|error| panic!("cannot write {name}: {error}"));
    }
}

/// Serves answers to requests, one after the other, until the process ends. Returns the URL. A request
/// without an answer is left open.
///
/// # Panics
/// If there is no free port.
pub fn serve(mut answer: impl FnMut(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    std::thread::spawn(move || {
        let mut open = Vec::new();
        for mut stream in listener.incoming().flatten() {
            // A client that goes away does not end the server.
            let Ok(request) = body(&stream) else { continue };
            match answer(&request) {
                Some(answer) => drop(respond(&mut stream, &answer)),
                None => open.push(stream),
            }
        }
    });
    format!("http://{address}/tsa")
}

/// Reads a request. Returns its body.
fn body(stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut reader = BufReader::new(stream);
    let (mut len, mut is_query) = (0, false);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(value) = line.strip_prefix("content-length: ") {
            len = value.parse().map_err(io::Error::other)?;
        }
        is_query |= line == "content-type: application/timestamp-query";
    }
    if !is_query {
        return Err(io::Error::other("not a request for a time stamp"));
    }
    let mut body = vec![0; len];
    reader.read_exact(&mut body)?;
    Ok(body)
}

fn respond(stream: &mut TcpStream, answer: &[u8]) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/timestamp-reply\r\nConnection: close\r\n";
    write!(stream, "{head}Content-Length: {}\r\n\r\n", answer.len())?;
    stream.write_all(answer)?;
    stream.flush()
}
