package keda

// Work for `prometheus`: a number of this process that Prometheus scrapes each second.

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

func prometheusQuery(t *testing.T) source {
	server, folder := address(t, "PLIMSOLL_TEST_PROMETHEUS"), address(t, "PLIMSOLL_TEST_PROMETHEUS_TARGETS")
	name := unique("target")
	var jobs atomic.Int64
	page := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = fmt.Fprintf(answer, "jobs %d\n", jobs.Load())
	}))
	t.Cleanup(page.Close)
	entry := fmt.Sprintf(`[{"targets": [%q], "labels": {"test": %q}}]`, strings.TrimPrefix(page.URL, "http://"), name)
	file := filepath.Join(folder, name+".json")
	// Renamed into place: Prometheus must not see half a file.
	must(t, os.WriteFile(file+".new", []byte(entry), 0o644))
	must(t, os.Rename(file+".new", file))
	t.Cleanup(func() { _ = os.Remove(file) })
	return source{
		metadata: map[string]string{
			"scalerType":          "prometheus",
			"serverAddress":       server,
			"query":               fmt.Sprintf("sum(jobs{test=%q})", name),
			"threshold":           "1.5",
			"idlePollingInterval": "1s",
		},
		metric:   "prometheus",
		target:   "1500m",
		put:      func(_ *testing.T, pieces int) { jobs.Add(int64(pieces)) },
		drain:    func(_ *testing.T) { jobs.Store(0) },
		dead:     map[string]string{"serverAddress": "http://" + nowhere},
		required: "query",
		number:   "threshold",
	}
}
