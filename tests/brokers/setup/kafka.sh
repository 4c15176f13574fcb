# shellcheck shell=bash
# Apache Kafka from its Maven artifacts: `kafka` (newest, every listener), `kafka-3` (three brokers), `kafka-old`.
# The configurations are in kafka-conf.sh.

# kafka_java LINE HEAP CLASS ARGUMENTS...: one of Kafka's programs, in the foreground.
kafka_java() {
    local jars
    jars=$(classpath "$1")
    "$JAVA" "-Xmx$2" "${JVM_FLAGS[@]}" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars" "${@:3}"
}

# start_kraft NODE HEAP SCRAM...: formats new storage, then starts. The configuration is kraft_conf's.
start_kraft() {
    local node=$1 heap=$2 dir conf
    dir=$(node_dir "$1")
    conf=$dir/server.properties
    shift 2
    running "$node" && return
    mkdir -p "$dir"
    kraft_conf "$node" >"$conf"
    # meta.properties is what a finished format leaves.
    if [ ! -f "$dir/data/meta.properties" ]; then
        rm -rf "$dir/data"
        kafka_java kafka 128m kafka.tools.StorageTool format --cluster-id "$KAFKA_CLUSTER_ID" --config "$conf" "$@" \
            >"$dir/format.log" 2>&1 || {
            cat "$dir/format.log" >&2
            die "$node: its storage could not be formatted"
        }
    fi
    start_jvm "$node" kafka "$heap" "Kafka Server started" kafka.Kafka "$conf"
}

start_kafka() {
    local user scram=()
    for user in "${KAFKA_USERS[@]}"; do
        scram+=(--add-scram "SCRAM-SHA-256=[name=$user,password=$user-secret]")
        scram+=(--add-scram "SCRAM-SHA-512=[name=$user,password=$user-secret]")
    done
    start_kraft kafka 512m "${scram[@]}"
    kafka_acls
}

# Rights live in the cluster's own log, so once is enough. Nothing else is restricted: see `kafka_conf`.
kafka_acls() {
    local mark
    mark=$(node_dir kafka)/data/acls
    [ -f "$mark" ] && return
    add_acl --allow-principal "User:*" --deny-principal User:noaccess --operation All --topic denied- --group denied-
    add_acl --allow-principal User:describer --operation Describe --topic described- --group described-
    touch "$mark"
}

# add_acl ARGUMENTS...: on names that begin so.
add_acl() {
    local log
    log=$(node_dir kafka)/acls.log
    kafka_java kafka 128m org.apache.kafka.tools.AclCommand --bootstrap-server "127.0.0.1:$KAFKA_PORT" \
        --add --resource-pattern-type prefixed "$@" >"$log" 2>&1 || {
        cat "$log" >&2
        die "kafka: its rights could not be set"
    }
}

# The three elect a controller among themselves: each is "started" only once two of them run.
start_kafka_3() {
    local n pids=() pid status=0
    for n in 1 2 3; do
        start_kraft "kafka-3-$n" 384m &
        pids+=($!)
    done
    for pid in "${pids[@]}"; do wait "$pid" || status=1; done
    return "$status"
}

start_zookeeper() {
    local dir
    dir=$(node_dir zookeeper)
    mkdir -p "$dir/data"
    zookeeper_conf >"$dir/zookeeper.properties"
    start_jvm zookeeper kafka-old 128m "binding to port" \
        org.apache.zookeeper.server.quorum.QuorumPeerMain "$dir/zookeeper.properties"
}

start_kafka_old_broker() {
    local dir
    dir=$(node_dir kafka-old)
    mkdir -p "$dir/data"
    kafka_old_conf >"$dir/server.properties"
    start_jvm kafka-old kafka-old 384m "KafkaServer id=1\] started" kafka.Kafka "$dir/server.properties"
}

start_kafka_old() {
    start_zookeeper
    start_kafka_old_broker
}
