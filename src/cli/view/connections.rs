//! How many connections are open at a time.
//!
//! Owns the limit, and that connections on which nothing was asked yet keep nobody's request waiting: the oldest of them is
//! closed when another one comes. Not here: what is read from them and sent.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Connections at the same time; a browser opens six.
pub const MOST: usize = 32;

/// The open connections.
#[derive(Default)]
pub struct Connections {
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    next: u64,
    /// By their numbers, in the order in which they came; those on which something was asked are `None`.
    streams: BTreeMap<u64, Option<TcpStream>>,
}

impl Connections {
    /// Takes a connection and gives its number; `None` if as many as may be are being answered.
    pub fn add(&self, stream: &TcpStream) -> Option<u64> {
        let mut open = self.locked();
        if open.streams.len() >= MOST {
            let idle = open.streams.iter().find_map(|(number, stream)| stream.is_some().then_some(*number))?;
            if let Some(Some(stream)) = open.streams.remove(&idle) {
                // One that is closed already is as good.
                let _ = stream.shutdown(Shutdown::Both);
            }
        }
        let copy = stream.try_clone().ok()?;
        let number = open.next;
        open.next += 1;
        open.streams.insert(number, Some(copy));
        Some(number)
    }

    /// A request arrived: the connection stays until it is answered.
    pub fn has_asked(&self, number: u64) {
        if let Some(stream) = self.locked().streams.get_mut(&number) {
            *stream = None;
        }
    }

    /// The connection ended.
    pub fn remove(&self, number: u64) {
        self.locked().streams.remove(&number);
    }

    fn locked(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it is locked.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::net::{TcpListener, TcpStream};

    use super::{Connections, MOST};

    #[test]
    fn the_oldest_connection_without_a_request_makes_room() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let connect = || {
            let client = TcpStream::connect(address).unwrap();
            (client, listener.accept().unwrap().0)
        };
        let connections = Connections::default();
        let mut all: Vec<_> = (0..MOST).map(|_| connect()).collect();
        let numbers: Vec<u64> = all.iter().map(|(_, server)| connections.add(server).unwrap()).collect();
        connections.has_asked(numbers[0]);
        let (_client, server) = connect();
        assert!(connections.add(&server).is_some());
        assert_eq!(all[1].0.read(&mut [0]).unwrap(), 0, "the second was closed, the first is being answered");
        numbers.iter().chain([&(MOST as u64)]).for_each(|number| connections.has_asked(*number));
        assert!(connections.add(&connect().1).is_none(), "all are being answered");
        connections.remove(numbers[0]);
        assert!(connections.add(&connect().1).is_some());
    }
}
