//! Serves the page on this machine: for no other.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tiny_http::{Header, Method, Request, Response, StatusCode};

use crate::site::{POLICY, Page, Site};

/// Requests that are answered at a time: a browser asks for so many.
const THREADS: usize = 4;

/// Why the page is not served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Others could reach it.
    #[error("{0} can be reached by other machines: serve on 127.0.0.1 or ::1")]
    NotLoopback(SocketAddr),
    /// The system does not give the address.
    #[error("cannot serve on {addr}: {source}; choose another port, or 0 for any")]
    Bind {
        /// Which.
        addr: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
}

/// A server that listens. It ends when it is dropped.
pub struct Server {
    http: Arc<tiny_http::Server>,
    /// Whether it was asked to end.
    ending: Arc<AtomicBool>,
    site: Site,
    addr: SocketAddr,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}

/// Ends a [`Server`] from another thread.
#[derive(Clone)]
pub struct Stop(Arc<tiny_http::Server>, Arc<AtomicBool>);

impl std::fmt::Debug for Stop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stop").finish_non_exhaustive()
    }
}

impl Stop {
    /// Lets [`Server::run`] return.
    pub fn stop(&self) {
        self.1.store(true, Ordering::Relaxed);
        for _ in 0..THREADS {
            self.0.unblock();
        }
    }
}

impl Server {
    /// Listens on an address of this machine alone; port 0 is any that is free.
    ///
    /// # Errors
    /// The address is not loopback, or the port is taken.
    pub fn bind(addr: SocketAddr, site: Site) -> Result<Self, ServeError> {
        if !addr.ip().is_loopback() {
            return Err(ServeError::NotLoopback(addr));
        }
        let failed = |source| ServeError::Bind { addr, source };
        let http = tiny_http::Server::http(addr).map_err(|error| {
            let error = error.downcast::<io::Error>();
            failed(error.map_or_else(io::Error::other, |error| *error))
        })?;
        let addr = http.server_addr().to_ip();
        let addr = addr.ok_or_else(|| failed(io::Error::other("no address")))?;
        let http = Arc::new(http);
        Ok(Self {
            http,
            ending: Arc::default(),
            site,
            addr,
        })
    }

    /// Where it listens.
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What to open in a browser.
    pub fn url(&self) -> String {
        format!("http://{}/", self.addr)
    }

    /// What ends it.
    pub fn stopper(&self) -> Stop {
        Stop(Arc::clone(&self.http), Arc::clone(&self.ending))
    }

    /// Answers requests until it is stopped.
    ///
    /// # Errors
    /// The system gives no more connections: too many files are open, say. Or all threads have failed.
    pub fn run(&self) -> io::Result<()> {
        thread::scope(|scope| {
            let threads = [(); THREADS].map(|()| scope.spawn(|| self.serve()));
            let failed = || {
                Err(io::Error::other(
                    "a request made a thread of the server fail",
                ))
            };
            let ends = threads.map(|thread| thread.join().unwrap_or_else(|_| failed()));
            ends.into_iter().collect()
        })
    }

    fn serve(&self) -> io::Result<()> {
        loop {
            match self.http.recv() {
                // Who hangs up early needs no answer.
                Ok(request) => drop(self.answer(request)),
                Err(_) if self.ending.load(Ordering::Relaxed) => return Ok(()),
                // Nobody listens any more: the other threads would wait for ever.
                Err(error) => {
                    self.stopper().stop();
                    return Err(error);
                }
            }
        }
    }

    fn answer(&self, request: Request) -> io::Result<()> {
        let path = request.url().split(['?', '#']).next().unwrap_or_default();
        let (status, page) = if !self.is_ours(&request) {
            (403, None)
        } else if !matches!(request.method(), Method::Get | Method::Head) {
            (405, None)
        } else {
            let page = self.site.get(path);
            (if page.is_some() { 200 } else { 404 }, page)
        };
        let Page { kind, bytes } = page.unwrap_or(Page {
            kind: "text/plain; charset=utf-8",
            bytes: match status {
                403 => b"this page is for this machine alone\n",
                405 => b"only GET and HEAD\n",
                _ => b"there is no such file\n",
            },
        });
        let fields = [
            ("Content-Type", kind),
            ("Content-Security-Policy", POLICY),
            (
                "Permissions-Policy",
                "camera=(self), microphone=(), geolocation=()",
            ),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Opener-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            // The next start may have another model.
            ("Cache-Control", "no-cache"),
        ];
        let headers = fields.iter().filter_map(|(field, value)| {
            Header::from_bytes(field.as_bytes(), value.as_bytes()).ok()
        });
        let length = Some(bytes.len());
        let status = StatusCode(status);
        request.respond(Response::new(
            status,
            headers.collect(),
            bytes,
            length,
            None,
        ))
    }

    /// Whether it is asked for by a name of this machine: not by a page of another site whose name was
    /// made to point here.
    fn is_ours(&self, request: &Request) -> bool {
        let hosts = request.headers().iter();
        let mut hosts = hosts.filter(|header| header.field.equiv("Host"));
        let Some(host) = hosts.next() else {
            return false;
        };
        // Any port: browsers leave 80 out, and tunnels have their own.
        let host = host.value.as_str();
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (host, ""),
        };
        let own = match self.addr.ip() {
            IpAddr::V4(ip) => ip.to_string(),
            IpAddr::V6(ip) => format!("[{ip}]"),
        };
        let names = ["localhost", "127.0.0.1", "[::1]", &own];
        let is_port = port.bytes().all(|digit| digit.is_ascii_digit());
        hosts.next().is_none() && is_port && names.contains(&name)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use super::*;

    /// What a server says to a request, as it comes over the wire.
    fn ask(addr: SocketAddr, head: &str) -> String {
        let mut stream = TcpStream::connect(addr).unwrap();
        let request = format!("{head}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    }

    #[test]
    fn it_serves_the_page_to_this_machine_and_nothing_else() {
        let site = Site::new(b"\0asm".to_vec(), Some(b"KILN".to_vec()));
        let server = Server::bind(([127, 0, 0, 1], 0).into(), site).unwrap();
        let (addr, stop) = (server.addr(), server.stopper());
        thread::scope(|scope| {
            scope.spawn(|| server.run());
            let host = format!("Host: {addr}");
            let cases = [
                ("GET / HTTP/1.1", &host[..], "200", "text/html"),
                ("GET /model.kiln?x HTTP/1.1", &host, "200", "octet-stream"),
                ("GET /kiln.wasm HTTP/1.1", &host, "200", "application/wasm"),
                ("HEAD /page.js HTTP/1.1", &host, "200", "text/javascript"),
                ("GET /style.css HTTP/1.1", &host, "200", "text/css"),
                ("GET /../Cargo.toml HTTP/1.1", &host, "404", "text/plain"),
                ("POST / HTTP/1.1", &host, "405", "text/plain"),
                ("GET / HTTP/1.1", "Host: evil.example", "403", "text/plain"),
                ("GET / HTTP/1.1", "Accept: */*", "403", "text/plain"),
                ("GET / HTTP/1.1", "Host: localhost", "200", "text/html"),
                ("GET / HTTP/1.1", "Host: localhost:9000", "200", "text/html"),
                ("GET / HTTP/1.1", "Host: [::1]", "200", "text/html"),
                ("GET / HTTP/1.1", "Host: [::1]:80", "200", "text/html"),
                ("GET / HTTP/1.1", "Host: localhost:x", "403", "text/plain"),
                (
                    "GET / HTTP/1.1",
                    "Host: localhost.evil.example:80",
                    "403",
                    "text/plain",
                ),
            ];
            for (line, host, status, kind) in cases {
                let answer = ask(addr, &format!("{line}\r\n{host}"));
                let start = format!("HTTP/1.1 {status} ");
                assert!(answer.starts_with(&start), "{line}: {answer}");
                assert!(answer.contains(kind), "{line}: {answer}");
                assert!(answer.contains(POLICY), "{line}: {answer}");
            }
            let model = ask(addr, &format!("GET /model.kiln HTTP/1.1\r\n{host}"));
            assert!(model.ends_with("\r\n\r\nKILN"), "{model}");
            stop.stop();
        });
    }

    #[test]
    fn other_machines_and_taken_ports_are_refused() {
        let site = Site::new(Vec::new(), None);
        let error = Server::bind(([0, 0, 0, 0], 0).into(), site.clone()).unwrap_err();
        assert!(error.to_string().contains("127.0.0.1"), "{error}");
        let first = Server::bind(([127, 0, 0, 1], 0).into(), site.clone()).unwrap();
        let error = Server::bind(first.addr(), site).unwrap_err();
        assert!(error.to_string().contains("another port"), "{error}");
        assert_eq!(first.url(), format!("http://{}/", first.addr()));
    }
}
