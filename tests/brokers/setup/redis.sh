# shellcheck shell=bash
# Redis alone, Redis behind Sentinel, Redis Cluster: ports, users, start.

REDIS_PORT=$((16379 + BROKERS_PORT_OFFSET))
REDIS_TLS_PORT=$((16380 + BROKERS_PORT_OFFSET))
REDIS_MASTER_PORT=$((16381 + BROKERS_PORT_OFFSET))
REDIS_REPLICA_PORT=$((16382 + BROKERS_PORT_OFFSET))
SENTINEL_PORTS=($((16383 + BROKERS_PORT_OFFSET)) $((16384 + BROKERS_PORT_OFFSET)) $((16385 + BROKERS_PORT_OFFSET)))
CLUSTER_PORTS=($((16391 + BROKERS_PORT_OFFSET)) $((16392 + BROKERS_PORT_OFFSET)) $((16393 + BROKERS_PORT_OFFSET)) $((16394 + BROKERS_PORT_OFFSET)) $((16395 + BROKERS_PORT_OFFSET)) $((16396 + BROKERS_PORT_OFFSET)))

# The least that reading and waking need on one node; Cluster and Sentinel need one more: see `reader_rights`.
READER_RIGHTS="+type +llen +scard +zcard +hlen +xlen +xpending +xinfo|groups +client|tracking +ping +info +hello +select"

need_redis() {
    command -v redis-server >/dev/null && command -v redis-cli >/dev/null && return
    install_packages redis-server redis-tools
    # With systemd it would come back at the next boot.
    if [ -d /run/systemd/system ]; then systemctl disable --quiet --now redis-server || true; fi
}

redis_port() {
    case $1 in
    redis) echo "$REDIS_PORT" ;;
    redis-master) echo "$REDIS_MASTER_PORT" ;;
    redis-replica) echo "$REDIS_REPLICA_PORT" ;;
    sentinel-*) echo "${SENTINEL_PORTS[${1#sentinel-} - 1]}" ;;
    redis-cluster-*) echo "${CLUSTER_PORTS[${1#redis-cluster-} - 1]}" ;;
    esac
}

redis_do() { redis-cli -h 127.0.0.1 -p "$(redis_port "$1")" "${@:2}"; }

# redis_says NODE WANTED COMMAND...: does the answer hold the line WANTED?
redis_says() { redis_do "$1" "${@:3}" | tr -d '\r' | grep -qxF "$2"; }

reader_rights() {
    case $1 in
    redis) echo "$READER_RIGHTS" ;;
    redis-cluster-*) echo "$READER_RIGHTS +cluster|slots" ;;
    redis-master | redis-replica) echo "$READER_RIGHTS +role" ;;
    esac
}

# Written only when the node is new: Sentinel and Cluster rewrite theirs, and that is their memory.
redis_conf() {
    local node=$1 dir rights
    dir=$(node_dir "$1")
    rights=$(reader_rights "$node")
    cat <<EOF
bind 127.0.0.1
port $(redis_port "$node")
dir $dir
# The command line keeps the configuration's path, by which a pid is known to be ours.
set-proc-title no
EOF
    [[ $node = sentinel-* ]] && {
        sentinel_conf
        return
    }
    cat <<EOF
save ""
appendonly no
user default on nopass ~* &* +@all
user reader on >reader-secret ~* $rights
user notracking on >notracking-secret ~* ${rights/+client|tracking /}
user nothing on >nothing-secret
EOF
    case $node in
    redis) cat <<EOF ;;
tls-port $REDIS_TLS_PORT
tls-cert-file $TLS_DIR/server.pem
tls-key-file $TLS_DIR/server.key
tls-ca-cert-file $TLS_DIR/ca.pem
tls-auth-clients optional
EOF
    redis-replica) echo "replicaof 127.0.0.1 $REDIS_MASTER_PORT" ;;
    redis-cluster-*) printf '%s\n' "cluster-enabled yes" "cluster-node-timeout 2000" ;;
    esac
}

# `watcher` has what a client of Sentinel needs; `default` stays open, because sentinels talk to each other as it.
sentinel_conf() {
    cat <<EOF
user default on nopass ~* &* +@all
user watcher on >watcher-secret &* -@all +ping +info +hello +subscribe +psubscribe +sentinel|get-master-addr-by-name +sentinel|masters +sentinel|master +sentinel|replicas +sentinel|slaves +sentinel|sentinels
sentinel monitor plimsoll 127.0.0.1 $REDIS_MASTER_PORT 2
sentinel down-after-milliseconds plimsoll 1000
sentinel failover-timeout plimsoll 3000
EOF
}

start_redis_node() {
    local node=$1 conf
    conf=$(node_dir "$node")/redis.conf
    running "$node" && return
    mkdir -p "$(node_dir "$node")"
    [ -f "$conf" ] || redis_conf "$node" >"$conf"
    if [[ $node = sentinel-* ]]; then
        spawn "$node" redis-server "$conf" --sentinel
    else
        spawn "$node" redis-server "$conf"
    fi
    wait_for "$node" 20 "PONG" redis_says "$node" PONG ping
}

start_redis() {
    start_redis_node redis
}

# Replica before sentinels: they look for replicas once on arrival and then only every ten seconds.
# Unless a failover has swapped the roles: then sentinels come first, to tell the old master who it is now.
start_redis_sentinel() {
    local node
    start_redis_node redis-master
    start_redis_node redis-replica
    if redis_says redis-replica role:slave info replication; then
        wait_for redis-replica 20 "replication" replicated
    fi
    for node in sentinel-1 sentinel-2 sentinel-3; do start_redis_node "$node"; done
    for node in sentinel-1 sentinel-2 sentinel-3; do
        wait_for "$node" 30 "quorum" sentinel_complete "$node"
    done
    wait_for redis-replica 30 "replication" replicated
}

replicated() {
    redis_says redis-replica master_link_status:up info replication ||
        redis_says redis-master master_link_status:up info replication
}

sentinel_complete() {
    local line
    line=$(redis_do "$1" info sentinel | tr -d '\r' | grep '^master0:')
    [[ $line == *status=ok* && $line == *slaves=1,sentinels=3* ]]
}

# Nodes 1 to 3 are masters, 4 to 6 their replicas.
start_redis_cluster() {
    local n nodes=()
    for n in 1 2 3 4 5 6; do
        start_redis_node "redis-cluster-$n"
        nodes+=("127.0.0.1:${CLUSTER_PORTS[n - 1]}")
    done
    if redis_says redis-cluster-1 cluster_known_nodes:1 cluster info; then
        redis-cli --cluster create "${nodes[@]}" --cluster-replicas 1 --cluster-yes >"$(node_dir redis-cluster-1)/create.log" 2>&1 || {
            cat "$(node_dir redis-cluster-1)/create.log" >&2
            die "redis-cli could not create the cluster"
        }
    fi
    for n in 1 2 3 4 5 6; do
        wait_for "redis-cluster-$n" 30 "agreement of the cluster" redis_says "redis-cluster-$n" cluster_state:ok cluster info
    done
}
