//! Every bound on what comes from outside, in one place, each with the reason for its figure.
//!
//! What crosses one is refused with an error that names it, and counted by [`Limit`]. Not for: intervals and timeouts that
//! only shape our own pace.

mod crossed;

use std::time::Duration;

pub use crossed::Limit;

// Callers: what one request may hold.

/// A request as a whole: metadata with a certificate chain in it is some 20 KiB.
pub const REQUEST: usize = 256 << 10;
/// Keys of one trigger: the backend with the most knows fewer than 50.
pub const KEYS: usize = 64;
/// Bytes of a key: the longest that is known has 40.
pub const KEY: usize = 256;
/// Bytes of a value: a chain of certificates is the longest that is meant.
pub const VALUE: usize = 64 << 10;
/// Bytes of a namespace or a name: Kubernetes' own bound.
pub const NAME: usize = 253;
/// Warnings about keys that nobody knows, for one trigger: whoever mends eight sees the next eight.
pub const WARNINGS: usize = 8;
/// An interval, a timeout or an age: a look less than once a day is no look, and a clock that is asked for more overflows.
pub const DURATION: Duration = Duration::from_secs(24 * 60 * 60);

// Triggers and connections: how many at a time.

/// Triggers under observation where no option says otherwise, in all and for each namespace: one costs some 6 KiB, and
/// the others always have a quarter.
pub const TRIGGERS: (usize, usize) = (20_000, 15_000);
/// Connections that they use, likewise: each is a socket or two, and as many at the broker.
pub const CONNECTIONS: (usize, usize) = (2_000, 1_500);
/// Bytes of the metadata of all triggers under observation: each is held twice, once as it came and once understood.
pub const METADATA: usize = 96 << 20;
/// The same for one namespace.
pub const METADATA_OF_NAMESPACE: usize = METADATA / 4 * 3;
/// Rows of one answer of `/api/v1/triggers`: some 3 KiB each.
pub const ROWS: usize = 1_000;
/// The same of one page for people: what is read, and redrawn, at a glance.
pub const ROWS_OF_PAGE: usize = 200;
/// Triggers of the cluster that nobody has asked for, to be shown: a thousand have one cause.
pub const UNASKED: usize = 1_000;
/// Triggers whose rows one viewer may watch.
pub const WATCHED: usize = 200;
/// Who watches at a time: each costs a look at its rows every second.
pub const VIEWERS: usize = 64;
/// How long one watches until it asks anew: less than the connection lives.
pub const WATCH: Duration = Duration::from_secs(240);
/// Bytes of events that one viewer is sent in a second.
pub const EVENTS: usize = 5_000;
/// ScaledObjects that are remembered by name for one trigger, besides those with an open stream: enough to know whose
/// it is, and equal triggers of thousands of objects cost no more.
pub const OBJECTS_OF_TRIGGER: usize = 16;
/// Triggers whose metadata cannot be followed that are remembered, to be shown and to be logged once: some 2 KiB each.
pub const REFUSED_TRIGGERS: usize = 1_000;

// Texts that came from outside.

/// Bytes of an error, a problem or a log field: several sentences; KEDA's own events end at 1,024 characters.
pub const TEXT: usize = 1 << 10;
/// Bytes of a source's description: a topic and a group with the longest names that Kafka takes, and half of [`TEXT`] is left
/// for what happened to it.
pub const DESCRIPTION: usize = 576;
/// Characters of a broker's own words that are shown: enough for its code and the first sentence.
pub const QUOTED: usize = 100;
/// Bytes of a log line: a few fields of [`TEXT`] each.
pub const LOG_LINE: usize = 8 << 10;
/// Lines that wait for whoever reads the log: 16 MiB at the very most, and some ten seconds of a busy start.
pub const LOG_LINES: usize = 2048;

// Dialling.

/// From the first packet to a connected socket, the name's resolution included. A broker in the same region takes
/// milliseconds; a read's deadline is 5 s, and login and answer must fit into it too.
pub const DIAL: Duration = Duration::from_secs(3);
/// Names being resolved at a time. `getaddrinfo` cannot be interrupted: with a dead resolver each holds a thread for
/// some 10 s, and 512 threads are all there are.
pub const RESOLVING_AT_ONCE: usize = 32;
/// Addresses of one name that are tried: more is a mistake or an attack, and the deadline is used up long before.
pub const ADDRESSES: usize = 16;
/// How long one address may be silent before the next is tried beside it (RFC 8305 §5).
pub const NEXT_ADDRESS: Duration = Duration::from_millis(250);

// Keys and certificates.

// What the command line reads.

/// Bytes of one input of `check` and `migrate`: what `kubectl get` says of 10,000 ScaledObjects is some 40 MiB.
pub const MANIFEST: usize = 64 << 20;
/// Keys and values in it: the same 10,000 have some 1.5 million, at some 120 bytes each.
pub const MANIFEST_NODES: usize = 4_000_000;
/// How deep lists and mappings may be in one another: CustomResourceDefinitions that hold a pod have some 60 levels.
pub const MANIFEST_DEPTH: usize = 250;
/// Keys that merge keys (`<<`) bring, in all: each line of an honest file brings a few.
pub const MANIFEST_MERGED: usize = 200_000;
/// Documents of one input that cannot be read and are told of.
pub const MANIFEST_TROUBLES: usize = 20;
/// Lists of objects in one another: `kubectl` makes one.
pub const MANIFEST_LISTS: usize = 4;
/// Bytes of all inputs together.
pub const INPUTS: usize = 4 * MANIFEST;
/// Folders in one another that are looked through for inputs.
pub const FOLDERS: usize = 32;
/// Looks of `check --live` under way at a time.
pub const LOOKS_AT_ONCE: usize = 16;
/// How long one of them may take: connecting, logging in and asking.
pub const LOOK: Duration = Duration::from_secs(15);
/// Findings of one check: some 0.5 KiB each.
pub const FINDINGS: usize = 200_000;
/// Triggers of one check: aliases can make many of few.
pub const TRIGGERS_CHECKED: usize = 100_000;

// Our own files.

/// A file of the operator's: certificates of a hundred CAs, or a policy of some thousand lines.
pub const CONFIG_FILE: u64 = 1 << 20;
/// Files that the config file may name, all of which are read at each look.
pub const CONFIG_FILES: usize = 1000;
/// Connections in the config file.
pub const NAMED_CONNECTIONS: usize = 1000;
/// How often they are looked at. Kubernetes takes a minute to bring a changed Secret; the look costs microseconds.
pub const CONFIG_LOOK: Duration = Duration::from_secs(1);

/// Rounds of PBKDF2 that decrypting a private key may ask for: ten times what is recommended, some 4 s of work.
pub const PBKDF2_ROUNDS: u64 = 10_000_000;
/// Memory that scrypt may ask for: twice what `openssl pkcs8 -scrypt` takes (N = 2^14, r = 8 are 16 MiB).
pub const SCRYPT_MEMORY: u64 = 64 << 20;
/// Memory that scrypt may go through in all: as much work as [`PBKDF2_ROUNDS`].
pub const SCRYPT_WORK: u64 = 1 << 30;
/// What scrypt goes through in the time of one round of PBKDF2, roughly.
pub const SCRYPT_BYTES_PER_ROUND: u64 = 107;
/// Rounds up to which a key need not wait for dearer ones: above what tools write today (600,000).
pub const KEY_CHEAP: u64 = 1_000_000;
/// How long a connection waits for its key to be decrypted; the work goes on and its result is remembered.
pub const KEY_DERIVATION: Duration = Duration::from_secs(2);
/// Decrypted keys, and failures to decrypt, that are remembered.
pub const KEYS_REMEMBERED: usize = 64;

// Replies, all backends together.

/// Bytes of replies that may be held at a time by all clients together: what keeps a thousand brokers that all answer
/// with their largest reply from filling the pod.
pub const REPLIES_IN_FLIGHT: usize = 256 << 20;

// Replies over HTTP.

/// The largest body that is read: a Prometheus answer with 100,000 series is about as large, and more is a mistake in
/// what was asked.
pub const HTTP_BODY: usize = 10 << 20;
/// The same for SQS: all the attributes of a queue, or its URL, are a few KiB.
pub const SQS_BODY: usize = 256 << 10;
/// Pages of one answer that are asked for: with RabbitMQ's own 100 queues a page, 100,000 queues.
pub const HTTP_PAGES: u32 = 1_000;

// Kerberos.

/// Logins by Kerberos under way at a time: each is a process of some 10 MB for a few milliseconds.
pub const KERBEROS_AT_ONCE: usize = 4;
/// Servers of one realm that are taken from a krb5.conf.
pub const KERBEROS_SERVERS: usize = 8;
/// Realms and domains in a krb5.conf: an honest one has two or three.
pub const KERBEROS_REALMS: usize = 64;

// Replies of Kafka.

/// The largest frame before the login: versions and mechanisms are some 2 KiB, whatever is at the address.
pub const KAFKA_GREETING: usize = 1 << 20;
/// The largest frame after it: 500,000 partitions in one answer, more than a cluster has.
pub const KAFKA_REPLY: usize = 32 << 20;
/// Memory that a reply may take once it is read, per byte of it: what all replies may hold is charged with it too.
pub const KAFKA_READ: usize = 4;
/// Brokers of one cluster: a hundred are many.
pub const KAFKA_BROKERS: usize = 10_000;
/// Topics in one answer: only those in use are asked for.
pub const KAFKA_TOPICS: usize = 100_000;
/// Partitions of one topic: what is known of them is kept, and a topic of a thousand is large.
pub const KAFKA_PARTITIONS: usize = 20_000;
/// Groups in one answer: 200 are asked for.
pub const KAFKA_GROUPS: usize = 1_000;
/// Login mechanisms that a broker offers: there are ten.
pub const KAFKA_MECHANISMS: usize = 64;
/// Rounds of a SCRAM login, which the broker asks for and we compute: Kafka itself allows 16,384.
pub const KAFKA_SCRAM_ROUNDS: u32 = 20_000;

// Replies of Redis.

/// Texts of one reply that are kept; what is beyond is taken for nothing. We ask for names and ids; entries of a stream,
/// which may be large, are only counted.
pub const RESP_TEXT: usize = 1 << 20;
/// One line: a number, a status, an error. Redis cuts what it repeats of a command at 128 bytes.
pub const RESP_LINE: usize = 4 << 10;
/// Entries of one list: a stream with as many groups, or a cluster with as many ranges of slots, cannot be used.
pub const RESP_LIST: u64 = 10_000;
/// Lists within lists: `XRANGE` has three levels.
pub const RESP_DEPTH: usize = 8;
/// Parts of one reply, its lists' entries and theirs: 1,000 entries of a stream with 100 fields each.
pub const RESP_PARTS: usize = 200_000;
/// Bytes of one reply, those that are not kept too: 1,000 entries of 64 KiB.
pub const RESP_REPLY: usize = 64 << 20;
/// What the replies may weigh that are waited for on one connection, texts and parts together.
pub const RESP_TOGETHER: usize = 32 << 20;
/// Nodes of one cluster that are kept in touch with: what Redis itself recommends as the most.
pub const REDIS_NODES: usize = 1_000;
/// Keys that a server may tell of in one go since they were looked at, which each look allows once.
pub const RESP_ARMED: u64 = 100_000;
/// Further news in a second: of keys with notifications, of all keys at once. As much costs a twentieth of a core.
pub const RESP_NEWS: u64 = 10_000;

// Replies of RabbitMQ.

/// Queues of one listing: as many as [`HTTP_BODY`] has room for with the shortest of names.
pub const RABBITMQ_QUEUES: usize = 250_000;
/// One AMQP frame. The largest that we have a use for, `connection.start`, has 500 bytes from RabbitMQ.
pub const AMQP_FRAME: usize = 16 << 10;
/// What we agree on as the largest frame: the least that AMQP allows, and more than ten refusals.
pub const AMQP_FRAME_MAX: u32 = 4096;
/// All that a broker may say until it has let us in.
pub const AMQP_LOGIN: usize = 64 << 10;
/// All that it may say to one burst of questions, besides the answers: heartbeats, refusals.
pub const AMQP_BURST: usize = 64 << 10;
/// One answer: a queue's name of 255 bytes and two numbers, or a refusal of as many.
pub const AMQP_ANSWER: usize = 512;
/// All that it may say between bursts, in half a heartbeat.
pub const AMQP_IDLE: usize = 16 << 10;
/// A short string of AMQP, in bytes: names of queues, vhosts and users.
pub const AMQP_NAME: usize = 255;

// Identities.

/// On average no more than one request in this time to whoever issues an identity's tokens, whatever lives they state
/// and however often they are refused; a few, [`RENEWALS`], may come at once. Real tokens live for minutes.
pub const RENEWAL_FLOOR: Duration = Duration::from_secs(1);
/// How many requests for tokens may come at once: the first, one for a token that was revoked, one more.
pub const RENEWALS: u32 = 3;
/// A token whose stated life is shorter is used for so long: whoever refuses it earlier says so.
pub const SHORTEST_LIFE: Duration = Duration::from_secs(2);
/// A token whose stated life is longer is renewed after so long all the same.
pub const LONGEST_LIFE: Duration = Duration::from_secs(7 * 86_400);
/// What an identity service's answer may measure: a token with all its claims is some 4 KiB.
pub const IDENTITY_BODY: usize = 64 << 10;
/// The longest word of an OAuth error that is shown (RFC 6749 §5.2 knows none longer than 23).
pub const OAUTH_ERROR: usize = 40;

// The API server of the cluster.

/// Questions to it at a time: KEDA's operator itself asks at most 30 in a burst.
pub const KUBERNETES_AT_ONCE: usize = 16;
/// One object: etcd takes 1.5 MiB, and the API server writes a little more around it.
pub const KUBERNETES_OBJECT: usize = 8 << 20;
/// Objects of one page of a list.
pub const KUBERNETES_PAGE_OF: usize = 250;
/// One page: a ScaledObject has some 10 KiB.
pub const KUBERNETES_LIST: usize = 64 << 20;
/// ScaledObjects and ScaledJobs that are kept, and as many authentications: some 1.5 KiB each. Three quarters for one
/// namespace at most.
pub const KUBERNETES_OBJECTS: usize = 50_000;
/// Bytes of either that are kept, likewise.
pub const KUBERNETES_HELD: usize = 128 << 20;
/// An authentication: one with a hundred parameters has some 10 KiB.
pub const KUBERNETES_AUTH: usize = 512 << 10;
/// Triggers of one object.
pub const KUBERNETES_TRIGGERS: usize = 256;
/// Secrets in use, and as many objects of each other kind that is read by name.
pub const KUBERNETES_KEPT: usize = 20_000;
/// Deleted objects that wait to be heard of.
pub const KUBERNETES_NEWS: usize = 1_024;
/// Live looks at objects that the watch has not told of, in one burst; each is two questions.
pub const KUBERNETES_LOOKS: usize = 200;
/// How often there may be one on average.
pub const KUBERNETES_LOOK_EVERY: Duration = Duration::from_millis(50);
/// Rights that are asked about in one go.
pub const KUBERNETES_REVIEWS: usize = 300;

// Stores of secrets outside the cluster.

/// One answer of a store: Vault keeps 1 MiB in one place, the clouds 64 KiB in one secret.
pub const STORE_BODY: usize = 2 << 20;
/// A file with a token or a certificate for a store.
pub const STORE_FILE: u64 = 1 << 20;

// Our own ports.

/// Connections to one port at a time: KEDA's operator has one for each way it was told to call us, a probe one for a
/// moment, a scraper or a person a few.
pub const CALLERS: usize = 512;
/// Connections from one address: what one caller may take of them.
pub const CALLERS_OF_ONE: usize = 128;
/// How long a caller may take to greet: the TLS handshake, HTTP/2's preface, or the head of a request.
pub const GREETING: Duration = Duration::from_secs(10);
/// How long answers may lie unread before their connection is cut: what reads has taken them by then.
pub const ANSWERS_UNREAD: Duration = Duration::from_secs(30);
/// After this long in silence the system asks whether a caller is still there.
pub const KEEPALIVE: Duration = Duration::from_secs(30);
/// Bytes of answers that the system holds for one connection: an answer to KEDA has some 200, a page is written as it
/// is read.
pub const SEND_BUFFER: usize = 256 << 10;
/// Calls of one connection that may be unanswered, parked streams apart: all ScaledObjects of an operator share one,
/// and after its restart they ask all at once. A call costs some 2 KiB while it waits.
pub const CALLS_OF_ONE: usize = 10_000;
/// Calls that all connections together may have unanswered, beyond [`CALLS_FREE`] of each.
pub const CALLS: usize = 20_000;
/// Calls that a connection may have unanswered whatever the others do.
pub const CALLS_FREE: usize = 64;
/// Bytes of requests that all unanswered calls together may hold, beyond [`CALL_BYTES_FREE`] of each connection: a
/// request has 1 KiB, or 20 with certificates in it.
pub const CALL_BYTES: usize = 64 << 20;
/// Bytes of requests that a connection may hold whatever the others do: one of the largest, and a few of the usual.
pub const CALL_BYTES_FREE: usize = 2 * REQUEST;
/// Streams of one connection that may be parked, for each trigger that there may be: KEDA keeps one open and has a second
/// for some minutes. A stream costs some 2 KiB.
pub const STREAMS_OF_ONE: usize = 2;
/// The same for all connections together, beyond [`STREAMS_FREE`] of each: those of a connection that has grown old go on.
pub const STREAMS: usize = 3;
/// Streams that a connection may have parked whatever the others do.
pub const STREAMS_FREE: usize = 64;
/// From a request's head to its answer's: a read takes some seconds, and who sends half a request is not waited for.
pub const CALL: Duration = Duration::from_secs(120);
/// Requests that were cancelled before we had looked at them: an operator that ends cancels as many as it had open, and
/// each costs some microseconds. HTTP/2 libraries take more than a few for an attack and cut the connection.
pub const CANCELLED: usize = CALLS_OF_ONE;
/// How long streams may stay on a connection that was told to go away; then they end with OK.
pub const AFTER_GOAWAY: Duration = Duration::from_secs(30 * 60);
/// How long a connection has after that, until it is cut.
pub const LAST_WORDS: Duration = Duration::from_secs(30);
/// Triggers that may have series of their own, where that is asked for: five lines of 150 bytes each, every time somebody
/// scrapes.
pub const TRIGGER_SERIES: i64 = 20_000;
/// Headers of a request to the admin port.
pub const HEADERS: usize = 64;
/// How long a connection to the admin port may live.
pub const ADMIN_AGE: Duration = Duration::from_secs(300);
