//! Owns the admin port: metrics, probes and a status page, read only. It speaks just enough HTTP/1.1 for these, within
//! bounds, and listens on loopback unless it is told otherwise.

mod page;

use crate::execute::Executor;
use crate::metrics::Metrics;
use crate::status::{Board, Status};
use sandsift_bus::State;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

/// How long a request may take to arrive, and its answer to leave.
const PATIENCE: Duration = Duration::from_secs(5);

/// Bytes that a request may have.
const REQUEST_BYTES: usize = 8 << 10;

/// Requests that are answered at once.
const CONNECTIONS: usize = 32;

/// How long the worker's loop may be silent before it does not count as alive.
const PULSE: u64 = 60;

/// What the admin port tells of.
#[derive(Clone)]
pub(crate) struct View {
    pub worker: String,
    pub slots: usize,
    pub metrics: Arc<Metrics>,
    pub board: Arc<Board>,
    pub executor: Arc<dyn Executor>,
    pub state: watch::Receiver<State>,
    /// When the worker's loop last turned, in seconds since 1970.
    pub pulse: Arc<AtomicU64>,
}

impl View {
    fn status(&self) -> Status {
        self.board.status(&self.worker, self.state.borrow().name().into(), self.executor.ruleset(), self.slots)
    }

    /// Why the worker is not ready; empty when it is.
    fn unready(&self) -> Vec<String> {
        let mut reasons = Vec::new();
        match &*self.state.borrow() {
            State::Running => {}
            State::Connecting(None) => reasons.push("broker: not connected yet".into()),
            State::Connecting(Some(error)) => reasons.push(format!("broker: {error}")),
            State::Blocked(reason) => reasons.push(format!("broker: publishing is blocked: {reason}")),
            State::Draining => reasons.push("worker: draining".into()),
            State::Stopped => reasons.push("worker: stopped".into()),
        }
        if self.executor.ruleset().rules == 0 {
            reasons.push("rules: none are loaded".into());
        }
        reasons
    }
}

/// Listens; the address tells the port where 0 was asked for.
pub(crate) async fn listen(address: SocketAddr) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let bound = listener.local_addr()?;
    Ok((listener, bound))
}

/// Answers requests until it is dropped.
pub(crate) async fn serve(listener: TcpListener, view: View) {
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let view = view.clone();
                tasks.spawn(async move {
                    // A client that goes away or dawdles is no concern of ours.
                    let _ = tokio::time::timeout(PATIENCE, answer(stream, &view)).await;
                    drop(permit);
                });
            }
            // Out of descriptors, most likely; others may free some.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        while tasks.try_join_next().is_some() {}
    }
}

async fn answer(mut stream: TcpStream, view: &View) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.windows(4).any(|window| window == b"\r\n\r\n") && request.len() < REQUEST_BYTES {
        match stream.read(&mut chunk).await? {
            0 => break,
            read => request.extend_from_slice(&chunk[..read]),
        }
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let mut words = line.split(' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let response = match method {
        "GET" | "HEAD" => respond(path, view),
        _ => Response::text(405, "only GET is answered\n"),
    };
    stream.write_all(&response.bytes(method == "HEAD")).await?;
    stream.shutdown().await
}

struct Response {
    status: u16,
    content_type: &'static str,
    body: String,
}

impl Response {
    fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    fn bytes(&self, head_only: bool) -> Vec<u8> {
        let reason = match self.status {
            200 => "OK",
            404 => "Not Found",
            405 => "Method Not Allowed",
            503 => "Service Unavailable",
            _ => "Internal Server Error",
        };
        let head = format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
             X-Content-Type-Options: nosniff\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'\r\n\
             Connection: close\r\n\r\n",
            self.status,
            self.content_type,
            self.body.len()
        );
        let mut bytes = head.into_bytes();
        if !head_only {
            bytes.extend_from_slice(self.body.as_bytes());
        }
        bytes
    }
}

fn respond(path: &str, view: &View) -> Response {
    match path {
        "/metrics" => match view.metrics.render() {
            Ok(body) => Response { status: 200, content_type: "text/plain; version=0.0.4; charset=utf-8", body },
            Err(error) => Response::text(500, format!("{error}\n")),
        },
        "/livez" => {
            let silent = sandsift_bus::headers::unix_now().saturating_sub(view.pulse.load(Ordering::Relaxed));
            if silent <= PULSE {
                Response::text(200, "ok\n")
            } else {
                Response::text(503, format!("the worker's loop has been silent for {silent} s\n"))
            }
        }
        "/readyz" => match view.unready() {
            reasons if reasons.is_empty() => Response::text(200, "ok\n"),
            reasons => Response::text(503, reasons.join("\n") + "\n"),
        },
        "/version" => Response::text(200, concat!(env!("CARGO_PKG_VERSION"), "\n")),
        "/status.json" => match serde_json::to_string_pretty(&view.status()) {
            Ok(body) => Response { status: 200, content_type: "application/json", body },
            Err(error) => Response::text(500, format!("{error}\n")),
        },
        "/" | "/status" => Response {
            status: 200,
            content_type: "text/html; charset=utf-8",
            body: page::render(&view.status(), &view.unready()),
        },
        _ => Response::text(404, "try /metrics, /livez, /readyz, /version, /status or /status.json\n"),
    }
}
