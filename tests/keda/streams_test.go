package keda

// Push streams as KEDA's operator keeps them: hundreds on one connection, opened again when a server goes.

import (
	"context"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kedacore/keda/v2/pkg/scalers"
	"google.golang.org/grpc/resolver"
	"google.golang.org/grpc/resolver/manual"
	v2 "k8s.io/api/autoscaling/v2"
)

// reopened is how long a stream may be away after a drain: KEDA waits 2 s after a clean end, anything else is doubled.
const reopened = 3 * time.Second

func TestATargetIsToldOnceAndIsTheOneThatIsAskedFor(t *testing.T) {
	t.Parallel()
	s := start(t, "--stream-age", "2s")
	scaler := s.trigger(map[string]string{"scalerType": "redis", "address": "127.0.0.1:1", "listName": "q", "listLength": "2.5"}).pushed(t)
	asked := scaler.GetMetricSpecForScaling(context.Background())
	run(t, scaler)
	var told [][]v2.MetricSpec
	for specs := range scaler.(scalers.MetricSpecStreamer).MetricSpecChan() {
		told = append(told, specs)
	}
	// The channel is closed: KEDA has seen that there is no more, and keeps what it was told.
	if len(told) != 1 || !reflect.DeepEqual(told[0], asked) {
		t.Errorf("told %v, asked %v", told, asked)
	}
}

func TestFiveHundredStreamsOfOneConnectionAreEachPushed(t *testing.T) {
	t.Parallel()
	needs(t, "redis")
	const count = 500
	s := start(t)
	var sources []source
	var streams []*stream
	for range count {
		from := redisList(t)
		scaler := s.trigger(from.metadata).pushed(t)
		sources, streams = append(sources, from), append(streams, run(t, scaler))
	}
	until(t, func() (bool, string) {
		open := s.streams(t)
		return open == count, fmt.Sprintf("%d streams", open)
	})
	if connections := connectionsTo(t, s.grpc); connections != 1 {
		t.Errorf("the streams take %d connections", connections)
	}
	for _, from := range sources {
		from.put(t, 1)
	}
	for _, stream := range streams {
		until(t, func() (bool, string) { return stream.count() > 0, "a stream without a push" })
	}
	// Polls get through beside them.
	untilAnswer(t, s.trigger(sources[0].metadata).polled(t), "s0-"+sources[0].metric, "1", true)
}

// connectionsTo counts this process's established connections to an address.
func connectionsTo(t *testing.T, address string) int {
	t.Helper()
	_, port, _ := strings.Cut(address, ":")
	number, err := strconv.Atoi(port)
	must(t, err)
	const loopback, established = "0100007F", "01"
	remote := fmt.Sprintf("%s:%04X", loopback, number)
	table, err := os.ReadFile("/proc/self/net/tcp")
	must(t, err)
	count := 0
	for _, line := range strings.Split(string(table), "\n") {
		fields := strings.Fields(line)
		if len(fields) > 3 && fields[2] == remote && fields[3] == established {
			count++
		}
	}
	return count
}

func TestStreamsComeBackAfterARestartOnTheSameAddress(t *testing.T) {
	t.Parallel()
	needs(t, "redis")
	const count = 20
	old := start(t)
	sources, streams := openStreams(t, old, count)

	old.terminate(t)
	gone := time.Now()
	young := start(t, "--listen", old.grpc)
	untilReopened(t, young, count, gone)
	pushedAgain(t, sources, streams)
}

func TestStreamsMoveToTheOtherReplicaInARollingUpdate(t *testing.T) {
	t.Parallel()
	needs(t, "redis")
	const count = 20
	old, young := start(t), start(t)
	// A headless Service: one name, one address per ready pod.
	pods := manual.NewBuilderWithScheme("headless")
	resolver.Register(pods)
	addresses := func(of ...*server) resolver.State {
		var state resolver.State
		for _, pod := range of {
			state.Addresses = append(state.Addresses, resolver.Address{Addr: pod.grpc})
		}
		return state
	}
	pods.InitialState(addresses(old))
	service := &server{grpc: "headless:///plimsoll"}
	var sources []source
	var streams []*stream
	for range count {
		from := redisList(t)
		sources, streams = append(sources, from), append(streams, run(t, service.trigger(from.metadata).pushed(t)))
	}
	until(t, func() (bool, string) { return old.streams(t) == count, "not all streams" })

	pods.UpdateState(addresses(old, young))
	old.terminate(t)
	untilReopened(t, young, count, time.Now())
	pushedAgain(t, sources, streams)
}

// openStreams opens streams of idle triggers and waits until the server has them all.
func openStreams(t *testing.T, s *server, count int) (sources []source, streams []*stream) {
	t.Helper()
	for range count {
		from := redisList(t)
		sources, streams = append(sources, from), append(streams, run(t, s.trigger(from.metadata).pushed(t)))
	}
	until(t, func() (bool, string) { return s.streams(t) == count, "not all streams" })
	return sources, streams
}

// untilReopened waits until the server has all streams, which must not take longer than KEDA's first wait.
func untilReopened(t *testing.T, s *server, count int, gone time.Time) {
	t.Helper()
	until(t, func() (bool, string) {
		open := s.streams(t)
		return open == count, fmt.Sprintf("%d of %d streams", open, count)
	})
	away := time.Since(gone)
	t.Logf("%d streams were away for %s", count, away.Round(10*time.Millisecond))
	if away > reopened {
		t.Errorf("that is more than %s: KEDA took the end for a failure", reopened)
	}
}

func pushedAgain(t *testing.T, sources []source, streams []*stream) {
	t.Helper()
	for i, from := range sources {
		if streams[i].count() > 0 {
			t.Error("an idle source was pushed")
		}
		from.put(t, 1)
	}
	for _, stream := range streams {
		until(t, func() (bool, string) { return stream.count() > 0, "a stream without a push" })
	}
}
