# shellcheck shell=bash
# The list of brokers: which nodes each has, how it starts, the variables by which tests find it.

ALL_BROKERS=(kafka kafka-old kafka-3 kafka-gssapi rabbitmq redis redis-sentinel redis-cluster sqs prometheus prometheus-tls)

source "$setup/packages.sh"
source "$setup/tls.sh"
source "$setup/jvm.sh"
source "$setup/kafka-conf.sh"
source "$setup/kafka.sh"
source "$setup/kerberos.sh"
source "$setup/rabbitmq.sh"
source "$setup/redis.sh"
source "$setup/sqs.sh"
source "$setup/prometheus.sh"

# In the order of their start. A node is its own list, so that one node can be named wherever a broker can.
nodes_of() {
    case $1 in
    kafka | redis | sqs | prometheus | prometheus-tls) echo "$1" ;;
    kafka-old) echo zookeeper kafka-old ;;
    rabbitmq) echo epmd rabbitmq ;;
    kafka-gssapi) echo kdc kafka-gssapi ;;
    kafka-3) echo kafka-3-{1..3} ;;
    redis-sentinel) echo redis-master redis-replica sentinel-{1..3} ;;
    redis-cluster) echo redis-cluster-{1..6} ;;
    kafka-3-[1-3] | redis-master | redis-replica | sentinel-[1-3] | redis-cluster-[1-6]) echo "$1" ;;
    *) die "no broker or node \`$1\`: ${ALL_BROKERS[*]}, or one node of them such as kafka-3-2" ;;
    esac
}

start_broker() {
    case $1 in
    kafka-3-*) start_kraft "$1" 384m ;;
    redis-master | redis-replica | sentinel-* | redis-cluster-*) start_redis_node "$1" ;;
    *) "start_${1//-/_}" ;;
    esac
}

# What must be there before any start, asked for once although the starts run side by side.
prepare() {
    local name
    make_certificates
    for name in "$@"; do
        case $name in
        kafka-old) need_java && classpath kafka-old >/dev/null ;;
        kafka-gssapi) need_kerberos && need_java && classpath kafka >/dev/null ;;
        kafka*) need_java && classpath kafka >/dev/null ;;
        rabbitmq) need_rabbitmq ;;
        sqs) need_java && classpath sqs >/dev/null ;;
        prometheus*) need_prometheus ;;
        *) need_redis ;;
        esac
    done
}

# Only brokers that run are listed, so a test that needs another one can say so.
write_env() {
    local name lines=""
    for name in "${ALL_BROKERS[@]}"; do
        any_running "$name" && lines+=$(variables "$name")$'\n'
    done
    printf 'export BROKERS_PORT_OFFSET=%s\nexport PLIMSOLL_TEST_TLS_DIR=%s\n%s' "$BROKERS_PORT_OFFSET" "$TLS_DIR" "$lines" >"$BROKERS_DIR/env.new"
    mv "$BROKERS_DIR/env.new" "$BROKERS_DIR/env"
}

any_running() {
    local node
    for node in $(nodes_of "$1"); do running "$node" && return 0; done
    return 1
}

variables() {
    case $1 in
    kafka)
        export_line KAFKA "$KAFKA_PORT"
        export_line KAFKA_SASL "$KAFKA_SASL_PORT"
        export_line KAFKA_SASL_SSL "$KAFKA_SASL_SSL_PORT"
        export_line KAFKA_SSL "$KAFKA_SSL_PORT"
        export_line KAFKA_MTLS "$KAFKA_MTLS_PORT"
        export_line KAFKA_PROXIED "$KAFKA_PROXIED_PORT"
        export_line KAFKA_PROXY "$KAFKA_PROXY_PORT"
        printf 'export PLIMSOLL_TEST_KAFKA_DIR=%s\n' "$(node_dir kafka)"
        ;;
    kafka-gssapi)
        printf 'export PLIMSOLL_TEST_KAFKA_GSSAPI=localhost:%s\n' "$KAFKA_GSSAPI_PORT"
        export_line KAFKA_GSSAPI_PLAIN "$KAFKA_GSSAPI_PLAIN_PORT"
        printf 'export PLIMSOLL_TEST_KDC_DIR=%s\n' "$(node_dir kdc)"
        ;;
    kafka-old) export_line KAFKA_OLD "$KAFKA_OLD_PORT" ;;
    kafka-3) export_line KAFKA_3 "${KAFKA_3_PORTS[@]}" ;;
    rabbitmq)
        export_line RABBITMQ "$RABBITMQ_PORT"
        export_line RABBITMQ_TLS "$RABBITMQ_TLS_PORT"
        export_line RABBITMQ_HTTP "$RABBITMQ_HTTP_PORT"
        export_line RABBITMQ_HTTPS "$RABBITMQ_HTTPS_PORT"
        printf 'export PLIMSOLL_TEST_RABBITMQ_DIR=%s\n' "$(node_dir rabbitmq)"
        ;;
    redis)
        export_line REDIS "$REDIS_PORT"
        export_line REDIS_TLS "$REDIS_TLS_PORT"
        ;;
    redis-sentinel)
        export_line REDIS_SENTINELS "${SENTINEL_PORTS[@]}"
        printf 'export PLIMSOLL_TEST_REDIS_SENTINEL_MASTER=plimsoll\n'
        ;;
    redis-cluster) export_line REDIS_CLUSTER "${CLUSTER_PORTS[@]}" ;;
    sqs) printf 'export PLIMSOLL_TEST_SQS=http://127.0.0.1:%s\n' "$SQS_PORT" ;;
    prometheus)
        printf 'export PLIMSOLL_TEST_PROMETHEUS=http://127.0.0.1:%s\n' "$PROMETHEUS_PORT"
        printf 'export PLIMSOLL_TEST_PROMETHEUS_TARGETS=%s\n' "$(node_dir prometheus)/targets"
        printf 'export PLIMSOLL_TEST_PROMETHEUS_WEB=%s\n' "$(node_dir prometheus)/web.yml"
        ;;
    prometheus-tls) printf 'export PLIMSOLL_TEST_PROMETHEUS_TLS=https://127.0.0.1:%s\n' "$PROMETHEUS_TLS_PORT" ;;
    esac
}

export_line() {
    local name=$1 port list=""
    shift
    for port in "$@"; do list+=",127.0.0.1:$port"; done
    printf 'export PLIMSOLL_TEST_%s=%s\n' "$name" "${list#,}"
}
