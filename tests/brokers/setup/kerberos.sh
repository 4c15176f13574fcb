# shellcheck shell=bash
# A Kerberos realm, and a Kafka that takes its tickets: `kafka-gssapi`, of the nodes `kdc` and `kafka-gssapi`.

KDC_PORT=16488
KAFKA_GSSAPI_PORT=19392
KAFKA_GSSAPI_PLAIN_PORT=19393
KAFKA_GSSAPI_CONTROLLER_PORT=19394
REALM=PLIMSOLL.TEST

need_kerberos() {
    PATH=$PATH:/usr/sbin
    command -v krb5kdc >/dev/null && command -v kadmin.local >/dev/null && return
    install_packages krb5-kdc krb5-admin-server
}

# What a client needs, and what the tests give as `kerberosConfig`.
krb5_conf() {
    cat <<EOF
[libdefaults]
 default_realm = $REALM
 dns_lookup_kdc = false
 dns_canonicalize_hostname = false
 rdns = false
[realms]
 $REALM = {
  kdc = 127.0.0.1:$KDC_PORT
 }
EOF
}

kdc_conf() {
    cat <<EOF
[kdcdefaults]
 kdc_listen = 127.0.0.1:$KDC_PORT
 kdc_tcp_listen = 127.0.0.1:$KDC_PORT
[realms]
 $REALM = {
  database_name = $1/principal
  key_stash_file = $1/stash
  acl_file = $1/acl
  max_life = 10h
 }
EOF
}

# The user `user` by password and by keytab, and the broker as `kafka/localhost`.
start_kdc() {
    local dir
    dir=$(node_dir kdc)
    running kdc && return
    mkdir -p "$dir"
    krb5_conf >"$dir/krb5.conf"
    kdc_conf "$dir" >"$dir/kdc.conf"
    export KRB5_CONFIG=$dir/krb5.conf KRB5_KDC_PROFILE=$dir/kdc.conf
    if [ ! -f "$dir/made" ]; then
        rm -f "$dir"/principal* "$dir"/stash "$dir"/*.keytab
        {
            kdb5_util create -s -r "$REALM" -P master-secret
            kadmin.local -r "$REALM" addprinc -pw user-secret user
            kadmin.local -r "$REALM" addprinc -randkey kafka/localhost
            kadmin.local -r "$REALM" ktadd -k "$dir/broker.keytab" kafka/localhost
            kadmin.local -r "$REALM" ktadd -norandkey -k "$dir/user.keytab" user
        } >"$dir/made.log" 2>&1 || {
            cat "$dir/made.log" >&2
            die "kdc: its realm could not be made"
        }
        touch "$dir/made"
    fi
    # With the folder on its command line, by which a pid is known to be ours.
    spawn kdc krb5kdc -n -r "$REALM" -P "$dir/krb5kdc.pid"
    wait_for kdc 20 "an open port" port_open "$KDC_PORT"
}

port_open() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

kafka_gssapi_conf() {
    local keytab
    keytab=$(node_dir kdc)/broker.keytab
    cat <<EOF
node.id=1
controller.quorum.voters=1@127.0.0.1:$KAFKA_GSSAPI_CONTROLLER_PORT
listeners=CONTROLLER://127.0.0.1:$KAFKA_GSSAPI_CONTROLLER_PORT,PLAINTEXT://127.0.0.1:$KAFKA_GSSAPI_PLAIN_PORT,SASL_PLAINTEXT://127.0.0.1:$KAFKA_GSSAPI_PORT
advertised.listeners=PLAINTEXT://127.0.0.1:$KAFKA_GSSAPI_PLAIN_PORT,SASL_PLAINTEXT://localhost:$KAFKA_GSSAPI_PORT
listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,SASL_PLAINTEXT:SASL_PLAINTEXT
inter.broker.listener.name=PLAINTEXT
listener.name.sasl_plaintext.sasl.enabled.mechanisms=GSSAPI
listener.name.sasl_plaintext.sasl.kerberos.service.name=kafka
listener.name.sasl_plaintext.gssapi.sasl.jaas.config=com.sun.security.auth.module.Krb5LoginModule required useKeyTab=true storeKey=true isInitiator=false keyTab="$keytab" principal="kafka/localhost@$REALM";
EOF
    replication 1
}

# The broker decrypts tickets with its keytab, which the realm's server has made.
start_kafka_gssapi() {
    start_kdc
    JVM_FLAGS+=("-Djava.security.krb5.conf=$(node_dir kdc)/krb5.conf")
    start_kraft kafka-gssapi 384m
}
