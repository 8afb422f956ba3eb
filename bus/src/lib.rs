//! The AMQP contract: messages, topology, one supervised session, confirmed publishing, and its in-memory twin.
//!
//! Nothing here knows what is in a completion's artifacts or how they are matched.

pub mod amqp;
pub mod dead;
pub mod headers;
pub mod id;
pub mod memory;
pub mod message;
pub mod supervisor;
pub mod tail;
pub mod topology;
pub mod transport;
pub mod units;

pub use supervisor::{Backoff, State, Supervisor};
pub use topology::{Names, Topology};
pub use transport::{
    Confirmed, ConsumeOptions, Consumer, Delivery, Error, Health, Message, Properties, PublishError, Session,
    StreamOffset, Transport,
};
