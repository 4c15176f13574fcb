//! Opens connections: to a data node, to a sentinel, or for publish and subscribe; each within one deadline.
//!
//! `dialer.rs` makes the socket and TLS, `hello.rs` says the first words, `wire.rs` translates, `trouble.rs` says what
//! went wrong. Not for: what happens to the connection afterwards (`link`).

mod dialer;
mod hello;
pub mod trouble;
pub mod wire;

pub use dialer::Dialer;
pub use hello::{Opened, ask, not_serving};

use std::{future::Future, sync::Arc, time::Duration};

use redis::{RedisConnectionInfo, aio::PubSub};
use tokio::time::timeout;

use self::hello::{Guest, logged_in};
use crate::{
    backend::redis::{address::Address, bells::Bells, connection::Login, refusal::Place},
    error::ReadError,
};

/// The time for a name, a socket, TLS and a login.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

impl Dialer {
    /// Opens a connection to the data node at `address`, whose pushes ring `bells`.
    pub async fn open(&self, address: &Address, bells: &Arc<Bells>) -> Result<Opened, ReadError> {
        let login = self.connection.login.as_ref();
        let guest = Guest { dialer: self, address, place: Place::node(address), login, bells: Some(bells) };
        self.in_time(&guest.place, async {
            let mut opened = guest.greet().await?;
            guest.enter(&mut opened).await?;
            Ok(opened)
        })
        .await
    }

    /// Opens a connection to the sentinel at `address`.
    pub async fn open_sentinel(&self, address: &Address, login: Option<&Login>) -> Result<Opened, ReadError> {
        let guest = Guest { dialer: self, address, place: Place::sentinel(address), login, bells: None };
        self.in_time(&guest.place, guest.greet()).await
    }

    /// Opens a connection to the data node at `address` that is for publish and subscribe alone.
    pub async fn open_subscriber(&self, address: &Address) -> Result<PubSub, ReadError> {
        let place = Place::node(address);
        self.in_time(&place, async {
            let stream = self.dial(address, &place).await?;
            let info = logged_in(RedisConnectionInfo::default(), self.connection.login.as_ref());
            let subscriber = PubSub::new(&info, stream).await;
            subscriber.map_err(|error| trouble::no_hello(&place, &error, self.tls()))
        })
        .await
    }

    async fn in_time<T>(
        &self,
        place: &Place,
        opening: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        let late = |_| trouble::not_in_time(place, CONNECT_WITHIN, self.tls().is_some());
        timeout(CONNECT_WITHIN, opening).await.map_err(late)?
    }
}
