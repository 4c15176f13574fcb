package keda

// What KEDA does to a question on its way: it resolves `…FromEnv`, and it may change the case of a name.

import (
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestValuesFromTheWorkloadsEnvironmentArriveResolved(t *testing.T) {
	t.Parallel()
	needs(t, "redis")
	s, from := start(t), redisList(t)
	from.put(t, 2)
	trigger := s.trigger(map[string]string{
		"scalerType":      "redis",
		"addressFromEnv":  "REDIS_ADDRESS",
		"usernameFromEnv": "REDIS_USER",
		"passwordFromEnv": "REDIS_PASSWORD",
		"listName":        from.metadata["listName"],
	})
	trigger.ResolvedEnv = map[string]string{
		"REDIS_ADDRESS":  from.metadata["address"],
		"REDIS_USER":     "reader",
		"REDIS_PASSWORD": "reader-secret",
	}
	untilAnswer(t, trigger.polled(t), "s0-"+from.metric, "2", true)

	trigger.ResolvedEnv["REDIS_PASSWORD"] = "hunter2"
	denied := ask(t, trigger.polled(t), "s0-"+from.metric)
	if status.Code(denied.err) != codes.FailedPrecondition || strings.Contains(denied.err.Error()+s.log.String(), "hunter2") {
		t.Errorf("a wrong password is answered by %s", denied)
	}

	// KEDA drops a pair whose variable is not there.
	delete(trigger.ResolvedEnv, "REDIS_ADDRESS")
	absent := ask(t, trigger.polled(t), "s0-"+from.metric)
	if status.Code(absent.err) != codes.InvalidArgument || !strings.Contains(absent.err.Error(), "`address`") {
		t.Errorf("a missing variable is answered by %s", absent)
	}
}

func TestALoginOfAKafkaClusterComesFromTheWorkloadsEnvironment(t *testing.T) {
	t.Parallel()
	needs(t, "kafka")
	s, from := start(t), kafkaGroup(t)
	from.put(t, 2)
	trigger := s.trigger(from.metadata)
	delete(trigger.TriggerMetadata, "bootstrapServers")
	trigger.TriggerMetadata["bootstrapServersFromEnv"] = "KAFKA_SERVERS"
	trigger.TriggerMetadata["sasl"] = "scram_sha512"
	trigger.TriggerMetadata["usernameFromEnv"] = "KAFKA_USER"
	trigger.TriggerMetadata["passwordFromEnv"] = "KAFKA_PASSWORD"
	trigger.ResolvedEnv = map[string]string{
		"KAFKA_SERVERS":  address(t, "PLIMSOLL_TEST_KAFKA_SASL"),
		"KAFKA_USER":     "user",
		"KAFKA_PASSWORD": "user-secret",
	}
	untilAnswer(t, trigger.polled(t), "s0-"+from.metric, "2", true)

	trigger.ResolvedEnv["KAFKA_PASSWORD"] = "hunter2"
	denied := ask(t, trigger.polled(t), "s0-"+from.metric)
	if status.Code(denied.err) != codes.FailedPrecondition || strings.Contains(denied.err.Error()+s.log.String(), "hunter2") {
		t.Errorf("a wrong password is answered by %s", denied)
	}
}

func TestAMetricIsFoundWhateverTheCaseOfItsName(t *testing.T) {
	t.Parallel()
	needs(t, "redis")
	s, from := start(t), redisList(t)
	from.put(t, 2)
	polled := s.trigger(from.metadata).polled(t)
	for _, metric := range []string{from.metric, strings.ToUpper(from.metric), strings.Replace(from.metric, "r", "R", 1)} {
		untilAnswer(t, polled, "s0-"+metric, "2", true)
	}
}

func TestAnotherTriggersMetricIsAnErrorAndNotANumber(t *testing.T) {
	t.Parallel()
	needs(t, "redis")
	s, from := start(t), redisList(t)
	from.put(t, 2)
	if got := ask(t, s.trigger(from.metadata).polled(t), "s0-redis-other"); status.Code(got.err) != codes.InvalidArgument {
		t.Errorf("the answer is %s", got)
	}
}

func TestTwoTriggersOfOneScaledObjectKeepApart(t *testing.T) {
	t.Parallel()
	needs(t, "redis")
	s, one, two := start(t), redisList(t), redisList(t)
	one.put(t, 1)
	two.put(t, 2)
	first, second := s.trigger(one.metadata), s.trigger(two.metadata)
	second.ScalableObjectName, second.TriggerIndex = first.ScalableObjectName, 1
	untilAnswer(t, first.polled(t), "s0-"+one.metric, "1", true)
	untilAnswer(t, second.polled(t), "s1-"+two.metric, "2", true)
}
