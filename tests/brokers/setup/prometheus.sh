# shellcheck shell=bash
# Prometheus, open and behind TLS with a login. Both scrape, each second, what a test puts into their `targets` folder.

PROMETHEUS_PORT=$((19590 + BROKERS_PORT_OFFSET))
PROMETHEUS_TLS_PORT=$((19591 + BROKERS_PORT_OFFSET))

need_prometheus() {
    command -v prometheus >/dev/null && command -v curl >/dev/null && return
    install_packages prometheus curl
    # With systemd it would come back at the next boot.
    if [ -d /run/systemd/system ]; then systemctl disable --quiet --now prometheus || true; fi
}

# prometheus_get NODE PATH
prometheus_get() {
    case $1 in
    prometheus) curl -fsS --max-time 5 "http://127.0.0.1:$PROMETHEUS_PORT$2" ;;
    prometheus-tls) curl -fsS --max-time 5 --cacert "$TLS_DIR/ca.pem" --cert "$TLS_DIR/client.pem" --key "$TLS_DIR/client.key" \
        --user reader:reader-secret "https://127.0.0.1:$PROMETHEUS_TLS_PORT$2" ;;
    esac
}

prometheus_conf() {
    cat <<EOF
global:
  scrape_interval: 1s
  scrape_timeout: 900ms
scrape_configs:
  - job_name: test
    file_sd_configs:
      - files: ["$1/targets/*.json"]
EOF
}

# Two handshakes' worth of trust: a client certificate of our CA, and the login. The hash is bcrypt of `reader-secret`.
prometheus_web_conf() {
    cat <<EOF
tls_server_config:
  cert_file: $TLS_DIR/server.pem
  key_file: $TLS_DIR/server.key
  client_ca_file: $TLS_DIR/ca.pem
  client_auth_type: RequireAndVerifyClientCert
basic_auth_users:
  reader: '\$2b\$05\$plimsollplimsollplimse/sLFqUL1XAP/ycnN/YTa42hHODxigDm'
EOF
}

start_prometheus_node() {
    local node=$1 port=$2 dir
    shift 2
    dir=$(node_dir "$node")
    running "$node" && return
    mkdir -p "$dir/targets"
    prometheus_conf "$dir" >"$dir/prometheus.yml"
    spawn "$node" prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" \
        --storage.tsdb.retention.time=6h --web.listen-address="127.0.0.1:$port" --log.level=warn "$@"
    wait_for "$node" 30 "readiness" prometheus_get "$node" /-/ready
}

# Read at each request: a test that fills `web.yml` makes it ask for a login.
start_prometheus() {
    local conf
    conf=$(node_dir prometheus)/web.yml
    mkdir -p "$(node_dir prometheus)"
    : >"$conf"
    start_prometheus_node prometheus "$PROMETHEUS_PORT" --web.config.file="$conf"
}

start_prometheus_tls() {
    local conf
    conf=$(node_dir prometheus-tls)/web.yml
    mkdir -p "$(node_dir prometheus-tls)"
    prometheus_web_conf >"$conf"
    start_prometheus_node prometheus-tls "$PROMETHEUS_TLS_PORT" --web.config.file="$conf"
}
