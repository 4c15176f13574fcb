//! Triggers of every kind, each way to log in, so that each key is really used somewhere.

pub type Pairs = Vec<(&'static str, String)>;

/// Those of one process, so that no bound on connections is met.
pub struct Kind {
    pub name: &'static str,
    /// What these brokers really listen on.
    pub real: String,
    /// Triggers, given where their broker is.
    pub triggers: fn(&str) -> Vec<Pairs>,
}

fn of(scaler_type: &str, keys: &[(&'static str, &str)], more: &[(&'static str, &str)]) -> Pairs {
    let pairs = [("scalerType", scaler_type)].into_iter().chain(keys.iter().copied()).chain(more.iter().copied());
    pairs.map(|(key, value)| (key, value.to_owned())).collect()
}

pub fn kafka(at: &str) -> Vec<Pairs> {
    let base = [("bootstrapServers", at), ("consumerGroup", "group"), ("topic", "topic")];
    let mtls = [("tls", "enable"), ("cert", "cert"), ("key", "key")];
    let aws = [("sasl", "aws_msk_iam"), ("tls", "enable"), ("awsRegion", "eu-west-1")];
    let logins: [&[_]; 9] = [
        &[],
        &mtls,
        &[("sasl", "plaintext"), ("username", "user"), ("password", "x")],
        &[("sasl", "scram_sha256"), ("username", "user"), ("password", "x")],
        &[("sasl", "scram_sha512"), ("username", "user"), ("password", "x"), ("tls", "enable"), ("keyPassword", "x")],
        &[
            ("sasl", "oauthbearer"),
            ("username", "user"),
            ("password", "x"),
            ("oauthTokenEndpointUri", "http://127.0.0.1:1/token"),
        ],
        &[aws[0], aws[1], aws[2], ("awsAccessKeyID", "AKIA"), ("awsSecretAccessKey", "x"), ("awsSessionToken", "x")],
        &[aws[0], aws[1], aws[2], ("awsRoleArn", "arn:aws:iam::1:role/x")],
        &[("sasl", "gssapi"), ("username", "user"), ("password", "x"), ("realm", "R"), ("kerberosConfig", "x")],
    ];
    let both = ["kafka", "apache-kafka"].into_iter();
    both.flat_map(|scaler_type| logins.map(|login| of(scaler_type, &base, login))).collect()
}

pub fn rabbitmq(at: &str) -> Vec<Pairs> {
    let (amqp, amqps) = (format!("amqp://{at}"), format!("amqps://{at}"));
    let (http, https) = (format!("http://{at}/%2F"), format!("https://{at}/%2F"));
    let base = [("queueName", "queue"), ("mode", "QueueLength"), ("value", "5")];
    let user = [("username", "user"), ("password", "x")];
    let oauth = [("oauthTokenURI", "http://127.0.0.1:1/token"), ("clientID", "id"), ("clientSecret", "x")];
    let tls = [("tls", "enable"), ("cert", "cert"), ("key", "key")];
    [
        [&[("host", amqp.as_str())][..], &user].concat(),
        [&[("host", amqps.as_str())][..], &user, &tls].concat(),
        [&[("host", http.as_str())][..], &user].concat(),
        [&[("host", https.as_str())][..], &tls, &user, &[("keyPassword", "x")]].concat(),
        [&[("host", http.as_str())][..], &oauth].concat(),
        [&[("host", amqp.as_str())][..], &oauth].concat(),
    ]
    .iter()
    .map(|login| of("rabbitmq", &base, login))
    .collect()
}

pub fn redis(at: &str) -> Vec<Pairs> {
    let user = [("username", "user"), ("password", "x")];
    let tls = [("tls", "enable"), ("cert", "cert"), ("key", "key"), ("keyPassword", "x")];
    let watcher = [("sentinelMaster", "plimsoll"), ("sentinelUsername", "user"), ("sentinelPassword", "x")];
    let list = [("listName", "list")];
    let stream = [("stream", "stream"), ("consumerGroup", "group"), ("lagCount", "5")];
    vec![
        of("redis", &list, &[&[("address", at)][..], &user].concat()),
        of("redis", &list, &[&[("address", at)][..], &user, &tls].concat()),
        of("redis-streams", &stream, &[&[("address", at)][..], &user].concat()),
        of("redis-cluster", &list, &[&[("addresses", at)][..], &user].concat()),
        of("redis-sentinel", &list, &[&[("addresses", at)][..], &user, &watcher].concat()),
        of("redis-sentinel-streams", &stream, &[&[("addresses", at)][..], &user, &watcher, &tls].concat()),
    ]
}

pub fn sqs(at: &str) -> Vec<Pairs> {
    let (endpoint, queue) = (format!("http://{at}"), format!("http://{at}/000000000000/queue"));
    let base = [("awsEndpoint", endpoint.as_str()), ("awsRegion", "eu-west-1"), ("queueURL", queue.as_str())];
    let key = [("awsAccessKeyID", "AKIA"), ("awsSecretAccessKey", "x")];
    vec![
        of("aws-sqs-queue", &base, &key),
        of("aws-sqs-queue", &base, &[key[0], key[1], ("awsSessionToken", "x")]),
        of("aws-sqs-queue", &base, &[key[0], key[1], ("awsRoleArn", "arn:aws:iam::1:role/x"), ("awsExternalID", "x")]),
    ]
}

pub fn prometheus(at: &str) -> Vec<Pairs> {
    let server = format!("http://{at}");
    let base = [("serverAddress", server.as_str()), ("query", "vector(1)"), ("threshold", "5")];
    let tls = [("cert", "cert"), ("key", "key")];
    let aws = [("podIdentity", "aws"), ("awsRegion", "eu-west-1")];
    let logins: [&[_]; 12] = [
        &[],
        &[("authModes", "basic"), ("username", "user"), ("password", "x")],
        &[("authModes", "bearer"), ("bearerToken", "x")],
        &[("authModes", "tls"), tls[0], tls[1]],
        &[("authModes", "custom"), ("customAuthHeader", "X-Login"), ("customAuthValue", "x")],
        &[("authModes", "apiKey"), ("apiKey", "x"), ("method", "query")],
        &[
            ("authModes", "oauth"),
            ("oauthTokenURI", "http://127.0.0.1:1/token"),
            ("clientID", "id"),
            ("clientSecret", "x"),
        ],
        &[("customHeaders", "X-Scope-OrgID=shop"), ("queryParameters", "a=b")],
        &[aws[0], aws[1], ("awsAccessKeyID", "AKIA"), ("awsSecretAccessKey", "x"), ("awsSessionToken", "x")],
        &[aws[0], aws[1], ("awsRoleArn", "arn:aws:iam::1:role/x")],
        &[("podIdentity", "gcp"), ("GoogleApplicationCredentials", "{}")],
        &[("podIdentity", "azure-workload"), ("identityId", "id"), ("identityTenantId", "tenant")],
    ];
    logins.map(|login| of("prometheus", &base, login)).into()
}
