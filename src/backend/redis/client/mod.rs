//! One client per connection, whatever the number of triggers: their questions become one pipeline per node.
//!
//! A question goes down through the rooms: `cluster` finds the node, `visit` puts the batch together, `link` keeps in
//! touch with a node, `sentinel` tells which one, `connect` opens connections. None looks up.
//!
//! Invariant: types of the `redis` crate stay in this folder.

mod cluster;
mod connect;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod link;
mod question;
mod sentinel;
mod visit;

pub use link::Pulse;
pub use question::{Counted, Question};

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::Notify,
    time::{Instant, sleep},
};

use self::{
    cluster::Cluster,
    connect::Dialer,
    link::{Link, Setup, Target},
    sentinel::Sentinels,
    visit::{Pending, visit},
};
use super::{
    address::Address,
    bells::{Bell, Bells},
    connection::{Connection, Topology},
};
use crate::{
    backend::{
        Account, Traffic,
        batch::{Ask, Batcher},
        pool::Pool,
    },
    error::{ReadError, ReadErrorKind},
    task::{self, Task},
};

/// How often the sweep goes round, which rings for keys that are due for a look. It is for what no push tells: `SWAPDB`, a slot
/// that moved while its key was missing, an arm that got lost.
const SWEEP: Duration = Duration::from_secs(4);

/// The clients of a server, one per connection.
#[derive(Debug, Default)]
pub struct Clients {
    pool: Pool<Connection, Client>,
    /// Commands that all of them have sent, those that are gone too.
    sent: Arc<AtomicU64>,
}

impl Clients {
    /// The client of `connection`, made if nobody holds it.
    pub fn get(&self, connection: &Connection, traffic: &Arc<Traffic>) -> Arc<Client> {
        self.pool.get(connection, || Client::new(connection.clone(), Account::new(traffic, &self.sent)))
    }

    /// How many commands were sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }
}

/// The client of one connection.
#[derive(Debug)]
pub struct Client {
    batcher: Batcher<Question, Counted>,
    bells: Arc<Bells>,
    /// When it was made: looks by the clock count from here, so that they come together.
    pub born: Instant,
    _sweeper: Task,
}

#[derive(Debug)]
enum Nodes {
    One(Link),
    Cluster(Cluster),
    /// The address cannot be dialled.
    Nowhere(ReadError),
}

impl Client {
    /// A client of `connection`, which starts to connect; needs a runtime. Its commands are on `account`.
    fn new(connection: Connection, account: Account) -> Self {
        let bells = Arc::new(Bells::default());
        let nodes = Arc::new(Nodes::new(Dialer::new(connection, account), &bells));
        let swept = (Arc::clone(&nodes), Arc::clone(&bells));
        let sweeper = task::supervise("redis sweep", move || sweep(Arc::clone(&swept.0), Arc::clone(&swept.1)));
        let batcher = Batcher::new(Duration::ZERO, move |batch| answer(Arc::clone(&nodes), batch));
        Self { batcher, bells, born: Instant::now(), _sweeper: sweeper }
    }

    /// Asks, together with whoever asks at this moment.
    pub async fn ask(&self, question: Question) -> Result<Counted, ReadError> {
        self.batcher.ask(question).await
    }

    /// The bell of `key`.
    pub fn bell(&self, key: &Arc<str>) -> Arc<Bell> {
        self.bells.of(key)
    }
}

impl Nodes {
    fn new(dialer: Dialer, bells: &Arc<Bells>) -> Self {
        let topology = dialer.connection.topology.clone();
        let first = Address::parse(dialer.connection.addresses.first().map_or("", String::as_str));
        let setup = Setup { dialer: Arc::new(dialer), bells: Arc::clone(bells), trouble: Arc::new(Notify::new()) };
        match (topology, first) {
            (Topology::Cluster, _) => Self::Cluster(Cluster::new(setup)),
            (Topology::Sentinel { .. }, _) => {
                let sentinels = Arc::new(Sentinels::new(&setup.dialer));
                Self::One(Link::new(Target::Master(sentinels), setup))
            }
            (Topology::Single, Ok(address)) => Self::One(Link::new(Target::Node(address), setup)),
            (Topology::Single, Err(error)) => Self::Nowhere(error),
        }
    }
}

async fn answer(nodes: Arc<Nodes>, batch: Vec<Ask<Question, Counted>>) {
    let batch: Vec<Pending> = batch.into_iter().map(Pending::new).collect();
    match &*nodes {
        Nodes::One(link) => {
            let text = "redis sends the question to another node of a cluster: use `scalerType: redis-cluster`, or \
                        `redis-cluster-streams`";
            let elsewhere = ReadError::new(ReadErrorKind::BadReply, text).of_connection();
            let moved = visit(link, batch, false, |error| error).await;
            moved.into_iter().for_each(|moved| moved.pending.fail(elsewhere.clone()));
        }
        Nodes::Cluster(cluster) => cluster.answer(batch).await,
        Nodes::Nowhere(error) => batch.into_iter().for_each(|pending| pending.fail(error.clone())),
    }
}

async fn sweep(nodes: Arc<Nodes>, bells: Arc<Bells>) {
    loop {
        // A lost link needs no sweep: it rings for all when it is back.
        let serves = match &*nodes {
            Nodes::Cluster(cluster) => {
                if cluster.heed_trouble(SWEEP).await {
                    bells.ring_all();
                }
                true
            }
            Nodes::One(link) => {
                sleep(SWEEP).await;
                link.is_up()
            }
            Nodes::Nowhere(_) => {
                sleep(SWEEP).await;
                false
            }
        };
        if serves {
            bells.sweep();
        }
        bells.tidy();
    }
}
