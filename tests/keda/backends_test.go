package keda

// Every backend, on a real broker, as KEDA sees it: the spec, the numbers, the activity and the push.

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	v2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
)

// backend is how to put work before a trigger.
type backend struct {
	// broker is its name in tests/brokers.
	broker string
	// source makes an empty source of work at that broker.
	source func(t *testing.T) source
}

// source is one place where work waits.
type source struct {
	// metadata is KEDA's own for its built-in scaler, with `scalerType` for the type.
	metadata map[string]string
	// metric is the name that KEDA's built-in scaler gives it, without `s<index>-`.
	metric string
	// target is the threshold in the metadata, as the HPA writes it.
	target string
	// put adds pieces of work, drain takes all away.
	put   func(t *testing.T, pieces int)
	drain func(t *testing.T)
	// dead overwrites the metadata so that the broker cannot be reached.
	dead map[string]string
	// required is a key without which the trigger means nothing.
	required string
	// number is a key whose value must be a number.
	number string
}

// nowhere refuses connections.
const nowhere = "127.0.0.1:1"

var backends = map[string]backend{
	"kafka":           {"kafka", kafkaGroup},
	"rabbitmq, amqp":  {"rabbitmq", rabbitQueue("amqp", "PLIMSOLL_TEST_RABBITMQ")},
	"rabbitmq, http":  {"rabbitmq", rabbitQueue("http", "PLIMSOLL_TEST_RABBITMQ_HTTP")},
	"aws-sqs-queue":   {"sqs", sqsQueue},
	"redis, a list":   {"redis", redisList},
	"redis, a stream": {"redis", redisStream},
	"prometheus":      {"prometheus", prometheusQuery},
}

// eachBackend runs `check` on a source of every backend, beside a server of its own.
func eachBackend(t *testing.T, check func(t *testing.T, s *server, from source)) {
	for name, backend := range backends {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			needs(t, backend.broker)
			check(t, start(t), backend.source(t))
		})
	}
}

func TestAWorkloadGoesFromIdleToBusyAndBack(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *server, from source) {
		trigger := s.trigger(from.metadata)
		polled, pushed := trigger.polled(t), trigger.pushed(t)
		metric := "s0-" + from.metric

		untilAnswer(t, polled, metric, "0", false)
		stream := run(t, pushed)
		until(t, func() (bool, string) { return s.streams(t) == 1, "no stream" })
		if stream.count() > 0 {
			t.Fatal("an idle source was pushed")
		}

		from.put(t, 7)
		until(t, func() (bool, string) { return stream.count() > 0, "no push" })
		untilAnswer(t, polled, metric, "7", true)
		untilAnswer(t, pushed, metric, "7", true)

		from.drain(t)
		untilAnswer(t, polled, metric, "0", false)
	})
}

func TestTheHpaIsMadeAsWithTheBuiltInScaler(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *server, from source) {
		for _, metricType := range []v2.MetricTargetType{"", v2.AverageValueMetricType, v2.ValueMetricType} {
			trigger := s.trigger(from.metadata)
			trigger.TriggerIndex = 3
			trigger.MetricType = metricType
			got := spec(t, trigger.polled(t))
			if want := "s3-" + from.metric; got.Metric.Name != want {
				t.Errorf("the metric is %s, not %s", got.Metric.Name, want)
			}
			quantity := got.Target.AverageValue
			if metricType == v2.ValueMetricType {
				quantity = got.Target.Value
			}
			if quantity == nil || quantity.Cmp(resource.MustParse(from.target)) != 0 {
				t.Errorf("with metricType %q the target is %v, not %s", metricType, got.Target, from.target)
			}
			if again := spec(t, trigger.pushed(t)); again.String() != got.String() {
				t.Errorf("external-push says %v, external says %v", again, got)
			}
		}
	})
}

func TestABrokerOutOfReachIsAnErrorForFallbackAndTheHpaStays(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *server, from source) {
		trigger := s.trigger(from.metadata)
		for key, value := range from.dead {
			trigger.TriggerMetadata[key] = value
		}
		polled := trigger.polled(t)
		if name := spec(t, polled).Metric.Name; name != "s0-"+from.metric {
			t.Errorf("without its broker the metric is %s", name)
		}
		// KEDA asks again at once, then counts one failure.
		for range 2 {
			got := ask(t, polled, "s0-"+from.metric)
			if code := status.Code(got.err); code != codes.Unavailable && code != codes.DeadlineExceeded {
				t.Errorf("not an error that says the broker is out of reach, but: %s", got)
			}
		}
	})
}

func TestBadMetadataIsShownWithItsKeyAndWithoutItsValue(t *testing.T) {
	t.Parallel()
	eachBackend(t, func(t *testing.T, s *server, from source) {
		missing := s.trigger(from.metadata)
		delete(missing.TriggerMetadata, from.required)
		wrong := s.trigger(from.metadata)
		wrong.TriggerMetadata[from.number] = "hunter2"
		for key, trigger := range map[string]trigger{from.required: missing, from.number: wrong} {
			polled := trigger.polled(t)
			// The HPA is made all the same: KEDA shows why there is no value only where there is a metric.
			name := spec(t, polled).Metric.Name
			if key == from.number && name != "s0-plimsoll-"+trigger.TriggerMetadata["scalerType"] && name != "s0-"+from.metric {
				t.Errorf("with a bad `%s` the metric is %s", key, name)
			}
			got := ask(t, polled, name)
			if status.Code(got.err) != codes.InvalidArgument || !strings.Contains(got.err.Error(), "`"+key+"`") {
				t.Errorf("with a bad `%s` KEDA's event says %s", key, got)
				continue
			}
			if strings.Contains(got.err.Error()+s.log.String(), "hunter2") {
				t.Errorf("a value was given away: %v", got.err)
			}
		}
	})
}

func TestEveryBrokerOfTheTestsHasItsRow(t *testing.T) {
	script, err := os.ReadFile("../brokers/setup/brokers.sh")
	must(t, err)
	_, list, _ := strings.Cut(string(script), "\nALL_BROKERS=(")
	list, _, _ = strings.Cut(list, ")")
	rows := map[string]bool{}
	for _, backend := range backends {
		rows[backend.broker] = true
	}
	for _, broker := range strings.Fields(list) {
		// `kafka-3` is more of `kafka`.
		kind, _, _ := strings.Cut(broker, "-")
		if !rows[kind] {
			t.Error(fmt.Sprintf("no row for %s", broker))
		}
	}
}
