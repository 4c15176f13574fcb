# shellcheck shell=bash
# Kafka's ports, users and configurations, printed. Starts nothing.

KAFKA_PORT=$((19092 + BROKERS_PORT_OFFSET))
KAFKA_SASL_PORT=$((19093 + BROKERS_PORT_OFFSET))
KAFKA_SASL_SSL_PORT=$((19094 + BROKERS_PORT_OFFSET))
KAFKA_SSL_PORT=$((19095 + BROKERS_PORT_OFFSET))
KAFKA_MTLS_PORT=$((19096 + BROKERS_PORT_OFFSET))
# What listens on the first is to be reached by the second, where a test puts a proxy.
KAFKA_PROXIED_PORT=$((19098 + BROKERS_PORT_OFFSET))
KAFKA_PROXY_PORT=$((19099 + BROKERS_PORT_OFFSET))
KAFKA_CONTROLLER_PORT=$((19097 + BROKERS_PORT_OFFSET))
KAFKA_3_PORTS=($((19192 + BROKERS_PORT_OFFSET)) $((19193 + BROKERS_PORT_OFFSET)) $((19194 + BROKERS_PORT_OFFSET)))
KAFKA_3_CONTROLLER_PORTS=($((19195 + BROKERS_PORT_OFFSET)) $((19196 + BROKERS_PORT_OFFSET)) $((19197 + BROKERS_PORT_OFFSET)))
KAFKA_OLD_PORT=$((19292 + BROKERS_PORT_OFFSET))
ZOOKEEPER_PORT=$((19291 + BROKERS_PORT_OFFSET))

# Any 16 bytes in base64.
KAFKA_CLUSTER_ID=UGxpbXNvbGwtdGVzdHMhIQ
# By PLAIN and by SCRAM; each password is the name with `-secret`.
KAFKA_USERS=(admin user describer noaccess)

# What a production broker has, except what makes a single node possible and a start quick.
kraft_conf() {
    local n dir
    dir=$(node_dir "$1")
    cat <<EOF
process.roles=broker,controller
log.dirs=$dir/data
controller.listener.names=CONTROLLER
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
delete.topic.enable=true
offsets.topic.num.partitions=12
transaction.state.log.num.partitions=4
log.index.size.max.bytes=1048576
num.network.threads=2
num.io.threads=4
EOF
    case $1 in
    kafka) kafka_conf ;;
    kafka-gssapi) kafka_gssapi_conf ;;
    kafka-3-*) kafka_3_conf "${1#kafka-3-}" ;;
    esac
}

replication() {
    local key
    for key in offsets.topic transaction.state.log share.coordinator.state.topic; do
        printf '%s.replication.factor=%s\n' "$key" "$1"
    done
    printf '%s=1\n' min.insync.replicas transaction.state.log.min.isr share.coordinator.state.topic.min.isr
    printf 'default.replication.factor=%s\n' "$1"
}

kafka_conf() {
    cat <<EOF
node.id=1
controller.quorum.voters=1@127.0.0.1:$KAFKA_CONTROLLER_PORT
listeners=CONTROLLER://127.0.0.1:$KAFKA_CONTROLLER_PORT,PLAINTEXT://127.0.0.1:$KAFKA_PORT,SASL_PLAINTEXT://127.0.0.1:$KAFKA_SASL_PORT,SASL_SSL://127.0.0.1:$KAFKA_SASL_SSL_PORT,SSL://127.0.0.1:$KAFKA_SSL_PORT,MTLS://127.0.0.1:$KAFKA_MTLS_PORT,PROXIED://127.0.0.1:$KAFKA_PROXIED_PORT
advertised.listeners=PLAINTEXT://127.0.0.1:$KAFKA_PORT,SASL_PLAINTEXT://127.0.0.1:$KAFKA_SASL_PORT,SASL_SSL://127.0.0.1:$KAFKA_SASL_SSL_PORT,SSL://127.0.0.1:$KAFKA_SSL_PORT,MTLS://127.0.0.1:$KAFKA_MTLS_PORT,PROXIED://127.0.0.1:$KAFKA_PROXY_PORT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL,SSL:SSL,MTLS:SSL,PROXIED:SASL_PLAINTEXT
inter.broker.listener.name=PLAINTEXT

ssl.keystore.type=PEM
ssl.keystore.location=$TLS_DIR/server-keystore.pem
ssl.truststore.type=PEM
ssl.truststore.location=$TLS_DIR/ca.pem
listener.name.mtls.ssl.client.auth=required

# Whoever comes by a listener without a login is ANONYMOUS and may do all: only logged-in users can be denied.
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true
super.users=User:ANONYMOUS;User:admin
EOF
    replication 1
    sasl_conf sasl_plaintext
    sasl_conf sasl_ssl
    sasl_conf proxied
}

# OAUTHBEARER takes unsecured tokens ("alg":"none"): any program can mint one, and Kafka still checks subject and expiry.
sasl_conf() {
    local listener=listener.name.$1 user users=""
    for user in "${KAFKA_USERS[@]}"; do users+=" user_$user=\"$user-secret\""; done
    cat <<EOF
$listener.sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER
$listener.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required$users;
$listener.scram-sha-256.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
$listener.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
$listener.oauthbearer.sasl.jaas.config=org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";
EOF
}

kafka_3_conf() {
    local n=$1 i voters=""
    for i in 1 2 3; do voters+=",$i@127.0.0.1:${KAFKA_3_CONTROLLER_PORTS[i - 1]}"; done
    cat <<EOF
node.id=$n
controller.quorum.voters=${voters#,}
listeners=CONTROLLER://127.0.0.1:${KAFKA_3_CONTROLLER_PORTS[n - 1]},PLAINTEXT://127.0.0.1:${KAFKA_3_PORTS[n - 1]}
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controlled.shutdown.enable=true
# A broker that comes back waits until its former session has expired: 9 s by default.
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=500
EOF
    replication 3
}

zookeeper_conf() {
    cat <<EOF
dataDir=$(node_dir zookeeper)/data
clientPort=$ZOOKEEPER_PORT
clientPortAddress=127.0.0.1
admin.enableServer=false
EOF
}

kafka_old_conf() {
    cat <<EOF
broker.id=1
zookeeper.connect=127.0.0.1:$ZOOKEEPER_PORT
listeners=PLAINTEXT://127.0.0.1:$KAFKA_OLD_PORT
log.dirs=$(node_dir kafka-old)/data
offsets.topic.replication.factor=1
offsets.topic.num.partitions=12
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
delete.topic.enable=true
num.network.threads=2
num.io.threads=4
EOF
}
