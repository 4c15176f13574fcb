# shellcheck shell=bash
# Brokers that run on Java: which Java, their jars by Maven, the start of one.

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
    find_java || die "need Java 17 or 21: install one, or point JAVA_HOME at it"
    command -v mvn >/dev/null || install_packages maven
}

# The classpath of setup/LINE.pom.xml. Asked of Maven again only when the pom changed or a jar has gone.
classpath() {
    local line=$1 file=$BROKERS_DIR/$1.classpath
    if [ "$file" -nt "$setup/$line.pom.xml" ] && tr ':' '\n' <"$file" | xargs -r ls >/dev/null 2>&1; then
        cat "$file"
        return
    fi
    say "fetching the jars of $line by Maven"
    # Two Mavens in one local repository may spoil each other's downloads.
    if ! flock "$BROKERS_DIR/maven.lock" timeout 900 \
        mvn -B -f "$setup/$line.pom.xml" "$MAVEN_PLUGIN" "-Dmdep.outputFile=$file" >"$BROKERS_DIR/maven-$line.log" 2>&1; then
        rm -f "$file"
        grep -m 5 ERROR "$BROKERS_DIR/maven-$line.log" >&2 || true
        say "***************************************************************************************"
        say "The Maven artifacts of $line cannot be reached ($BROKERS_DIR/maven-$line.log)."
        say "Its tests cannot run. SKIP_BROKERS=$line leaves this broker out, knowingly."
        say "***************************************************************************************"
        exit 1
    fi
    touch "$file"
    cat "$file"
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
