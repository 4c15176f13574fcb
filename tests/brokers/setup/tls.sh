# shellcheck shell=bash
# Certificates for every TLS listener, made once and kept until the folder is removed.

TLS_DIR=$BROKERS_DIR/tls

# leaf NAME SUBJECT EXTENSIONS: NAME.key (PKCS#8) and NAME.pem, signed by the CA.
leaf() {
    openssl req -new -newkey rsa:2048 -nodes -keyout "$1.key" -subj "$2" -out "$1.csr"
    openssl x509 -req -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial -days 3650 -sha256 \
        -extfile <(printf '%s\n' "basicConstraints=critical,CA:FALSE" "$3") -out "$1.pem"
    rm "$1.csr"
}

authority() {
    openssl req -x509 -newkey rsa:2048 -nodes -keyout "$1.key" -subj "/CN=$2" -days 3650 -sha256 \
        -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign -out "$1.pem"
}

make_certificates() {
    [ -f "$TLS_DIR/complete" ] && return
    command -v openssl >/dev/null || install_packages openssl
    rm -rf "$TLS_DIR"
    mkdir -p "$TLS_DIR"
    (
        cd "$TLS_DIR"
        authority ca "Plimsoll test CA"
        authority other-ca "An unrelated CA"
        leaf server /CN=localhost "subjectAltName=DNS:localhost,IP:127.0.0.1"
        leaf client /CN=client extendedKeyUsage=clientAuth
        openssl pkcs8 -topk8 -v2 aes-256-cbc -in client.key -passout pass:secret -out client-encrypted.key
        # Kafka reads PEM stores: the key and its chain in one file, the authorities in another (ca.pem).
        cat server.key server.pem ca.pem >server-keystore.pem
        touch complete
    ) >"$TLS_DIR/log" 2>&1 || {
        cat "$TLS_DIR/log" >&2
        die "openssl could not make the certificates"
    }
    say "certificates in $TLS_DIR"
}
