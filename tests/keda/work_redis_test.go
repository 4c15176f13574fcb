package keda

// Work for `redis` and `redis-streams`: elements of a list, entries of a stream that nobody has acknowledged.

import (
	"testing"

	"github.com/redis/go-redis/v9"
)

func redisClient(t *testing.T) (*redis.Client, string) {
	t.Helper()
	server := address(t, "PLIMSOLL_TEST_REDIS")
	client := redis.NewClient(&redis.Options{Addr: server})
	t.Cleanup(func() { _ = client.Close() })
	return client, server
}

func redisList(t *testing.T) source {
	client, server := redisClient(t)
	list := unique("list")
	return source{
		metadata: map[string]string{
			"scalerType": "redis",
			"address":    server,
			"listName":   list,
			"listLength": "4",
		},
		metric: "redis-" + list,
		target: "4",
		put: func(t *testing.T, pieces int) {
			t.Helper()
			elements := make([]any, pieces)
			for i := range elements {
				elements[i] = "work"
			}
			must(t, client.LPush(t.Context(), list, elements...).Err())
		},
		drain: func(t *testing.T) {
			t.Helper()
			must(t, client.Del(t.Context(), list).Err())
		},
		dead:     map[string]string{"address": nowhere},
		required: "listName",
		number:   "listLength",
	}
}

func redisStream(t *testing.T) source {
	client, server := redisClient(t)
	stream, group := unique("stream"), "workers"
	must(t, client.XGroupCreateMkStream(t.Context(), stream, group, "$").Err())
	return source{
		metadata: map[string]string{
			"scalerType":          "redis-streams",
			"address":             server,
			"stream":              stream,
			"consumerGroup":       group,
			"pendingEntriesCount": "3",
		},
		metric: "redis-streams-" + stream,
		target: "3",
		put: func(t *testing.T, pieces int) {
			t.Helper()
			for range pieces {
				must(t, client.XAdd(t.Context(), &redis.XAddArgs{Stream: stream, Values: []string{"work", "1"}}).Err())
			}
			// Pending is what a consumer has taken and not acknowledged.
			taken := &redis.XReadGroupArgs{Group: group, Consumer: "worker", Streams: []string{stream, ">"}, Count: int64(pieces)}
			must(t, client.XReadGroup(t.Context(), taken).Err())
		},
		drain: func(t *testing.T) {
			t.Helper()
			must(t, client.XGroupDestroy(t.Context(), stream, group).Err())
			must(t, client.XGroupCreate(t.Context(), stream, group, "$").Err())
		},
		dead:     map[string]string{"address": nowhere},
		required: "stream",
		number:   "pendingEntriesCount",
	}
}
