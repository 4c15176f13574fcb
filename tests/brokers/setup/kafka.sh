# shellcheck shell=bash
# Apache Kafka from its Maven artifacts: `kafka` (newest, every listener), `kafka-3` (three brokers), `kafka-old`.
# The configurations are in kafka-conf.sh.

# Start-up time over throughput: five JVMs may start at once on two cores.
JVM_FLAGS=(-XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Xshare:auto -Djava.awt.headless=true)
LOG_FLAGS=(
    -Dorg.slf4j.simpleLogger.showDateTime=true
    "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"
    -Dorg.slf4j.simpleLogger.showThreadName=false
    # Several lines for each partition created or moved.
    -Dorg.slf4j.simpleLogger.log.state.change.logger=warn
)
MAVEN_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath

# Kafka 4 needs Java 17 or newer; Kafka 2.8 does not start on the newest. Both run on 17 and 21.
find_java() {
    local home
    for home in "${JAVA_HOME:-/nonexistent}" /usr/lib/jvm/*-17-* /usr/lib/jvm/*-21-* "$(dirname "$(dirname "$(readlink -f "$(command -v java || true)")")")"; do
        if "$home/bin/java" -version 2>&1 | grep -qE 'version "(17|21)[.\"]'; then
            JAVA=$home/bin/java
            return 0
        fi
    done
    return 1
}

need_java() {
    find_java || install_packages openjdk-17-jre-headless
    find_java || die "need Java 17 or 21 for Kafka: install one, or point JAVA_HOME at it"
    command -v mvn >/dev/null || install_packages maven
}

# The classpath of setup/LINE.pom.xml. Asked of Maven again only when the pom changed or a jar has gone.
classpath() {
    local line=$1 file=$BROKERS_DIR/$1.classpath
    if [ "$file" -nt "$setup/$line.pom.xml" ] && tr ':' '\n' <"$file" | xargs -r ls >/dev/null 2>&1; then
        cat "$file"
        return
    fi
    say "fetching Apache Kafka ($line) by Maven"
    # Two Mavens in one local repository may spoil each other's downloads.
    if ! flock "$BROKERS_DIR/maven.lock" timeout 900 \
        mvn -B -f "$setup/$line.pom.xml" "$MAVEN_PLUGIN" "-Dmdep.outputFile=$file" >"$BROKERS_DIR/maven-$line.log" 2>&1; then
        rm -f "$file"
        grep -m 5 ERROR "$BROKERS_DIR/maven-$line.log" >&2 || true
        say "***************************************************************************************"
        say "Apache Kafka's artifacts cannot be reached ($BROKERS_DIR/maven-$line.log)."
        say "The Kafka tests cannot run. SKIP_BROKERS=$line leaves this broker out, knowingly."
        say "***************************************************************************************"
        exit 1
    fi
    touch "$file"
    cat "$file"
}

# kafka_java LINE HEAP CLASS ARGUMENTS...: one of Kafka's programs, in the foreground.
kafka_java() {
    local jars
    jars=$(classpath "$1")
    "$JAVA" "-Xmx$2" "${JVM_FLAGS[@]}" -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp "$jars" "${@:3}"
}

# start_jvm NODE LINE HEAP STARTED CLASS CONFIGURATION: a server, until its log holds STARTED.
start_jvm() {
    local node=$1 line=$2 heap=$3 started=$4 jars
    shift 4
    running "$node" && return
    jars=$(classpath "$line")
    spawn "$node" "$JAVA" "-Xmx$heap" "${JVM_FLAGS[@]}" "${LOG_FLAGS[@]}" -cp "$jars" "$@"
    wait_for "$node" 120 "'$started' in its log" grep -q "$started" "$(node_dir "$node")/log"
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
