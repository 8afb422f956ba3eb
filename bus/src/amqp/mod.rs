//! Owns the transport to RabbitMQ: addresses, credentials, TLS, and one attempt to open a session.
//!
//! lapin's own recovery stays off: a session is built from scratch after every error, by whoever supervises it.

mod convert;
mod session;

use crate::transport::{Error, Session, Transport};
use crate::units;
use async_trait::async_trait;
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri, SASLMechanism};
use lapin::{Connection, ConnectionProperties};
use serde::{Deserialize, Serialize};
use session::AmqpSession;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

/// How to reach a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Addresses, tried in turn: `amqp://` or `amqps://`, user, host, port and virtual host.
    pub uris: Vec<String>,
    /// The user, instead of the one in the addresses.
    pub username: Option<String>,
    /// A file that holds the password, instead of the one in the addresses.
    pub password_file: Option<PathBuf>,
    /// Certificates.
    pub tls: Tls,
    /// How often each side shows that it lives; after two silent ones the connection is over.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub heartbeat: Duration,
    /// How long the broker may take to answer anything but a publish.
    #[serde(with = "units::duration")]
    #[schemars(with = "String")]
    pub timeout: Duration,
    /// What the broker's management shows for the connections.
    pub name: String,
}

/// Certificates for `amqps://`, all in PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tls {
    /// A file of authorities to trust beside the system's own.
    pub ca_file: Option<PathBuf>,
    /// This client's certificate, for mutual TLS; with `?auth_mechanism=external` in the address it is the user, too.
    pub certificate_file: Option<PathBuf>,
    /// The certificate's key (PKCS#8).
    pub key_file: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            uris: vec!["amqp://127.0.0.1:5672/%2f".into()],
            username: None,
            password_file: None,
            tls: Tls::default(),
            heartbeat: Duration::from_secs(10),
            timeout: Duration::from_secs(10),
            name: "sandsift".into(),
        }
    }
}

/// Opens sessions with RabbitMQ. Files (password, certificates) are read anew for each session, so that rotated secrets
/// are taken up.
#[derive(Debug)]
pub struct Amqp {
    options: Options,
    uris: Vec<AMQPUri>,
}

impl Amqp {
    /// Checks the options; connects nowhere yet.
    pub fn new(options: Options) -> Result<Self, Error> {
        if options.uris.is_empty() {
            return Err(Error::Configuration("broker.uris is empty; name one address at least".into()));
        }
        let uris = options.uris.iter().map(|uri| parse(uri, &options)).collect::<Result<_, _>>()?;
        Ok(Self { options, uris })
    }

    async fn open(&self, uri: &AMQPUri) -> Result<AmqpSession, Error> {
        let failed = |reason: String| Error::Connect { address: redacted(uri), reason };
        let mut uri = uri.clone();
        if let Some(file) = &self.options.password_file {
            uri.authority.userinfo.password = read(file).await?.trim_end_matches(['\r', '\n']).to_owned();
        }
        let tls = self.tls().await?;
        let connect = async |role: &str| {
            let runtime = lapin::runtime::default_runtime()?;
            let name = format!("{} ({role})", self.options.name);
            let properties = ConnectionProperties::default().with_connection_name(name.into());
            Connection::connect_uri_with_config(uri.clone(), properties, tls.clone(), runtime).await
        };
        let both = async { Ok::<_, lapin::Error>((connect("consuming").await?, connect("publishing").await?)) };
        match tokio::time::timeout(self.options.timeout, both).await {
            Ok(Ok((consuming, publishing))) => Ok(AmqpSession::new(consuming, publishing, self.options.timeout)),
            Ok(Err(error)) => Err(failed(error.to_string())),
            Err(_) => Err(failed(format!("no answer within {}", units::format_duration(self.options.timeout)))),
        }
    }

    async fn tls(&self) -> Result<OwnedTLSConfig, Error> {
        let Tls { ca_file, certificate_file, key_file } = &self.options.tls;
        let cert_chain = match ca_file {
            Some(file) => Some(read(file).await?),
            None => None,
        };
        let identity = match (certificate_file, key_file) {
            (Some(certificate), Some(key)) => Some(OwnedIdentity::PKCS8 {
                pem: read(certificate).await?.into_bytes(),
                key: read(key).await?.into_bytes(),
            }),
            (None, None) => None,
            _ => {
                let problem = "broker.tls.certificate_file and broker.tls.key_file go together; give both or neither";
                return Err(Error::Configuration(problem.into()));
            }
        };
        Ok(OwnedTLSConfig { identity, cert_chain })
    }
}

#[async_trait]
impl Transport for Amqp {
    async fn connect(&self) -> Result<Arc<dyn Session>, Error> {
        let mut failures = Vec::new();
        for uri in &self.uris {
            match self.open(uri).await {
                Ok(session) => {
                    tracing::info!(address = redacted(uri), "connected to the broker");
                    return Ok(Arc::new(session));
                }
                Err(Error::Connect { address, reason }) => failures.push((address, reason)),
                Err(other) => return Err(other),
            }
        }
        let addresses: Vec<_> = failures.iter().map(|(address, _)| address.as_str()).collect();
        let reason = failures.last().map(|(_, reason)| reason.clone()).unwrap_or_default();
        Err(Error::Connect { address: addresses.join(", "), reason })
    }
}

fn parse(text: &str, options: &Options) -> Result<AMQPUri, Error> {
    // The text may hold a password, so no message repeats it.
    let mut uri = AMQPUri::from_str(text)
        .map_err(|problem| Error::Configuration(format!("an address in broker.uris is not valid: {problem}")))?;
    if let Some(username) = &options.username {
        uri.authority.userinfo.username.clone_from(username);
    }
    if uri.query.heartbeat.is_none() {
        uri.query.heartbeat = Some(u16::try_from(options.heartbeat.as_secs().max(1)).unwrap_or(u16::MAX));
    }
    if uri.query.auth_mechanism == Some(SASLMechanism::External) && uri.scheme != AMQPScheme::AMQPS {
        return Err(Error::Configuration("auth_mechanism=external needs an amqps:// address".into()));
    }
    Ok(uri)
}

/// An address without its secrets.
fn redacted(uri: &AMQPUri) -> String {
    let scheme = match uri.scheme {
        AMQPScheme::AMQP => "amqp",
        AMQPScheme::AMQPS => "amqps",
    };
    format!("{scheme}://{}:{}/{}", uri.authority.host, uri.authority.port, uri.vhost)
}

async fn read(file: &std::path::Path) -> Result<String, Error> {
    let text = tokio::fs::read_to_string(file).await;
    text.map_err(|error| Error::Configuration(format!("cannot read '{}': {error}", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_message_shows_a_password() {
        let options = Options { uris: vec!["amqp://worker:s3cret@broker:5672/%2f".into()], ..Options::default() };
        let amqp = Amqp::new(options).unwrap();
        assert_eq!(redacted(&amqp.uris[0]), "amqp://broker:5672//");
        let broken = Options { uris: vec!["amqpz://worker:s3cret@broker".into()], ..Options::default() };
        assert!(!Amqp::new(broken).unwrap_err().to_string().contains("s3cret"));
    }

    #[test]
    fn external_authentication_needs_tls() {
        let options = Options { uris: vec!["amqp://broker/%2f?auth_mechanism=external".into()], ..Options::default() };
        assert_eq!(Amqp::new(options).unwrap_err().code(), "configuration");
    }
}
