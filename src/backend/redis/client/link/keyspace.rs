//! The second best way to hear of changes: keyspace notifications, on a connection of their own, where the server
//! has them on already. We never change a server's settings.
//!
//! One channel per key, since a pattern would bring us every write to the database.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::StreamExt;
use redis::aio::PubSubSink;
use tokio::{
    sync::mpsc,
    time::{MissedTickBehavior, interval, timeout},
};

use crate::{
    backend::redis::{
        address::Address,
        bells::Bells,
        client::connect::{Crossed, Dialer, Meter, Wire},
        measure::Measure,
        reply::{Command, Reply},
    },
    task::{self, Task},
};

/// The setting that turns them on.
const SETTING: &str = "notify-keyspace-events";
/// How long the server may take over a command here.
const WITHIN: Duration = Duration::from_secs(2);
/// How often channels are left that nobody needs any more.
const TIDY: Duration = Duration::from_secs(60);

/// Notifications of one connection; the last clone to go ends them.
#[derive(Debug, Clone)]
pub struct Keyspace {
    /// Letters of the setting.
    classes: Arc<str>,
    /// Keys to listen for. Bounded by the keys in use: each is sent once.
    wanted: mpsc::UnboundedSender<Arc<str>>,
    listener: Arc<Task>,
    meter: Arc<Meter>,
}

impl Keyspace {
    /// Starts to listen, if the server at `address` sends notifications and lets us hear them.
    pub async fn start(dialer: &Dialer, address: &Address, wire: &mut Wire, bells: &Arc<Bells>) -> Option<Self> {
        let question = [Command::new("CONFIG GET", [SETTING])];
        let replies = timeout(WITHIN, wire.ask(&question)).await.ok()?.ok()?;
        let classes: Arc<str> = replies.first()?.field(SETTING).and_then(Reply::text)?.into();
        if !classes.contains('K') {
            return None;
        }
        let login = dialer.connection.login.as_ref();
        let (subscriber, meter) = dialer.open_subscriber(address, wire.place.clone(), login).await.ok()?;
        let (sink, stream) = subscriber.split();
        let (wanted, keys) = mpsc::unbounded_channel();
        let prefix = format!("__keyspace@{}__:", dialer.connection.database);
        let mut listener = Listener {
            sink,
            meter: Arc::clone(&meter),
            prefix,
            keys,
            listening: HashSet::new(),
            bells: Arc::clone(bells),
        };
        // Without the right to it there is nothing to hear.
        listener.subscribe(vec!["".into()]).await?;
        Some(Self { classes, wanted, listener: Arc::new(task::spawn(listener.run(stream))), meter })
    }

    /// Whether all events that can raise `measure` are sent. Of a missing key nobody knows what it will be.
    pub fn covers(&self, measure: &Measure) -> bool {
        let needed = if *measure == Measure::Length { "glzsh" } else { "gt" };
        self.classes.contains('A') || needed.chars().all(|class| self.classes.contains(class))
    }

    /// Rings for `key` from now on, and once when that has begun.
    pub fn listen(&self, key: &Arc<str>) {
        self.wanted.send(Arc::clone(key)).ok();
    }

    /// Whether there was more to hear than can be listened to.
    pub fn was_flooded(&self) -> bool {
        self.meter.crossed() == Some(Crossed::Flood)
    }

    /// Whether it hears nothing any more.
    pub fn has_ended(&self) -> bool {
        self.listener.is_finished()
    }
}

struct Listener {
    sink: PubSubSink,
    meter: Arc<Meter>,
    prefix: String,
    keys: mpsc::UnboundedReceiver<Arc<str>>,
    listening: HashSet<Arc<str>>,
    bells: Arc<Bells>,
}

impl Listener {
    async fn run(mut self, mut stream: redis::aio::PubSubStream) {
        let mut tidy = interval(TIDY);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let done = tokio::select! {
                key = self.keys.recv() => match key {
                    Some(key) => self.listen_for(key).await,
                    None => return,
                },
                message = stream.next() => message.map(|message| {
                    if let Some(key) = message.get_channel_name().strip_prefix(&self.prefix) {
                        self.bells.ring(key);
                    }
                }),
                _ = tidy.tick() => self.leave_unused().await,
            };
            if done.is_none() {
                return;
            }
        }
    }

    async fn listen_for(&mut self, first: Arc<str>) -> Option<()> {
        let mut new = Vec::new();
        let mut next = Some(first);
        while let Some(key) = next {
            if self.listening.insert(Arc::clone(&key)) {
                new.push(key);
            }
            next = self.keys.try_recv().ok();
        }
        if new.is_empty() {
            return Some(());
        }
        self.subscribe(new.clone()).await?;
        // What changed between the read and this would be lost.
        new.iter().for_each(|key| self.bells.ring(key));
        Some(())
    }

    async fn leave_unused(&mut self) -> Option<()> {
        let unused: Vec<Arc<str>> = self.listening.iter().filter(|key| !self.bells.has(key)).cloned().collect();
        if unused.is_empty() {
            return Some(());
        }
        for key in &unused {
            self.listening.remove(key);
        }
        let channels = self.channels(&unused);
        let _waiting = self.meter.ask(channels.len());
        // Without the right to it we hear more than we need, and no more is wrong.
        timeout(WITHIN, self.sink.unsubscribe(channels)).await.ok().map(|_| ())
    }

    async fn subscribe(&mut self, keys: Vec<Arc<str>>) -> Option<()> {
        let channels = self.channels(&keys);
        let _waiting = self.meter.ask(channels.len());
        timeout(WITHIN, self.sink.subscribe(channels)).await.ok()?.ok()
    }

    fn channels(&self, keys: &[Arc<str>]) -> Vec<String> {
        keys.iter().map(|key| format!("{}{key}", self.prefix)).collect()
    }
}
