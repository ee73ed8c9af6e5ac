//! `tokshift view`: the page of `report` over HTTP on loopback, straight from the tables.
//!
//! Owns the socket, and what is at which address: `/` is the page, `/b/N` is block N. Nothing is written, and no request
//! names a file. Not here: which requests are answered at all (`request`).

mod request;

use std::fs::File;
use std::io::{BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::args::ViewArgs;
use super::exit::Exit;
use super::{progress, report};
use crate::report::{Carrier, Contents, END, beginning};
use crate::{shift, store};
use request::{Rejection, Requested};

/// Connections at the same time; a browser opens six.
const CONNECTIONS: usize = 32;

/// The longest that a request may take to arrive, and an answer to be taken.
const PATIENCE: Duration = Duration::from_secs(20);

/// Bytes of a request's head.
const MOST_BYTES: u64 = 16 * 1024;

/// What every connection needs.
struct Served {
    page: String,
    contents: Contents,
    key: String,
}

/// Reads the tables once, then answers until the process ends.
pub fn run(args: &ViewArgs) -> Result<Exit> {
    let contents = Contents::new(&args.which.output_dir, &report::options(&args.which, &args.shown)?)?;
    shift::warnings(&contents.comparison)
        .iter()
        .chain(&report::without_text(&contents))
        .for_each(|line| progress::say(line));
    let cells = store::cells_and_damaged(&args.which.output_dir)?.0;
    let page = beginning(&contents, &cells, Carrier::Http)? + END;
    let key = random_key()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port))
        .with_context(|| format!("cannot listen on port {} of 127.0.0.1", args.port))?;
    let port = listener.local_addr().context("no address to listen on")?.port();
    super::kl::print(&format!("http://localhost:{port}/?key={key}\n"))?;
    progress::say(&format!(
        "Ctrl-C ends it; from another machine: ssh -L {port}:localhost:{port} HOST, then the same address"
    ));
    let served = Arc::new(Served { page, contents, key });
    let open = Arc::new(AtomicUsize::new(0));
    for stream in listener.incoming() {
        // A connection that broke before it was accepted.
        let Ok(stream) = stream else { continue };
        if open.fetch_add(1, Ordering::SeqCst) >= CONNECTIONS {
            open.fetch_sub(1, Ordering::SeqCst);
            continue;
        }
        let (served, open) = (Arc::clone(&served), Arc::clone(&open));
        thread::spawn(move || {
            // A browser that went away is no error.
            let _ = answer(&stream, &served);
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
    Ok(Exit::Done)
}

/// 128 random bits in hex.
fn random_key() -> Result<String> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("cannot read `/dev/urandom`")?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

fn answer(stream: &TcpStream, served: &Served) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head = head(stream)?;
    let (status, kind, body) = match request::judge(&head, &served.key) {
        Ok(Requested::Page) => (200, "text/html; charset=utf-8", served.page.clone().into_bytes()),
        Ok(Requested::Block(number)) if number < served.contents.directory.len() => match served.contents.block(number)
        {
            Ok(block) => (200, "application/octet-stream", block),
            Err(error) => (500, PLAIN, format!("{error}\n").into_bytes()),
        },
        Ok(Requested::Block(_)) => rejected(Rejection::NotFound),
        Err(rejection) => rejected(rejection),
    };
    let is_head = head.starts_with(b"HEAD ");
    send(stream, status, kind, &body, is_head)
}

const PLAIN: &str = "text/plain; charset=utf-8";

fn rejected(rejection: Rejection) -> (u16, &'static str, Vec<u8>) {
    let (status, why) = rejection.status();
    (status, PLAIN, format!("{why}\n").into_bytes())
}

/// The bytes of a request up to its empty line.
fn head(stream: &TcpStream) -> std::io::Result<Vec<u8>> {
    let mut reader = BufReader::new(stream.take(MOST_BYTES));
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") && reader.read(&mut byte)? == 1 {
        head.push(byte[0]);
    }
    Ok(head)
}

/// No other site may frame, read or remember an answer.
const HEADERS: &str = "Content-Security-Policy: frame-ancestors 'none'\r\nX-Content-Type-Options: nosniff\r\n\
Referrer-Policy: no-referrer\r\nCross-Origin-Resource-Policy: same-origin\r\nCross-Origin-Opener-Policy: same-origin\r\n\
Cache-Control: no-store\r\nConnection: close\r\n";

fn send(mut stream: &TcpStream, status: u16, kind: &str, body: &[u8], is_head: bool) -> std::io::Result<()> {
    let reason = if status == 200 { "OK" } else { "Rejected" };
    let length = body.len();
    write!(stream, "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n{HEADERS}\r\n")?;
    if !is_head {
        stream.write_all(body)?;
    }
    stream.flush()
}
