//! Behind Sentinel: the master is found, followed when it moves, and left when it is one no more.

use std::{sync::Arc, time::Duration};

use plimsoll::{
    backend::Source,
    error::ReadErrorKind::{Denied, NotFound, Unreachable},
};

use super::{
    fixtures::{Pairs, Writer, eventually, fails, source, unique, until_active, value, variable},
    server::{SOON, Server},
};

/// Sentinels find out after a second, agree and promote; then we look for them again.
const FAILOVER: Duration = Duration::from_secs(30);

/// A master, a replica and three sentinels.
struct Group {
    data: [Server; 2],
    sentinels: Vec<Server>,
}

impl Group {
    async fn start() -> Self {
        Self::start_with(&[]).await
    }

    async fn start_with(lines: &[&str]) -> Self {
        let master = Server::start(lines).await;
        let replica_of = format!("replicaof 127.0.0.1 {}", master.port());
        let replica = Server::start(&[lines, &[&replica_of]].concat()).await;
        replicated(&replica).await;
        let monitor = format!("sentinel monitor m 127.0.0.1 {} 2", master.port());
        let lines = [&monitor, "sentinel down-after-milliseconds m 1000", "sentinel failover-timeout m 3000"];
        let mut sentinels = Vec::new();
        for _ in 0..3 {
            sentinels.push(Server::start_sentinel(&lines).await);
        }
        for sentinel in &sentinels {
            let mut writer = sentinel.writer().await;
            eventually(SOON, true, || {
                let mut writer = writer.clone();
                async move {
                    writer.run::<String>("INFO sentinel").await.contains("status=ok") && complete(&mut writer).await
                }
            })
            .await;
            writer.does("PING").await;
        }
        Self { data: [master, replica], sentinels }
    }

    fn list(&self, key: &str) -> Arc<dyn Source> {
        self.list_as(key, &[])
    }

    fn list_as(&self, key: &str, login: Pairs<'_>) -> Arc<dyn Source> {
        let addresses: Vec<String> = self.sentinels.iter().map(Server::address).collect();
        let reach = [("addresses", &*addresses.join(",")), ("sentinelMaster", "m"), ("listName", key)];
        source("redis-sentinel", &[&reach, login])
    }

    /// The master that all sentinels name.
    async fn named(&self) -> Option<String> {
        let mut names = Vec::new();
        for sentinel in &self.sentinels {
            let master: Vec<String> = sentinel.writer().await.run("SENTINEL GET-MASTER-ADDR-BY-NAME m").await;
            names.push(master.join(":"));
        }
        names.dedup();
        (names.len() == 1).then(|| names.remove(0))
    }

    async fn promoted(&self) -> Writer {
        let replica = self.data[1].address();
        eventually(FAILOVER, Some(replica.clone()), async || self.named().await).await;
        let writer = Writer::new(&replica).await;
        eventually(FAILOVER, true, || {
            let mut writer = writer.clone();
            async move { writer.run::<String>("INFO replication").await.contains("role:master") }
        })
        .await;
        writer
    }
}

async fn complete(writer: &mut Writer) -> bool {
    writer.run::<String>("INFO sentinel").await.contains("slaves=1,sentinels=3")
}

async fn replicated(replica: &Server) {
    let writer = replica.writer().await;
    eventually(SOON, true, || {
        let mut writer = writer.clone();
        async move { writer.run::<String>("INFO replication").await.contains("master_link_status:up") }
    })
    .await;
}

/// Reads until `stop`, and holds that every value is one of `possible`.
async fn only_ever(list: &Arc<dyn Source>, possible: &[f64]) {
    loop {
        if let Ok(reading) = list.read().await {
            assert!(possible.contains(&reading.value), "{reading:?} is none of {possible:?}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn a_master_that_dies_is_replaced_and_the_key_still_wakes() {
    let mut group = Group::start().await;
    let (list, full) = (group.list("q"), group.list("full"));
    group.data[0].writer().await.does("RPUSH full a b c").await;
    assert_eq!((value(&list).await, value(&full).await), (0.0, 3.0));
    eventually(SOON, 3, async || group.data[1].writer().await.run::<i64>("LLEN full").await).await;
    group.data[0].kill();
    let following = async {
        let mut writer = group.promoted().await;
        writer.does("RPUSH q a").await;
        until_active(&list, FAILOVER).await
    };
    let seen = tokio::select! {
        seen = following => seen,
        () = only_ever(&full, &[3.0]) => unreachable!(),
    };
    assert_eq!(seen.last(), Some(&1.0));
    // On a connection of its own, which may be back a little later.
    eventually(FAILOVER, Some(3.0), async || full.read().await.ok().map(|reading| reading.value)).await;
}

#[tokio::test]
async fn a_master_that_freezes_is_left_for_its_successor() {
    let group = Group::start().await;
    let list = group.list("q");
    assert_eq!(value(&list).await, 0.0);
    group.data[0].freeze();
    let mut writer = group.promoted().await;
    writer.does("RPUSH q a").await;
    until_active(&list, FAILOVER).await;
    // The old one comes back and believes that it is master until it is told.
    group.data[0].thaw();
    let watching = tokio::time::timeout(Duration::from_secs(3), only_ever(&list, &[1.0])).await;
    assert!(watching.is_err());
}

#[tokio::test]
async fn a_master_that_is_demoted_is_left() {
    let group = Group::start().await;
    let list = group.list("q");
    assert_eq!(value(&list).await, 0.0);
    group.sentinels[0].writer().await.does("SENTINEL FAILOVER m").await;
    let mut writer = group.promoted().await;
    writer.does("RPUSH q a").await;
    until_active(&list, FAILOVER).await;
    // Nobody of ours stays at the old one: its replication is cut, so it would show old values for ever.
    let mut old = group.data[0].writer().await;
    eventually(FAILOVER, true, || {
        let mut old = old.clone();
        async move { !old.run::<String>("CLIENT LIST TYPE normal").await.contains(" flags=t ") }
    })
    .await;
    old.does("PING").await;
}

#[tokio::test]
async fn a_former_master_is_not_believed_a_second_after_the_sentinels_name_another() {
    let group = Group::start().await;
    let list = group.list("q");
    assert_eq!(value(&list).await, 0.0);
    let new = group.data[1].address();
    group.sentinels[1].writer().await.does("SENTINEL FAILOVER m").await;
    // The leader knows first; the others, and the former master itself, hear of it seconds later.
    let leader = group.sentinels[1].writer().await;
    eventually(FAILOVER, new, || {
        let mut leader = leader.clone();
        async move { leader.run::<Vec<String>>("SENTINEL GET-MASTER-ADDR-BY-NAME m").await.join(":") }
    })
    .await;
    group.data[1].writer().await.does("RPUSH q a b c").await;
    let seen = until_active(&list, Duration::from_secs(1)).await;
    assert_eq!(seen.last(), Some(&3.0), "{seen:?}");
    let watching = tokio::time::timeout(Duration::from_secs(5), only_ever(&list, &[3.0])).await;
    assert!(watching.is_err());
}

#[tokio::test]
async fn a_master_that_its_sentinels_have_lost_is_left_though_we_reach_it() {
    let user = "user u on >secret ~* +@all";
    let group = Group::start_with(&[user]).await;
    let list = group.list_as("q", &[("username", "u"), ("password", "secret")]);
    assert_eq!(value(&list).await, 0.0);
    // Nobody but us gets in any more: the sentinels find it down, and cannot tell it of its demotion.
    let mut old = group.data[0].writer().await;
    old.does("ACL SETUSER default resetpass").await;
    for kind in ["normal", "pubsub"] {
        old.does(&format!("CLIENT KILL TYPE {kind} USER default SKIPME yes")).await;
    }
    let mut writer = group.promoted().await;
    writer.does("RPUSH q a b c").await;
    let seen = until_active(&list, Duration::from_secs(1)).await;
    assert_eq!(seen.last(), Some(&3.0), "{seen:?}");
    assert_eq!(old.run::<Vec<redis::Value>>("ROLE").await[0], redis::Value::BulkString(b"master".to_vec()));
    let watching = tokio::time::timeout(Duration::from_secs(3), only_ever(&list, &[3.0])).await;
    assert!(watching.is_err());
}

#[tokio::test]
async fn a_sentinel_that_is_cut_off_from_the_others_does_not_keep_us_at_the_former_master() {
    let group = Group::start().await;
    let list = group.list("q");
    assert_eq!(value(&list).await, 0.0);
    // It names the former master for as long as it is frozen, and a while after.
    group.sentinels[0].freeze();
    group.sentinels[1].writer().await.does("SENTINEL FAILOVER m").await;
    let new = group.data[1].address();
    let leader = group.sentinels[1].writer().await;
    eventually(FAILOVER, new, || {
        let mut leader = leader.clone();
        async move { leader.run::<Vec<String>>("SENTINEL GET-MASTER-ADDR-BY-NAME m").await.join(":") }
    })
    .await;
    group.data[1].writer().await.does("RPUSH q a b c").await;
    until_active(&list, Duration::from_secs(1)).await;
    group.sentinels[0].thaw();
    let watching = tokio::time::timeout(Duration::from_secs(5), only_ever(&list, &[3.0])).await;
    assert!(watching.is_err());
}

#[tokio::test]
async fn a_demotion_that_cuts_no_connection_is_found_by_the_beat() {
    let group = Group::start().await;
    let list = group.list("q");
    assert_eq!(value(&list).await, 0.0);
    // By hand, behind the sentinels' back: until it is undone there is no master to be believed.
    let mut old = group.data[0].writer().await;
    old.does(&format!("REPLICAOF 127.0.0.1 {}", group.data[1].port())).await;
    let refused = async || list.read().await.err().map(|error| error.kind);
    eventually(Duration::from_secs(5), Some(Unreachable), refused).await;
    old.does("REPLICAOF NO ONE").await;
    eventually(FAILOVER, Some(0.0), async || list.read().await.ok().map(|reading| reading.value)).await;
}

#[tokio::test]
async fn without_the_right_to_roles_a_failover_is_followed_all_the_same() {
    let user = "user u on >secret ~* -@all +llen +client|tracking +ping";
    let group = Group::start_with(&[user]).await;
    let login = [("username", "u"), ("password", "secret")];
    let list = group.list_as("q", &login);
    assert_eq!(value(&list).await, 0.0);
    group.sentinels[0].writer().await.does("SENTINEL FAILOVER m").await;
    let mut writer = group.promoted().await;
    writer.does("RPUSH q a").await;
    until_active(&list, FAILOVER).await;
}

#[tokio::test]
async fn sentinels_that_come_and_go_do_not_matter_while_one_is_left() {
    let mut group = Group::start().await;
    group.sentinels[0].kill();
    group.sentinels[1].freeze();
    assert_eq!(value(&group.list("q")).await, 0.0);
    group.sentinels[2].kill();
    let list = group.list("q");
    fails(&list, Unreachable, &["redis sentinel", "connection refused"]).await;
    group.sentinels[2].start_again().await;
    eventually(SOON, Some(0.0), async || list.read().await.ok().map(|reading| reading.value)).await;
}

#[tokio::test]
async fn sentinels_have_logins_of_their_own() {
    let addresses = variable("PLIMSOLL_TEST_REDIS_SENTINELS");
    let name = variable("PLIMSOLL_TEST_REDIS_SENTINEL_MASTER");
    let key = unique("sentinel");
    let list = |more: Pairs<'_>| {
        let reach = [("addresses", addresses.as_str()), ("sentinelMaster", &name), ("listName", &key)];
        source("redis-sentinel", &[&reach, more])
    };
    let watcher = [("sentinelUsername", "watcher"), ("sentinelPassword", "watcher-secret")];
    let reader = [("username", "reader"), ("password", "reader-secret")];
    assert_eq!(value(&list(&watcher)).await, 0.0);
    assert_eq!(value(&list(&[watcher, reader].concat())).await, 0.0);
    let wrong = [("sentinelUsername", "watcher"), ("sentinelPassword", "s3cret")];
    let error = fails(&list(&wrong), Denied, &["redis sentinel", "`sentinelUsername` and `sentinelPassword`"]).await;
    assert!(!error.to_string().contains("s3cret"), "{error}");
    let wrong = [("username", "reader"), ("password", "s3cret")];
    fails(&list(&[watcher, wrong].concat()), Denied, &["redis at", "`username` and `password`"]).await;
}

#[tokio::test]
async fn a_name_that_no_sentinel_knows_is_told_so() {
    let addresses = variable("PLIMSOLL_TEST_REDIS_SENTINELS");
    let list =
        source("redis-sentinel", &[&[("addresses", &addresses), ("sentinelMaster", "nobody"), ("listName", "q")]]);
    let error = fails(&list, NotFound, &["knows no master `nobody`", "`sentinelMaster`"]).await;
    assert!(error.whole_connection);
}
