//! Owns a private RabbitMQ for tests: Debian's server on ports, folders and a node name of its own, stopped and removed
//! when it is dropped. Without the server tests are skipped, and say so.

use std::fs;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Where Debian and Ubuntu keep the scripts that run as any user; those in `/usr/sbin` switch to another one.
const SCRIPTS: &str = "/usr/lib/rabbitmq/bin";

/// How long a server may take to start on a busy machine.
const START: Duration = Duration::from_secs(120);

/// How to start a broker.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Lines for `rabbitmq.conf`.
    pub config: Vec<String>,
    /// Plugins, such as `rabbitmq_management`.
    pub plugins: Vec<&'static str>,
}

/// A RabbitMQ of one test.
#[derive(Debug)]
pub struct Broker {
    folder: PathBuf,
    port: u16,
    dist_port: u16,
    epmd_port: u16,
    node: String,
    server: Option<Child>,
}

impl Broker {
    /// Starts a broker; `None`, and a word on standard error, where the machine has no RabbitMQ.
    pub fn start(test: &str) -> Option<Self> {
        Self::start_with(test, &Options::default())
    }

    /// Starts a broker with plugins or settings.
    pub fn start_with(test: &str, options: &Options) -> Option<Self> {
        if !Path::new(SCRIPTS).join("rabbitmq-server").exists() {
            eprintln!("skipped: {test} needs RabbitMQ (apt-get install rabbitmq-server)");
            return None;
        }
        let [port, dist_port, epmd_port] = free_ports();
        let folder = std::env::temp_dir().join(format!("sandsift-broker-{}-{port}", std::process::id()));
        let mut broker =
            Self { node: format!("sandsift{port}@localhost"), folder, port, dist_port, epmd_port, server: None };
        broker.prepare(options).unwrap_or_else(|error| panic!("cannot prepare a broker: {error}"));
        broker.run();
        Some(broker)
    }

    fn prepare(&self, options: &Options) -> io::Result<()> {
        fs::create_dir_all(&self.folder)?;
        let mut config = vec![
            format!("listeners.tcp.default = 127.0.0.1:{}", self.port),
            "loopback_users = none".to_owned(),
            "disk_free_limit.absolute = 50MB".to_owned(),
            "log.console = false".to_owned(),
        ];
        config.extend(options.config.iter().cloned());
        fs::write(self.folder.join("rabbitmq.conf"), config.join("\n") + "\n")?;
        fs::write(self.folder.join("plugins"), format!("[{}].\n", options.plugins.join(",")))?;
        fs::write(self.folder.join("env.conf"), "")
    }

    fn script(&self, name: &str) -> Command {
        let mut command = Command::new(Path::new(SCRIPTS).join(name));
        let folder = |name: &str| self.folder.join(name);
        command
            .current_dir(&self.folder)
            .env("HOME", &self.folder)
            .env("LANG", "C.UTF-8")
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODENAME", &self.node)
            .env("RABBITMQ_DIST_PORT", self.dist_port.to_string())
            .env("RABBITMQ_MNESIA_BASE", folder("mnesia"))
            .env("RABBITMQ_LOG_BASE", folder("log"))
            .env("RABBITMQ_CONFIG_FILE", folder("rabbitmq.conf"))
            .env("RABBITMQ_CONF_ENV_FILE", folder("env.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder("plugins"))
            .env("RABBITMQ_PID_FILE", folder("pid"))
            // Tests share few cores: a scheduler must not spin while it waits.
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+sbwt none +sbwtdcpu none +sbwtdio none")
            .env("RABBITMQ_CTL_ERL_ARGS", "+sbwt none")
            .stdin(Stdio::null());
        command
    }

    /// Starts the server on what its folders hold, and waits until it listens.
    pub fn run(&mut self) {
        let out = fs::File::create(self.folder.join("out")).expect("a file for the server's output");
        let err = out.try_clone().expect("a second handle");
        let server = self.script("rabbitmq-server").stdout(out).stderr(err).process_group(0).spawn();
        self.server = Some(server.expect("rabbitmq-server starts"));
        let deadline = Instant::now() + START;
        while !self.answers() {
            let ended = self.server.as_mut().and_then(|server| server.try_wait().ok().flatten());
            assert!(ended.is_none() && Instant::now() < deadline, "the broker did not start:\n{}", self.words());
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Whether the server greets a client: it listens a little before it does.
    fn answers(&self) -> bool {
        let greet = || {
            let address = SocketAddr::from(([127, 0, 0, 1], self.port));
            let mut stream = TcpStream::connect_timeout(&address, Duration::from_secs(1))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            io::Write::write_all(&mut stream, b"AMQP\x00\x00\x09\x01")?;
            stream.read_exact(&mut [0; 1])
        };
        greet().is_ok()
    }

    /// What the server said, for messages of failed tests.
    pub fn words(&self) -> String {
        let mut words = fs::read_to_string(self.folder.join("out")).unwrap_or_default();
        for entry in fs::read_dir(self.folder.join("log")).into_iter().flatten().flatten() {
            let log = fs::read_to_string(entry.path()).unwrap_or_default();
            let lines: Vec<_> = log.lines().collect();
            words += &lines[lines.len().saturating_sub(30)..].join("\n");
        }
        words
    }

    /// The port that clients speak to.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The address for a user.
    pub fn uri_of(&self, user: &str, password: &str) -> String {
        format!("amqp://{user}:{password}@127.0.0.1:{}/%2f", self.port)
    }

    /// The address for the operator.
    pub fn uri(&self) -> String {
        self.uri_of("guest", "guest")
    }

    /// Runs `rabbitmqctl`; fails the test where that fails.
    pub fn ctl(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } =
            self.script("rabbitmqctl").arg("-q").args(arguments).output().expect("rabbitmqctl runs");
        let words = String::from_utf8_lossy(&stdout).into_owned();
        assert!(status.success(), "rabbitmqctl {arguments:?}: {words}{}", String::from_utf8_lossy(&stderr));
        words
    }

    /// Adds a user with the right to configure, write and read what the patterns name.
    pub fn add_user(&self, name: &str, [configure, write, read]: [&str; 3]) {
        self.ctl(&["add_user", name, name]);
        self.ctl(&["set_permissions", name, configure, write, read]);
    }

    /// Kills the server without warning; [`Broker::run`] starts it again on what it had written.
    pub fn kill(&mut self) {
        self.signal("KILL");
        if let Some(mut server) = self.server.take() {
            let _ = server.wait();
        }
    }

    /// Sends the server a signal: `KILL`, `STOP`, `CONT`.
    pub fn signal(&self, signal: &str) {
        let pid = fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
        let group = self.server.as_ref().map(|server| format!("-{}", server.id()));
        let targets = [Some(pid.trim().to_owned()).filter(|pid| !pid.is_empty()), group];
        for target in targets.into_iter().flatten() {
            // A group that is gone already is as good as one that was killed.
            let _ = Command::new("kill").args(["-s", signal, "--", &target]).stderr(Stdio::null()).status();
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.kill();
        let epmd = Command::new("epmd").arg("-kill").env("ERL_EPMD_PORT", self.epmd_port.to_string()).output();
        let _ = epmd;
        if std::env::var_os("SANDSIFT_KEEP").is_none() {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}

/// Ports that nothing listens on now.
pub fn free_ports<const N: usize>() -> [u16; N] {
    let listeners: [TcpListener; N] =
        std::array::from_fn(|_| TcpListener::bind(("127.0.0.1", 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address").port())
}
