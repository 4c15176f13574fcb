# shellcheck shell=bash
# What `up`, `down` and `restart` share: folders, processes with a pid file and a log, waits with a deadline.
# Knows nothing of any broker.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
# shellcheck disable=SC2034 # for those who source this
setup=$root/tests/brokers/setup
# One folder per node inside: pid, log, configuration, data.
BROKERS_DIR=${BROKERS_DIR:-$root/target/brokers}
# Added to every port: with a folder of their own, two sets of brokers can run side by side.
BROKERS_PORT_OFFSET=${BROKERS_PORT_OFFSET:-0}
mkdir -p "$BROKERS_DIR"
BROKERS_DIR=$(cd "$BROKERS_DIR" && pwd)

say() { printf '%s\n' "${WHO:-brokers}: $*" >&2; }

die() {
    say "$*"
    exit 1
}

# One `up`, `down` or `restart` at a time. Servers must not inherit descriptor 9, or they would hold the lock: see `spawn`.
lock() {
    exec 9>"$BROKERS_DIR/lock"
    flock --wait 300 9 || die "another up or down has held $BROKERS_DIR/lock for five minutes: end it first"
}

node_dir() { printf '%s/%s' "$BROKERS_DIR" "$1"; }

# A pid alone may have been given to another process since: the node's own folder must be in its command line.
running() {
    local pid
    pid=$(cat "$(node_dir "$1")/pid" 2>/dev/null) || return 1
    tr '\0' ' ' 2>/dev/null <"/proc/$pid/cmdline" | grep -qF "$(node_dir "$1")/"
}

# spawn NODE COMMAND...: in its own session, so that a Ctrl-C meant for the tests does not end the brokers.
spawn() {
    local node=$1 dir
    dir=$(node_dir "$1")
    shift
    mkdir -p "$dir"
    [ -f "$dir/log" ] && mv -f "$dir/log" "$dir/log.before"
    setsid "$@" >"$dir/log" 2>&1 </dev/null 9>&- &
    echo $! >"$dir/pid"
}

log_tail() {
    local log
    log=$(node_dir "$1")/log
    say "last lines of $log:"
    tail -n 30 "$log" >&2 || true
}

# wait_for NODE SECONDS WHAT COMMAND...: until COMMAND succeeds; gives up early when the node's process has ended.
wait_for() {
    local node=$1 seconds=$2 what=$3 deadline pid
    shift 3
    pid=$(cat "$(node_dir "$node")/pid")
    deadline=$((SECONDS + seconds))
    until "$@" >/dev/null 2>&1; do
        # Not `running`: a process just spawned still has this shell's command line for a moment.
        if ! kill -0 "$pid" 2>/dev/null; then
            log_tail "$node"
            die "$node ended before $what"
        fi
        if ((SECONDS >= deadline)); then
            log_tail "$node"
            die "$node: no $what within $seconds s"
        fi
        sleep 0.1
    done
}

# stop NODE [SIGNAL]: politely, then not. SIGCONT because a test may have frozen it.
stop() {
    local node=$1 signal=${2:-TERM} pid deadline=$((SECONDS + 20))
    running "$node" || return 0
    pid=$(cat "$(node_dir "$node")/pid")
    kill -"$signal" "$pid"
    kill -CONT "$pid" 2>/dev/null || true
    while running "$node"; do
        if ((SECONDS >= deadline)); then
            say "$node did not stop within 20 s: killed"
            kill -KILL "$pid"
            deadline=$((SECONDS + 20))
        fi
        sleep 0.05
    done
    rm -f "$(node_dir "$node")/pid"
}
