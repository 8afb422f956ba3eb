//! Owns `health`: asks a worker's admin port whether it is well, for images without a shell or another client.

use crate::failure::{Exit, Failure};
use clap::Args;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the worker may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is read of an answer; its first line and the reason fit.
const ANSWER_BYTES: u64 = 4096;

/// Ask a worker whether it is ready
#[derive(Debug, Args)]
#[command(after_help = "Ends with 0 where the worker answers 200, else with 1. Meant for HEALTHCHECK in images.")]
pub struct Arguments {
    /// The worker's admin address
    #[arg(long, default_value = "127.0.0.1:9847", value_name = "ADDRESS")]
    address: SocketAddr,
    /// What is asked: ready to take work, or merely alive
    #[arg(long, value_parser = ["readyz", "livez"], default_value = "readyz", value_name = "PROBE")]
    probe: String,
}

pub fn run(args: &Arguments) -> Result<Exit, Failure> {
    let answer = ask(args).map_err(|error| Failure::problem(format!("{}: {error}", args.address)))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((answer.as_str(), ""));
    if head.split_whitespace().nth(1) == Some("200") {
        return Ok(Exit::Done);
    }
    let reason = if body.trim().is_empty() { head } else { body };
    Err(Failure::problem(format!("{}: {}", args.address, crate::term::escape(reason.trim()))))
}

fn ask(args: &Arguments) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&args.address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /{} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", args.probe, args.address)?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    fn answered(answer: &'static str) -> Result<Exit, Failure> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /readyz HTTP/1.1\r\n"));
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let outcome = run(&Arguments { address, probe: "readyz".to_owned() });
        server.join().unwrap();
        outcome
    }

    #[test]
    fn only_200_is_well_and_the_reason_is_told() {
        assert!(matches!(answered("HTTP/1.1 200 OK\r\n\r\nok\n"), Ok(Exit::Done)));
        let failure = answered("HTTP/1.1 503 Service Unavailable\r\n\r\nbroker: connecting\n").unwrap_err();
        assert!(failure.to_string().contains("broker: connecting"), "{failure}");
    }

    #[test]
    fn nobody_there_is_a_problem() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(run(&Arguments { address, probe: "livez".to_owned() }).is_err());
    }
}
