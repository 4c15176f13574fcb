//! Opens connections: to a data node, to a sentinel, or for publish and subscribe; each within one deadline.
//!
//! `dialer.rs` makes the socket and TLS, `guard.rs` holds what comes in against our bounds (`walk.rs` knows the frames,
//! `meter.rs` keeps the books), `hello.rs` says the first words, `wire.rs` takes commands, `terms.rs` translates,
//! `trouble.rs` says what went wrong. Not for: what happens to the connection afterwards (`link`).

mod dialer;
mod guard;
mod hello;
mod meter;
pub mod terms;
pub mod trouble;
pub mod walk;
mod wire;

pub use dialer::Dialer;
pub use hello::{Opened, not_serving};
pub use meter::{Crossed, Meter};
pub use wire::{Broken, Wire};

use std::{
    future::Future,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use redis::{RedisConnectionInfo, aio::PubSub};
use tokio::time::timeout;

use self::{
    guard::Guarded,
    hello::{Guest, logged_in},
    walk::Hears,
};
use crate::{
    backend::redis::{address::Address, bells::Bells, connection::Login, refusal::Place},
    error::ReadError,
};

/// The time for a name, a socket, TLS and a login.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);

impl Dialer {
    /// Opens a connection to the data node at `address`, whose news rings `bells`, if there shall be any.
    pub async fn open(&self, address: &Address, bells: Option<&Arc<Bells>>) -> Result<Opened, ReadError> {
        let login = self.connection.login.as_ref();
        let guest = Guest { dialer: self, address, place: Place::node(address), login, bells };
        self.in_time(&guest.place, async {
            let mut opened = guest.greet().await?;
            guest.enter(&mut opened).await?;
            self.has_worked.store(true, Ordering::Relaxed);
            Ok(opened)
        })
        .await
    }

    /// Opens a connection to the sentinel at `address`.
    pub async fn open_sentinel(&self, address: &Address, login: Option<&Login>) -> Result<Opened, ReadError> {
        let guest = Guest { dialer: self, address, place: Place::sentinel(address), login, bells: None };
        self.in_time(&guest.place, guest.greet()).await
    }

    /// Opens a connection to the server at `place` that is for publish and subscribe alone. Tell the meter of what is
    /// subscribed to: each is answered.
    pub async fn open_subscriber(
        &self,
        address: &Address,
        place: Place,
        login: Option<&Login>,
    ) -> Result<(PubSub, Arc<Meter>), ReadError> {
        let meter = Arc::new(Meter::default());
        self.in_time(&place, async {
            let stream = Guarded::new(self.dial(address, &place).await?, Arc::clone(&meter), Hears::News);
            let subscriber = PubSub::new(&logged_in(RedisConnectionInfo::default(), login), stream).await;
            let no_hello = |error| {
                trouble::of_tls(&place, &error, self.tls()).unwrap_or_else(|| trouble::no_hello(&place, self.doubt()))
            };
            let subscriber = subscriber.map_err(no_hello)?;
            Ok((subscriber, Arc::clone(&meter)))
        })
        .await
    }

    async fn in_time<T>(
        &self,
        place: &Place,
        opening: impl Future<Output = Result<T, ReadError>>,
    ) -> Result<T, ReadError> {
        let late = |_| trouble::not_in_time(place, CONNECT_WITHIN, self.doubt());
        timeout(CONNECT_WITHIN, opening).await.map_err(late)?
    }
}
