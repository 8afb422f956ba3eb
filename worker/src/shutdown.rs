//! Owns how a service is told to stop: once to finish what it began, twice to leave at once.

use tokio::sync::watch;

/// What is asked of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// Go on.
    Run,
    /// Take nothing new, finish what was begun, leave.
    Drain,
    /// Leave now.
    Leave,
}

/// Tells a service to stop.
#[derive(Debug)]
pub struct Stop(watch::Sender<Phase>);

impl Stop {
    /// Asks once: drain; asks again: leave.
    pub fn ask(&self) {
        self.0.send_modify(|phase| *phase = if *phase == Phase::Run { Phase::Drain } else { Phase::Leave });
    }

    /// Asks to leave at once.
    pub fn leave(&self) {
        self.0.send_replace(Phase::Leave);
    }
}

/// What a service listens to; clones hear the same.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<Phase>);

impl Shutdown {
    /// A shutdown that its other half asks for.
    pub fn new() -> (Stop, Self) {
        let (sender, receiver) = watch::channel(Phase::Run);
        (Stop(sender), Self(receiver))
    }

    /// A shutdown that SIGTERM and SIGINT (Ctrl-C elsewhere) ask for. Lives in a task of the current runtime.
    pub fn on_signals() -> std::io::Result<Self> {
        let (stop, shutdown) = Self::new();
        let mut signals = Signals::new()?;
        tokio::spawn(async move {
            loop {
                signals.next().await;
                tracing::info!("asked to stop; once more leaves at once");
                stop.ask();
            }
        });
        Ok(shutdown)
    }

    /// What is asked now.
    pub fn phase(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until at least this is asked. A stop that can never be asked for is waited for without end.
    pub async fn reached(&self, phase: Phase) {
        let mut receiver = self.0.clone();
        let gone = receiver.wait_for(|current| *current >= phase).await.is_err();
        if gone {
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        // An error means that no handler can be installed: then nothing ever asks.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
