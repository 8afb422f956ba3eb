//! Owns a TCP proxy that misbehaves on demand: stalls, cuts, resets. One a worker, between it and its broker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the proxy does with what passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Passes everything.
    Pass,
    /// Passes nothing, and says nothing.
    Stall,
    /// Passes what clients send, and nothing of what the broker answers.
    StallAnswers,
    /// Closes all connections and refuses new ones.
    Refuse,
}

/// A proxy to one address.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    mode: watch::Sender<Mode>,
    /// Bytes that the broker's answers may still have before their connection is cut in the middle.
    cut_after: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Proxy {
    /// Starts a proxy to a port of this machine.
    pub async fn start(target: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (mode, modes) = watch::channel(Mode::Pass);
        let cut_after = Arc::new(AtomicU64::new(u64::MAX));
        let cut = Arc::clone(&cut_after);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                if *modes.borrow() != Mode::Refuse {
                    connections.spawn(carry(client, target, modes.clone(), Arc::clone(&cut)));
                }
            }
        });
        Self { port, mode, cut_after, task }
    }

    /// The port to connect to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Changes what it does, for connections that are open, too.
    pub fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// Cuts the next connection after so many bytes of answers, which is in the middle of a frame as likely as not.
    pub fn cut_after(&self, bytes: u64) {
        self.cut_after.store(bytes, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, target: u16, modes: watch::Receiver<Mode>, cut: Arc<AtomicU64>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", target)).await else { return };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut refuse = modes.clone();
    let questions = async {
        let mut chunk = vec![0; 16 << 10];
        let mut modes = modes.clone();
        while let Ok(read) = from_client.read(&mut chunk).await {
            let stalled = modes.wait_for(|mode| !matches!(mode, Mode::Stall)).await.is_err();
            if read == 0 || stalled || to_server.write_all(&chunk[..read]).await.is_err() {
                break;
            }
        }
    };
    let answers = async {
        let mut chunk = vec![0; 16 << 10];
        let mut modes = modes.clone();
        while let Ok(read) = from_server.read(&mut chunk).await {
            let stalled = modes.wait_for(|mode| matches!(mode, Mode::Pass | Mode::Refuse)).await.is_err();
            let left = cut.load(Ordering::Relaxed);
            if left != u64::MAX {
                let allowed = usize::try_from(left).unwrap_or(usize::MAX).min(read);
                cut.store(left - allowed as u64, Ordering::Relaxed);
                if allowed < read {
                    // Half of what came, then the end.
                    let _ = to_client.write_all(&chunk[..allowed]).await;
                    cut.store(u64::MAX, Ordering::Relaxed);
                    break;
                }
            }
            if read == 0 || stalled || to_client.write_all(&chunk[..read]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = questions => {}
        () = answers => {}
        _ = refuse.wait_for(|mode| *mode == Mode::Refuse) => {}
    }
}
