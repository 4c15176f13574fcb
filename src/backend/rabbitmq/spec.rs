//! A RabbitMQ trigger's metadata as types: KEDA's keys, and a few of ours.
//!
//! Fields are read first, then checked against each other in KEDA's order, so that the first problem is KEDA's
//! first. Not for: who logs in and how (`login.rs`).

use std::{sync::Arc, time::Duration};

use super::{
    address::{Address, HOST, Protocol},
    connection::{Amqp, Connection, Management},
    login::Credentials,
    measure::{Measure, Mode, Operation},
    question::{Pace, Question},
};
use crate::{
    error::SpecError,
    limits,
    metadata::Reader,
    net::{Reach, http::escape},
    reading::Metric,
};

const QUEUE: &str = "queueName";
const QUEUE_LENGTH: &str = "queueLength";
const VALUE: &str = "value";
const PROTOCOL: &str = "protocol";
const MODE: &str = "mode";
const VHOST: &str = "vhostName";
const TIMEOUT: &str = "timeout";
const PAGE_SIZE: &str = "pageSize";
const USE_REGEX: &str = "useRegex";
const EXCLUDE: &str = "excludeUnacknowledged";
const DECLARES: &str = "idleDeclaresPerSecond";

/// The target where a trigger names none.
const DEFAULT_LENGTH: f64 = 20.0;
/// The management API refuses larger pages.
const LARGEST_PAGE: i64 = 500;
/// How long a request may take where the trigger does not say: KEDA's 3 s.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3);
/// Over AMQP the client knows sooner and better what is wrong.
const AMQP_TIMEOUT: Duration = Duration::from_secs(6);
/// How many queues a second are looked at while idle, over AMQP: 7 to 12 % of a broker's core.
const DEFAULT_DECLARES: i64 = 2000;

/// A trigger, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct Spec {
    /// Where, and as whom.
    pub connection: Connection,
    /// What to ask there.
    pub question: Question,
    /// How to count the answer.
    pub measure: Measure,
    /// How long to wait for it.
    pub timeout: Duration,
    /// The same where the trigger itself says so.
    pub deadline: Option<Duration>,
    /// How often to look while idle.
    pub pace: Pace,
    /// A pattern that matches no queue is an error.
    pub strict: bool,
    /// What the HPA sees.
    pub metric: Metric,
}

impl Spec {
    /// Reads a trigger's metadata.
    pub fn read(keys: &mut Reader<'_>, reach: &Reach) -> Result<Self, SpecError> {
        let fields = Fields::read(keys);
        let credentials = Credentials::read(keys);
        let protocol = fields.protocol(keys, &credentials);
        credentials.check_oauth(keys, protocol);
        fields.check_names(keys);
        fields.check_protocol(keys, protocol);
        let (mode, target) = fields.resolve(keys, protocol);
        let connection = connection(keys, &fields, protocol, &credentials, reach);
        let (Some(connection), Some(mode)) = (connection, mode) else {
            keys.finish()?;
            // Without a problem there are both.
            return Err(SpecError { problems: Vec::new() });
        };
        keys.finish()?;
        let Fields { activation, exclude_unacknowledged, operation, use_regex, page_size, .. } = fields;
        let metric = metric(&fields.queue, target);
        let (name, rates) = (Arc::from(fields.queue), mode.needs_rates());
        let question = match use_regex {
            true => Question::Pattern { pattern: name, page_size, rates },
            false => Question::Queue { name, rates },
        };
        let measure = Measure { mode, activation, exclude_unacknowledged, operation };
        let (timeout, deadline) = match protocol {
            Some(Protocol::Amqp) => (AMQP_TIMEOUT, None),
            _ => (fields.timeout.unwrap_or(DEFAULT_TIMEOUT), fields.timeout),
        };
        let Fields { pace, strict, .. } = fields;
        Ok(Self { connection, question, measure, timeout, deadline, pace, strict, metric })
    }
}

/// The metric of a trigger whatever else is wrong with it.
pub(super) fn metric_alone(keys: &mut Reader<'_>) -> Option<Metric> {
    let fields = Fields::read(keys);
    let (mode, target) = fields.resolve(keys, None);
    let readable = [QUEUE, QUEUE_LENGTH, VALUE, MODE].iter().all(|key| !keys.has_problem(key));
    mode.filter(|_| readable).map(|_| metric(&fields.queue, target))
}

fn metric(queue: &str, target: f64) -> Metric {
    Metric::new(&format!("rabbitmq-{}", form_encoded(queue)), target)
}

/// What stands in the metadata, each field by itself.
#[derive(Debug)]
struct Fields {
    queue: String,
    queue_length: f64,
    value: f64,
    mode: Option<Mode>,
    activation: f64,
    host: Option<Result<Address, &'static str>>,
    protocol: Option<Protocol>,
    vhost: Option<String>,
    use_regex: bool,
    exclude_unacknowledged: bool,
    page_size: u16,
    operation: Operation,
    timeout: Option<Duration>,
    pace: Pace,
    strict: bool,
}

impl Fields {
    fn read(keys: &mut Reader<'_>) -> Self {
        let modes = [
            ("QueueLength", Some(Mode::QueueLength)),
            ("MessageRate", Some(Mode::MessageRate)),
            ("DeliverGetRate", Some(Mode::DeliverGetRate)),
            ("PublishedToDeliveredRatio", Some(Mode::PublishedToDeliveredRatio)),
            ("ExpectedQueueConsumptionTime", Some(Mode::ExpectedQueueConsumptionTime)),
            ("Unknown", None),
        ];
        let operations = [("sum", Operation::Sum), ("avg", Operation::Avg), ("max", Operation::Max)];
        let protocols = [("auto", None), ("amqp", Some(Protocol::Amqp)), ("http", Some(Protocol::Http))];
        let queue = keys.required(QUEUE).to_owned();
        let queue_length = keys.float(QUEUE_LENGTH).unwrap_or_default();
        let value = keys.float(VALUE).unwrap_or_default();
        let mode = keys.choice(MODE, &modes, None);
        let activation = keys.float("activationValue").unwrap_or_default();
        let host = Some(keys.required(HOST)).filter(|host| !host.is_empty()).map(Address::parse);
        let protocol = keys.choice(PROTOCOL, &protocols, None);
        let vhost = keys.text(VHOST).map(str::to_owned);
        let use_regex = keys.boolean(USE_REGEX, false);
        let exclude_unacknowledged = keys.boolean(EXCLUDE, false);
        let page_size = page_size(keys);
        let operation = keys.choice("operation", &operations, Operation::Sum);
        let timeout = keys.timeout(TIMEOUT);
        let pace = pace(keys);
        let strict = keys.boolean("strict", false);
        Self {
            queue,
            queue_length,
            value,
            mode,
            activation,
            host,
            protocol,
            vhost,
            use_regex,
            exclude_unacknowledged,
            page_size,
            operation,
            timeout,
            pace,
            strict,
        }
    }

    /// The protocol that is meant, if that can be told; and that the host fits it.
    fn protocol(&self, keys: &mut Reader<'_>, credentials: &Credentials) -> Option<Protocol> {
        let address = match self.host.as_ref()? {
            Ok(address) => address,
            Err(wrong) => {
                keys.problem(HOST, format!("`{HOST}` {wrong}: give a URL such as `amqp://rabbitmq.svc:5672/vhost`"));
                return None;
            }
        };
        let Some(of_scheme) = address.protocol() else {
            keys.problem(HOST, format!("`{HOST}` must begin with `amqp://`, `amqps://`, `http://` or `https://`"));
            return None;
        };
        if self.protocol.is_some_and(|asked| asked != of_scheme) {
            keys.problem(HOST, format!("`{HOST}` and `{PROTOCOL}` contradict each other: drop `{PROTOCOL}`"));
        }
        if credentials.tls_enabled && matches!(address.scheme.as_str(), "amqp" | "http") {
            let text = format!("`tls: enable` needs a `{HOST}` that begins with `amqps://` or `https://`");
            keys.problem("tls", text);
        }
        Some(of_scheme)
    }

    /// No name in RabbitMQ is longer than AMQP can say, so a longer one is a mistake. A pattern is no name.
    fn check_names(&self, keys: &mut Reader<'_>) {
        let names = [(QUEUE, Some(&self.queue).filter(|_| !self.use_regex)), (VHOST, self.vhost.as_ref())];
        for (key, name) in names {
            if name.is_some_and(|name| name.len() > limits::AMQP_NAME) {
                keys.problem(key, too_long(key));
            }
        }
    }

    fn check_protocol(&self, keys: &mut Reader<'_>, protocol: Option<Protocol>) {
        if protocol != Some(Protocol::Amqp) {
            return;
        }
        for (key, set) in [(USE_REGEX, self.use_regex), (EXCLUDE, self.exclude_unacknowledged)] {
            if set {
                keys.problem(key, format!("`{key}` needs the management API: give its `http://` URL as `{HOST}`"));
            }
        }
    }

    /// The mode and its target, by KEDA's rules for three keys of two generations.
    fn resolve(&self, keys: &mut Reader<'_>, protocol: Option<Protocol>) -> (Option<Mode>, f64) {
        let Self { queue_length, value, mode, .. } = *self;
        let wrong = keys.has_problem(QUEUE_LENGTH) || keys.has_problem(VALUE) || keys.has_problem(MODE);
        let (mode, target) = match (queue_length != 0.0, mode, value != 0.0) {
            _ if wrong => return (None, 0.0),
            (false, None, false) => return (Some(Mode::QueueLength), DEFAULT_LENGTH),
            (true, None, false) => return (positive(keys, QUEUE_LENGTH, queue_length), queue_length),
            (true, ..) => {
                let text = format!("`{QUEUE_LENGTH}` is the old form of `{MODE}` and `{VALUE}`: drop it");
                keys.problem(QUEUE_LENGTH, text);
                return (None, 0.0);
            }
            (false, None, true) => {
                keys.problem(MODE, format!("`{MODE}` must be given with `{VALUE}`: `QueueLength`, say"));
                return (None, 0.0);
            }
            (false, Some(_), false) => {
                keys.problem(VALUE, format!("`{VALUE}` must be given with `{MODE}`, and not 0"));
                return (None, 0.0);
            }
            (false, Some(mode), true) => (mode, value),
        };
        let amqp = protocol == Some(Protocol::Amqp);
        if amqp && mode != Mode::QueueLength {
            let text =
                format!("`{MODE}` must be `QueueLength` over AMQP: rates need the management API's URL as `{HOST}`");
            keys.problem(MODE, text);
        }
        if amqp && self.timeout.is_some() {
            keys.problem(TIMEOUT, format!("`{TIMEOUT}` is for the management API only: drop it"));
        }
        positive(keys, VALUE, target);
        (Some(mode), target)
    }
}

/// A target that Kubernetes takes.
fn positive(keys: &mut Reader<'_>, key: &str, target: f64) -> Option<Mode> {
    keys.check_target(key, target);
    Some(Mode::QueueLength)
}

fn page_size(keys: &mut Reader<'_>) -> u16 {
    let size = keys.int(PAGE_SIZE, 100);
    if size < 1 {
        keys.problem(PAGE_SIZE, format!("`{PAGE_SIZE}` must be at least 1"));
    }
    u16::try_from(size.min(LARGEST_PAGE)).unwrap_or(1)
}

fn pace(keys: &mut Reader<'_>) -> Pace {
    let every = keys.duration("idlePollingInterval");
    let per_second = u32::try_from(keys.int(DECLARES, DEFAULT_DECLARES)).unwrap_or_default();
    if per_second == 0 {
        keys.problem(DECLARES, format!("`{DECLARES}` must be at least 1"));
    }
    Pace { every, per_second }
}

fn connection(
    keys: &mut Reader<'_>,
    fields: &Fields,
    protocol: Option<Protocol>,
    credentials: &Credentials,
    reach: &Reach,
) -> Option<Connection> {
    let address = fields.host.as_ref()?.as_ref().ok()?;
    match protocol? {
        Protocol::Amqp => amqp(keys, fields, address, credentials, reach).map(Connection::Amqp),
        Protocol::Http => management(keys, fields, address, credentials, reach).map(Connection::Management),
    }
}

fn too_long(key: &str) -> String {
    format!("`{key}` must have at most {} bytes: RabbitMQ has no longer names", limits::AMQP_NAME)
}

/// The vhost of the URL's path.
fn of_path(keys: &mut Reader<'_>, vhost: Option<String>) -> String {
    let vhost = vhost.filter(|vhost| !vhost.is_empty()).unwrap_or_else(|| "/".to_owned());
    if vhost.len() > limits::AMQP_NAME {
        let most = limits::AMQP_NAME;
        keys.problem(
            HOST,
            format!("`{HOST}` has a vhost of more than {most} bytes in its path: RabbitMQ has no longer names"),
        );
    }
    vhost
}

/// Whether `host` may be asked for at all.
fn check_host(keys: &mut Reader<'_>, host: &str, reach: &Reach) {
    if let Err(refusal) = reach.check_host(host) {
        keys.problem(HOST, format!("`{HOST}`: {refusal}"));
    }
}

fn amqp(
    keys: &mut Reader<'_>,
    fields: &Fields,
    address: &Address,
    credentials: &Credentials,
    reach: &Reach,
) -> Option<Amqp> {
    for file in ["cacertfile", "certfile", "keyfile"] {
        if address.parameter(file).is_some() {
            let text = format!("`{HOST}` names a file as `{file}`: give PEM texts as `ca`, `cert` and `key` instead");
            keys.problem(HOST, text);
        }
    }
    let mut number = |name: &str| {
        let number = address.parameter(name).map(str::parse::<u64>)?;
        if number.is_err() {
            keys.problem(HOST, format!("`{HOST}` has a `{name}` that is not a whole number"));
        }
        number.ok()
    };
    let heartbeat = number("heartbeat").map(|seconds| u16::try_from(seconds).unwrap_or(u16::MAX));
    let connect_timeout = number("connection_timeout").map(|ms| Duration::from_millis(ms).min(limits::DURATION));
    // The whole path is the vhost: `/a/b` is the vhost `a/b`.
    let of_path = of_path(keys, Some(address.segments().join("/")));
    let secure = address.scheme == "amqps";
    let host = if address.host.is_empty() { "localhost" } else { &address.host };
    check_host(keys, host, reach);
    Some(Amqp {
        host: host.to_owned(),
        port: address.port.unwrap_or(if secure { 5671 } else { 5672 }),
        tls: secure.then(|| credentials.tls()),
        server_name: address.parameter("server_name_indication").map(str::to_owned),
        vhost: fields.vhost.clone().unwrap_or(of_path),
        login: credentials.amqp_login(keys, address)?,
        heartbeat,
        connect_timeout,
        reach: reach.clone(),
    })
}

fn management(
    keys: &mut Reader<'_>,
    fields: &Fields,
    address: &Address,
    credentials: &Credentials,
    reach: &Reach,
) -> Option<Management> {
    if address.host.is_empty() {
        keys.problem(HOST, format!("`{HOST}` names no host: give a URL such as `http://rabbitmq.svc:15672/vhost`"));
        return None;
    }
    check_host(keys, &address.host, reach);
    let mut segments = address.segments();
    // The last segment is the vhost, none is `/`; what comes before it is where the API is.
    let of_path = of_path(keys, segments.pop());
    let vhost = fields.vhost.clone().unwrap_or(of_path);
    let sub_path = segments.iter().filter(|segment| !segment.is_empty()).map(|segment| format!("/{}", escape(segment)));
    Some(Management {
        origin: address.origin(),
        sub_path: sub_path.collect(),
        vhost,
        login: credentials.http_login(keys, address, reach),
        tls: credentials.tls(),
        reach: reach.clone(),
    })
}

/// Go's form encoding, by which KEDA makes the metric's name.
fn form_encoded(text: &str) -> String {
    escape(text).replace("%20", "+")
}
