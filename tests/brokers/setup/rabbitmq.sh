# shellcheck shell=bash
# RabbitMQ with its management plugin: ports, users, vhosts, start.
#
# Erlang nodes find each other by epmd, a daemon that outlives them: ours has a port and a process of its own.

RABBITMQ_PORT=$((16401 + BROKERS_PORT_OFFSET))
RABBITMQ_TLS_PORT=$((16402 + BROKERS_PORT_OFFSET))
RABBITMQ_HTTP_PORT=$((16403 + BROKERS_PORT_OFFSET))
RABBITMQ_HTTPS_PORT=$((16404 + BROKERS_PORT_OFFSET))
RABBITMQ_DIST_PORT=$((16405 + BROKERS_PORT_OFFSET))
RABBITMQ_EPMD_PORT=$((16406 + BROKERS_PORT_OFFSET))
RABBITMQ_NODE=plimsoll@localhost

need_rabbitmq() {
    command -v rabbitmq-server >/dev/null && command -v epmd >/dev/null && command -v curl >/dev/null && return
    install_packages rabbitmq-server curl
    # With systemd it would come back at the next boot.
    if [ -d /run/systemd/system ]; then systemctl disable --quiet --now rabbitmq-server epmd || true; fi
}

# Not the wrappers on the path: they change to the package's own user and folders.
rabbitmq_program() {
    local dirs=(/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin /usr/lib/rabbitmq/bin)
    local dir
    for dir in "${dirs[@]}"; do
        [ -x "$dir/$1" ] && {
            echo "$dir/$1"
            return
        }
    done
    command -v "$1" || die "no $1 in Debian's rabbitmq-server package"
}

# The node's own folders, ports and cookie, and nothing of the machine's; to be put before a command.
rabbitmq_env() {
    local dir
    dir=$(node_dir rabbitmq)
    RABBITMQ_ENV=(
        env HOME="$dir/home" ERL_EPMD_PORT="$RABBITMQ_EPMD_PORT" ERL_EPMD_ADDRESS=127.0.0.1
        RABBITMQ_NODENAME="$RABBITMQ_NODE" RABBITMQ_USE_LONGNAME=false RABBITMQ_DIST_PORT="$RABBITMQ_DIST_PORT"
        RABBITMQ_CONF_ENV_FILE="$dir/none" RABBITMQ_CONFIG_FILE="$dir/rabbitmq.conf"
        RABBITMQ_ADVANCED_CONFIG_FILE="$dir/none.config" RABBITMQ_ENABLED_PLUGINS_FILE="$dir/plugins"
        RABBITMQ_MNESIA_BASE="$dir/data" RABBITMQ_LOG_BASE="$dir/logs" RABBITMQ_LOGS=-
        RABBITMQ_SERVER_ERL_ARGS="+S 2:2 +sbwt none -kernel inet_dist_use_interface {127,0,0,1}"
    )
}

rabbitmq_conf() {
    cat <<EOF
listeners.tcp.1 = 127.0.0.1:$RABBITMQ_PORT
listeners.ssl.1 = 127.0.0.1:$RABBITMQ_TLS_PORT
ssl_options.cacertfile = $TLS_DIR/ca.pem
ssl_options.certfile = $TLS_DIR/server.pem
ssl_options.keyfile = $TLS_DIR/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
ssl_cert_login_from = common_name
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = AMQPLAIN
auth_mechanisms.3 = EXTERNAL
loopback_users = none
default_user = admin
default_pass = admin-secret
management.tcp.ip = 127.0.0.1
management.tcp.port = $RABBITMQ_HTTP_PORT
management.ssl.ip = 127.0.0.1
management.ssl.port = $RABBITMQ_HTTPS_PORT
management.ssl.cacertfile = $TLS_DIR/ca.pem
management.ssl.certfile = $TLS_DIR/server.pem
management.ssl.keyfile = $TLS_DIR/server.key
management.load_definitions = $(node_dir rabbitmq)/definitions.json
# The least a broker may take for a sample: the tests need not wait long for statistics.
collect_statistics_interval = 1000
log.console = true
log.console.level = info
log.file = false
disk_free_limit.absolute = 50MB
EOF
}

# rabbitmq_user NAME TAGS: the password is the name with `-secret`.
rabbitmq_user() { printf '{"name":"%s","password":"%s-secret","tags":"%s"}' "$1" "$1" "$2"; }

# rabbitmq_grant USER VHOST PATTERN: access to the vhost, and PATTERN as its configure, write and read right.
rabbitmq_grant() { printf '{"user":"%s","vhost":"%s","configure":"%s","write":"%s","read":"%s"}' "$1" "$2" "$3" "$3" "$3"; }

# The vhost `other % vhost/é#?` is as odd as a name may be.
rabbitmq_definitions() {
    cat <<EOF
{"users":[$(rabbitmq_user admin administrator),$(rabbitmq_user watcher management),$(rabbitmq_user stranger management),$(rabbitmq_user client "")],
 "vhosts":[{"name":"/"},{"name":"shop"},{"name":"other % vhost/é#?"}],
 "permissions":[$(rabbitmq_grant admin / '.*'),$(rabbitmq_grant admin shop '.*'),$(rabbitmq_grant admin 'other % vhost/é#?' '.*'),
  $(rabbitmq_grant watcher / ''),$(rabbitmq_grant watcher shop ''),$(rabbitmq_grant watcher 'other % vhost/é#?' ''),$(rabbitmq_grant client / '')]}
EOF
}

start_epmd() {
    running epmd && return
    # Its folder is in its command line only by a link to the program: `running` looks for that.
    mkdir -p "$(node_dir epmd)"
    ln -sf "$(command -v epmd)" "$(node_dir epmd)/epmd"
    spawn epmd "$(node_dir epmd)/epmd" -port "$RABBITMQ_EPMD_PORT" -address 127.0.0.1
    wait_for epmd 10 "answer" epmd -port "$RABBITMQ_EPMD_PORT" -names
}

start_rabbitmq() {
    local dir
    dir=$(node_dir rabbitmq)
    start_epmd
    running rabbitmq && return
    mkdir -p "$dir/home" "$dir/data" "$dir/logs"
    rabbitmq_conf >"$dir/rabbitmq.conf"
    rabbitmq_definitions >"$dir/definitions.json"
    echo '[rabbitmq_management,rabbitmq_auth_mechanism_ssl].' >"$dir/plugins"
    # RABBITMQ_ALLOW_INPUT: the virtual machine takes this process's place, so that its pid is the broker's.
    rabbitmq_env
    spawn rabbitmq "${RABBITMQ_ENV[@]}" RABBITMQ_ALLOW_INPUT=true "$(rabbitmq_program rabbitmq-server)" -noinput
    wait_for rabbitmq 90 "management API" rabbitmq_is_up
}

rabbitmq_is_up() {
    curl -fsS -u admin:admin-secret "http://127.0.0.1:$RABBITMQ_HTTP_PORT/api/vhosts/shop"
}
