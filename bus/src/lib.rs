//! The AMQP contract: messages, topology, one supervised session, confirmed publishing, and its in-memory twin.
//!
//! Nothing here knows what is in a completion's artifacts or how they are matched.

pub mod message;
