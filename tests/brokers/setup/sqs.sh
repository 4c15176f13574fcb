# shellcheck shell=bash
# ElasticMQ, a server that speaks Amazon SQS, from its Maven artifacts. Any key may do anything; queues are in memory.

SQS_PORT=$((19324 + BROKERS_PORT_OFFSET))

sqs_conf() {
    cat <<CONF
include classpath("application.conf")
node-address { protocol = http, host = "127.0.0.1", port = $SQS_PORT, context-path = "" }
rest-sqs { enabled = true, bind-port = $SQS_PORT, bind-hostname = "127.0.0.1", sqs-limits = strict }
rest-stats.enabled = false
aws { region = eu-west-1, accountId = 000000000000 }
CONF
}

start_sqs() {
    local dir
    dir=$(node_dir sqs)
    mkdir -p "$dir"
    sqs_conf >"$dir/elasticmq.conf"
    start_jvm sqs sqs 128m "ElasticMQ server .* started" "-Dconfig.file=$dir/elasticmq.conf" org.elasticmq.server.Main
}
