# shellcheck shell=bash
# Debian packages that a fresh machine may lack.

# Debian starts a server as soon as it is installed. policy-rc.d is how an administrator forbids that; one that is
# already there is the machine's own, and is left alone.
install_packages() {
    local policy=/usr/sbin/policy-rc.d mine="" status=0
    command -v apt-get >/dev/null || die "need $*: install them, there is no apt-get here"
    [ "$(id -u)" = 0 ] || die "need $*: run as root once, or install them"
    say "installing $*"
    if [ ! -e "$policy" ]; then
        mine=yes
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
    fi
    {
        apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
    } >"$BROKERS_DIR/apt.log" 2>&1 || status=$?
    [ -n "$mine" ] && rm -f "$policy"
    if ((status != 0)); then
        tail -n 20 "$BROKERS_DIR/apt.log" >&2
        die "apt-get could not install $*"
    fi
}
