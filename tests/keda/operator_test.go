package keda

// KEDA's operator, as far as it talks to an external scaler: its own two scalers, built as its scale handler builds them.

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr/funcr"
	"github.com/kedacore/keda/v2/pkg/scalers"
	"github.com/kedacore/keda/v2/pkg/scalers/scalersconfig"
	v2 "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// operatorLog is what KEDA logs.
var operatorLog transcript

func TestMain(m *testing.M) {
	log.SetLogger(funcr.New(func(prefix, arguments string) { operatorLog.add(prefix + " " + arguments) }, funcr.Options{}))
	os.Exit(m.Run())
}

// trigger is one entry of a ScaledObject's triggers, as KEDA's scale handler knows it.
type trigger struct {
	scalersconfig.ScalerConfig
}

// of makes a trigger of a ScaledObject of its own, with `metadata` sent to `s`.
func (s *server) trigger(metadata map[string]string) trigger {
	metadata = maps.Clone(metadata)
	metadata["scalerAddress"] = s.grpc
	return trigger{scalersconfig.ScalerConfig{
		ScalableObjectName:      unique("object"),
		ScalableObjectNamespace: "default",
		ScalableObjectType:      "ScaledObject",
		TriggerType:             "external-push",
		TriggerMetadata:         metadata,
		ResolvedEnv:             map[string]string{},
	}}
}

// polled is KEDA's scaler for `type: external`.
func (c trigger) polled(t *testing.T) scalers.Scaler {
	t.Helper()
	scaler, err := scalers.NewExternalScaler(&c.ScalerConfig)
	must(t, err)
	t.Cleanup(func() { _ = scaler.Close(context.Background()) })
	return scaler
}

// pushed is KEDA's scaler for `type: external-push`.
func (c trigger) pushed(t *testing.T) scalers.PushScaler {
	t.Helper()
	scaler, err := scalers.NewExternalPushScaler(&c.ScalerConfig)
	must(t, err)
	t.Cleanup(func() { _ = scaler.Close(context.Background()) })
	return scaler
}

// stream is an open push stream: what KEDA's scale loop would have heard.
type stream struct {
	mutex     sync.Mutex
	activated int
	// slept counts `false`, which must never be sent: KEDA up to 2.17 scales down on it.
	slept int
}

// run opens the scaler's streams, as KEDA's scale handler does for a new ScaledObject.
func run(t *testing.T, scaler scalers.PushScaler) *stream {
	t.Helper()
	heard := &stream{}
	ctx, cancel := context.WithCancel(context.Background())
	active := make(chan bool)
	closed := make(chan struct{})
	go scaler.Run(ctx, active)
	go func() {
		defer close(closed)
		for state := range active {
			heard.mutex.Lock()
			if state {
				heard.activated++
			} else {
				heard.slept++
			}
			heard.mutex.Unlock()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-closed
		if heard.slept > 0 {
			t.Errorf("the server pushed `false` %d times", heard.slept)
		}
	})
	return heard
}

func (s *stream) count() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.activated
}

// spec asks for the metric as the HPA would be made with it: exactly one.
func spec(t *testing.T, scaler scalers.Scaler) *v2.ExternalMetricSource {
	t.Helper()
	specs := scaler.GetMetricSpecForScaling(t.Context())
	if len(specs) != 1 || specs[0].Type != v2.ExternalMetricSourceType {
		t.Fatalf("not one external metric but %v; KEDA says:\n%s", specs, operatorLog.String())
	}
	return specs[0].External
}

// answer is what a poll learns, or the HPA.
type answer struct {
	value  string
	active bool
	err    error
}

func (a answer) String() string {
	return fmt.Sprintf("value %s, active %t, error %v", a.value, a.active, a.err)
}

// ask is one GetMetrics and one IsActive. An error must come without a value, and a success with exactly one.
func ask(t *testing.T, scaler scalers.Scaler, metric string) answer {
	t.Helper()
	values, active, err := scaler.GetMetricsAndActivity(t.Context(), metric)
	switch {
	case err != nil && (len(values) > 0 || active):
		t.Fatalf("an error together with an answer: %v, %v, %t", err, values, active)
	case err != nil:
		return answer{err: err}
	case len(values) != 1 || values[0].MetricName != metric:
		t.Fatalf("not one value of %s but %v: the HPA adds them up", metric, values)
	}
	return answer{value: values[0].Value.String(), active: active}
}

// untilAnswer polls until the answer is `value` and `active`.
func untilAnswer(t *testing.T, scaler scalers.Scaler, metric, value string, active bool) {
	t.Helper()
	until(t, func() (bool, string) {
		got := ask(t, scaler, metric)
		return got.err == nil && got.value == value && got.active == active,
			fmt.Sprintf("%s, not value %s, active %t", got, value, active)
	})
}

// unique is a name that no other test has.
func unique(what string) string {
	var random [6]byte
	_, _ = rand.Read(random[:])
	return "plimsoll-keda-" + what + "-" + hex.EncodeToString(random[:])
}

// address is where the brokers' start script says that a broker is.
func address(t *testing.T, variable string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value == "" {
		t.Fatalf("%s is not set: run `tests/brokers/up` first and load `target/brokers/env`", variable)
	}
	return value
}

// needs ends a test whose broker SKIP_BROKERS leaves out.
func needs(t *testing.T, broker string) {
	t.Helper()
	for _, skipped := range strings.Split(os.Getenv("SKIP_BROKERS"), ",") {
		if skipped == broker {
			t.Skipf("*** SKIPPED by SKIP_BROKERS: %s. What needs it is NOT tested. ***", broker)
		}
	}
}
