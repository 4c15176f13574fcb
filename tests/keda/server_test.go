package keda

// The server under test: the real binary as a child process, on free ports, ended as Kubernetes would.

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// starting is how long a server may take until it listens, and ending until it has ended. Only a broken one needs it.
const (
	starting = 20 * time.Second
	ending   = 20 * time.Second
)

type server struct {
	// grpc and admin are `host:port`.
	grpc, admin string
	command     *exec.Cmd
	ended       chan error
	log         transcript
}

// transcript keeps what the server says, for the report of a failed test.
type transcript struct {
	mutex sync.Mutex
	text  strings.Builder
}

func (t *transcript) add(line string) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	t.text.WriteString(line + "\n")
}

func (t *transcript) String() string {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	return t.text.String()
}

func binary() string {
	if path := os.Getenv("PLIMSOLL_BIN"); path != "" {
		return path
	}
	return "../../target/debug/plimsoll"
}

// defaults are options by their environment variables, so that an argument wins over them.
var defaults = []string{
	"PLIMSOLL_LISTEN=127.0.0.1:0",
	"PLIMSOLL_ADMIN_LISTEN=127.0.0.1:0",
	"PLIMSOLL_LOG_FORMAT=json",
	"PLIMSOLL_POLLING_INTERVAL=200ms",
	"PLIMSOLL_ENDPOINT_DELAY=0",
}

// start runs the server and returns once it says where it listens.
func start(t *testing.T, arguments ...string) *server {
	t.Helper()
	command := exec.Command(binary(), append([]string{"serve"}, arguments...)...)
	command.Env = append(os.Environ(), defaults...)
	s := &server{command: command, ended: make(chan error, 1)}
	stderr, err := s.command.StderrPipe()
	must(t, err)
	if err := s.command.Start(); err != nil {
		t.Fatalf("%s does not start: run `cargo build` first, or set PLIMSOLL_BIN: %v", binary(), err)
	}
	serving := make(chan struct{})
	go s.listen(stderr, serving)
	t.Cleanup(func() {
		_ = s.command.Process.Kill()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log.String())
		}
	})
	select {
	case <-serving:
	case err := <-s.ended:
		t.Fatalf("the server ended (%v):\n%s", err, s.log.String())
	case <-time.After(starting):
		t.Fatalf("the server does not serve:\n%s", s.log.String())
	}
	return s
}

// listen reads the server's log to its end.
func (s *server) listen(stderr io.Reader, serving chan<- struct{}) {
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		s.log.add(lines.Text())
		var line struct {
			Fields struct{ Message, Grpc, Admin string }
		}
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Fields.Message == "serving" {
			s.grpc, s.admin = line.Fields.Grpc, line.Fields.Admin
			close(serving)
		}
	}
	s.ended <- s.command.Wait()
}

// terminate sends SIGTERM and returns when the process has ended, which must be in good order.
func (s *server) terminate(t *testing.T) {
	t.Helper()
	must(t, s.command.Process.Signal(syscall.SIGTERM))
	select {
	case err := <-s.ended:
		if err != nil {
			t.Fatalf("the server did not end well: %v\n%s", err, s.log.String())
		}
	case <-time.After(ending):
		t.Fatalf("the server does not end:\n%s", s.log.String())
	}
}

// series is the value of a series without labels.
func (s *server) series(t *testing.T, name string) int {
	t.Helper()
	answer, err := http.Get("http://" + s.admin + "/metrics")
	must(t, err)
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		var value int
		if n, _ := fmt.Sscanf(lines.Text(), name+" %d", &value); n == 1 {
			return value
		}
	}
	t.Fatalf("there is no series %s", name)
	return 0
}

func (s *server) streams(t *testing.T) int {
	t.Helper()
	return s.series(t, "plimsoll_streams")
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// patience is how long a condition may take that must come true. It fails tests, it times nothing.
const patience = 30 * time.Second

// until looks again and again until `state` says that it is so; what it says otherwise is the failure.
func until(t *testing.T, state func() (so bool, otherwise string)) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		so, otherwise := state()
		if so {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %s still %s", patience, otherwise)
		}
		time.Sleep(20 * time.Millisecond)
	}
}
