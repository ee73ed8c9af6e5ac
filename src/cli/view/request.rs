//! Which requests are answered.
//!
//! Owns the rules: a page of another site must not reach the tables through the user's browser, and no other user of the
//! machine without the key. Bytes in, a decision out. Not here: sockets.

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Requested {
    /// The page.
    Page,
    /// A block of its data.
    Block(usize),
    /// The overview, once its statistics are there.
    Overview,
}

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// It is no request of HTTP/1.
    Broken,
    /// Its method is neither GET nor HEAD.
    Method,
    /// Its host is not this machine's own name: another site's name was made to lead here.
    Host,
    /// Another site's page sent it.
    Origin,
    /// It lacks the key.
    Key,
    /// Nothing is there.
    NotFound,
}

impl Rejection {
    /// The status of the answer, and the reason in words.
    pub const fn status(self) -> (u16, &'static str) {
        match self {
            Self::Broken => (400, "not a request"),
            Self::Method => (405, "only GET and HEAD"),
            Self::Host => (403, "use localhost or 127.0.0.1 as the host"),
            Self::Origin => (403, "not for pages of other sites"),
            Self::Key => (403, "the address that `tokshift view` printed has a key; this one does not"),
            Self::NotFound => (404, "nothing is here"),
        }
    }
}

/// Header lines of a browser's request: about fifteen.
const HEADERS: usize = 64;

/// What the request with this head asks for.
///
/// # Errors
/// Why it is not answered. The host is looked at first, the key before the path.
pub fn judge(head: &[u8], key: &str) -> Result<Requested, Rejection> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let is_whole = request.parse(head).is_ok_and(|status| status.is_complete());
    let (Some(method), Some(target), true) = (request.method, request.path, is_whole) else {
        return Err(Rejection::Broken);
    };
    let values = |name: &str| {
        let found = request.headers.iter().filter(|header| header.name.eq_ignore_ascii_case(name));
        found.map(|header| header.value).collect::<Vec<_>>()
    };
    let [host] = values("host")[..] else { return Err(Rejection::Host) };
    if !is_own(host) {
        return Err(Rejection::Host);
    }
    if method != "GET" && method != "HEAD" {
        return Err(Rejection::Method);
    }
    let sites = values("sec-fetch-site");
    let is_foreign = sites.iter().any(|site| *site != b"same-origin" && *site != b"none");
    if is_foreign || !values("origin").is_empty() {
        return Err(Rejection::Origin);
    }
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let given = query.split('&').find_map(|field| field.strip_prefix("key=")).unwrap_or_default();
    if !is_same(given, key) {
        return Err(Rejection::Key);
    }
    match path.strip_prefix("/b/") {
        None if path == "/" => Ok(Requested::Page),
        None if path == "/overview" => Ok(Requested::Overview),
        // Digits alone: not a path, so that none leads anywhere.
        Some(number) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
            number.parse().map(Requested::Block).map_err(|_| Rejection::NotFound)
        }
        _ => Err(Rejection::NotFound),
    }
}

/// Whether a host is this machine by a name that no other site can have. Any port: a forwarded one is another.
fn is_own(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let name = match host.rsplit_once(':') {
        Some((name, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    matches!(name, "localhost" | "127.0.0.1" | "[::1]")
}

/// Compares in the same time wherever the two differ.
fn is_same(given: &str, key: &str) -> bool {
    given.len() == key.len() && given.bytes().zip(key.bytes()).fold(0, |all, (a, b)| all | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(request: &str) -> Result<Requested, Rejection> {
        judge(request.replace('\n', "\r\n").as_bytes(), "k3y")
    }

    #[test]
    fn the_page_and_its_blocks_are_answered() {
        for host in ["localhost:4114", "127.0.0.1:9", "[::1]:9", "localhost"] {
            assert_eq!(judged(&format!("GET /?key=k3y HTTP/1.1\nHost: {host}\n\n")), Ok(Requested::Page));
        }
        let more = "Sec-Fetch-Site: same-origin\nAccept: */*\n";
        assert_eq!(
            judged(&format!("HEAD /b/17?key=k3y HTTP/1.1\nHost: localhost:1\n{more}\n")),
            Ok(Requested::Block(17))
        );
        assert_eq!(judged("GET /overview?key=k3y HTTP/1.1\nHost: localhost\n\n"), Ok(Requested::Overview));
    }

    #[test]
    fn everything_else_is_rejected() {
        let get = |target: &str, headers: &str| judged(&format!("GET {target} HTTP/1.1\n{headers}\n"));
        let own = "Host: localhost:1\n";
        for host in [
            "Host: evil.example\n",
            "Host: localhost.evil.example:1\n",
            "Host: evil.example:localhost\n",
            "",
            "Host: localhost\nHost: evil\n",
        ] {
            assert_eq!(get("/?key=k3y", host), Err(Rejection::Host), "{host}");
        }
        for target in ["/", "/overview", "/?key=", "/?key=other", "/?key=k3y2", "/b/1", "/?Key=k3y", "/?key=K3Y"] {
            assert_eq!(get(target, own), Err(Rejection::Key), "{target}");
        }
        for more in [
            "Origin: http://evil.example\n",
            "Origin: null\n",
            "Sec-Fetch-Site: cross-site\n",
            "Sec-Fetch-Site: same-site\n",
        ] {
            assert_eq!(get("/b/1?key=k3y", &format!("{own}{more}")), Err(Rejection::Origin), "{more}");
        }
        for target in [
            "/../etc/passwd?key=k3y",
            "/b/../1?key=k3y",
            "/b/%2e%2e?key=k3y",
            "/b/-1?key=k3y",
            "/b/?key=k3y",
            "/c?key=k3y",
            "/b/99999999999999999999?key=k3y",
            "http://localhost/b/1?key=k3y",
        ] {
            assert_eq!(get(target, own), Err(Rejection::NotFound), "{target}");
        }
        assert_eq!(judged("POST /?key=k3y HTTP/1.1\nHost: localhost\n\n"), Err(Rejection::Method));
        assert_eq!(
            [judged("GET"), judged("\n\n"), judged("GET / HTTP/1.1\nHost: localhost")],
            [Err(Rejection::Broken); 3]
        );
    }
}
