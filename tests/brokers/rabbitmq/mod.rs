//! RabbitMQ: the whole backend against the broker, over AMQP and over its management API.

mod burst;
mod costs;
mod fixtures;
mod logins;
mod proxy;
mod reads;
mod traps;
mod wake;
