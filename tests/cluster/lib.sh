# shellcheck shell=bash
# What `build`, `up`, `down` and `with` share: where things are, whether they are wanted. The rest is that of the brokers.

cluster=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
CLUSTER_DIR=${CLUSTER_DIR:-$cluster/../../target/cluster}
# shellcheck disable=SC2034 # `say` of the library signs with it
WHO=cluster
# shellcheck disable=SC2034 # the library's folder of processes
BROKERS_DIR=$CLUSTER_DIR
# shellcheck source=../brokers/setup/lib.sh
source "$cluster/../brokers/setup/lib.sh"
CLUSTER_DIR=$BROKERS_DIR

# What takes minutes to build outlives `target`.
programs=${PLIMSOLL_TESTS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/plimsoll-tests}

# folder_of NAME SOURCE...: named for all that the program is made of, so that what is there is never stale. Called in the
# folder of its module.
folder_of() { printf '%s/%s-%s' "$programs" "$1" "$(cat go.mod go.sum "${@:2}" | sha256sum | cut -c1-16)"; }

apiserver=$(cd "$cluster/apiserver" && folder_of apiserver ./*.go)
kubectl=$(cd "$cluster/apiserver" && folder_of kubectl)
keda=$(cd "$cluster/../keda" && folder_of keda oracle/*.go)
# shellcheck disable=SC2034 # with `keda` alone
operator=$(cd "$cluster/../keda" && folder_of operator)
# shellcheck disable=SC2034 # with `keda` alone
controllers=$(cd "$cluster/apiserver" && folder_of controllers)
vault=$(cd "$cluster/vault" && folder_of vault ./*.go)
others=$(cd "$cluster/definitions" && folder_of definitions ../build)

# Why these tests cannot or must not run; empty when they can.
excuse() {
    local skip
    for skip in ${SKIP_BROKERS//,/ }; do
        [ "$skip" != cluster ] || { printf 'SKIP_BROKERS says so' && return; }
    done
    [[ -d $apiserver && -d $kubectl && -d $keda && -d $vault && -d $others ]] || command -v go >/dev/null || printf 'Go is not installed'
}
SKIP_BROKERS=${SKIP_BROKERS:-}
