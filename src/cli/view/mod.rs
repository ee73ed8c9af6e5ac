//! `tokshift view`: the page of `report` over HTTP on loopback, straight from the tables.
//!
//! Owns the socket, and what is at which address: `/` is the page, `/b/N` is block N, `/overview` the statistics once they
//! are computed. Nothing is written, and no request names a file. Not here: which requests are answered at all
//! (`request`), how many at a time (`connections`), and reading the tables (`state`).

mod connections;
mod request;
mod state;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::args::ViewArgs;
use super::exit::Exit;
use super::{progress, report};
use crate::shift;
use connections::Connections;
use request::{Rejection, Requested};
use state::Served;

/// The longest that a request's head may take to arrive.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest that an answer may wait to be taken.
const TAKING: Duration = Duration::from_secs(20);

/// Bytes of a request's head.
const MOST_BYTES: usize = 16 * 1024;

/// Prints the address, then reads the tables while requests are answered.
pub fn run(args: &ViewArgs) -> Result<Exit> {
    let root = &args.which.output_dir;
    let options = report::options(&args.which, &args.shown)?;
    // What the manifests show to be wrong is an error before there is an address.
    let pairs = shift::pairs(root, &options.shift)?;
    let served = Arc::new(Served::new(random_key()?, &pairs, &options.models, root)?);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))
        .with_context(|| format!("cannot listen on port {} of 127.0.0.1", args.port))?;
    let port = listener.local_addr().context("no address to listen on")?.port();
    super::kl::print(&format!("http://localhost:{port}/?key={}\n", served.key))?;
    progress::say(&format!(
        "Ctrl-C ends it; from another machine: ssh -L {port}:localhost:{port} HOST, then the same address"
    ));
    let answering = {
        let served = Arc::clone(&served);
        thread::spawn(move || answer_all(&listener, &served))
    };
    served.load(root, &options, &pairs)?;
    let _ = answering.join();
    Ok(Exit::Done)
}

/// Answers until the process ends.
fn answer_all(listener: &TcpListener, served: &Arc<Served>) {
    let connections = Arc::new(Connections::default());
    for stream in listener.incoming() {
        // A connection that broke before it was accepted.
        let Ok(stream) = stream else { continue };
        let Some(number) = connections.add(&stream) else { continue };
        let (served, connections) = (Arc::clone(served), Arc::clone(&connections));
        thread::spawn(move || {
            // A browser that went away is no error.
            let _ = head(&stream).and_then(|head| {
                connections.has_asked(number);
                answer(&stream, &head, &served)
            });
            connections.remove(number);
        });
    }
}

/// 128 random bits in hex.
fn random_key() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("cannot read `/dev/urandom`")?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Status, content type, body.
type Answer = (u16, &'static str, Vec<u8>);

fn answer(stream: &TcpStream, head: &[u8], served: &Served) -> std::io::Result<()> {
    stream.set_write_timeout(Some(TAKING))?;
    let (status, kind, body) = match request::judge(head, &served.key) {
        Ok(Requested::Page) => (200, HTML, served.page().into_bytes()),
        Ok(Requested::Overview) => {
            served.overview().map_or((202, HTML, Vec::new()), |overview| (200, HTML, overview.into_bytes()))
        }
        Ok(Requested::Block(number)) => block(served, number),
        Err(rejection) => rejected(rejection),
    };
    let is_head = head.starts_with(b"HEAD ");
    send(stream, status, kind, &body, is_head)
}

fn block(served: &Served, number: usize) -> Answer {
    match served.block(number) {
        Some(Ok(block)) => (200, "application/octet-stream", block),
        Some(Err(error)) => (500, PLAIN, format!("{error}\n").into_bytes()),
        None => rejected(Rejection::NotFound),
    }
}

const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

fn rejected(rejection: Rejection) -> Answer {
    let (status, why) = rejection.status();
    (status, PLAIN, format!("{why}\n").into_bytes())
}

/// The bytes of a request up to its empty line.
///
/// # Errors
/// One that takes too long, however many bytes arrive meanwhile.
fn head(mut stream: &TcpStream) -> std::io::Result<Vec<u8>> {
    let until = Instant::now() + PATIENCE;
    let (mut head, mut buffer) = (Vec::new(), [0; 2048]);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") && head.len() < MOST_BYTES {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        let read = stream.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        head.extend_from_slice(&buffer[..read]);
    }
    Ok(head)
}

/// No other site may frame, read or remember an answer.
const HEADERS: &str = "Content-Security-Policy: frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\n\
Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n\
Cache-Control: no-store\r\nConnection: close\r\n";

fn send(mut stream: &TcpStream, status: u16, kind: &str, body: &[u8], is_head: bool) -> std::io::Result<()> {
    let reason = match status {
        200 => "OK",
        202 => "Accepted",
        _ => "Rejected",
    };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{HEADERS}\r\n")?;
    if !is_head {
        stream.write_all(body)?;
    }
    stream.flush()
}
