package keda

// Work for `kafka`: records that a consumer group has not committed.

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
)

// kafkaGroup is a topic of one partition and a group that has read all of it.
func kafkaGroup(t *testing.T) source {
	servers := address(t, "PLIMSOLL_TEST_KAFKA")
	topic, group := unique("topic"), unique("group")
	client := &kafka.Client{Addr: kafka.TCP(servers), Timeout: patience}
	created, err := client.CreateTopics(t.Context(), &kafka.CreateTopicsRequest{
		Topics: []kafka.TopicConfig{{Topic: topic, NumPartitions: 1, ReplicationFactor: 1}},
	})
	must(t, err)
	must(t, created.Errors[topic])
	end := 0
	commit := func(t *testing.T) {
		t.Helper()
		offsets := map[string][]kafka.OffsetCommit{topic: {{Partition: 0, Offset: int64(end)}}}
		until(t, func() (bool, string) {
			answer, err := client.OffsetCommit(t.Context(), &kafka.OffsetCommitRequest{GroupID: group, GenerationID: -1, Topics: offsets})
			if err == nil {
				err = answer.Topics[topic][0].Error
			}
			return err == nil, fmt.Sprintf("no commit: %v", err)
		})
	}
	commit(t)
	return source{
		metadata: map[string]string{
			"scalerType":         "kafka",
			"bootstrapServers":   servers,
			"consumerGroup":      group,
			"topic":              topic,
			"lagThreshold":       "5",
			"allowIdleConsumers": "true",
		},
		metric: "kafka-" + topic,
		target: "5",
		put: func(t *testing.T, pieces int) {
			t.Helper()
			records := make([]kafka.Message, pieces)
			for i := range records {
				records[i] = kafka.Message{Value: []byte("work")}
			}
			// A new topic's leader may not have told every client yet.
			writer := &kafka.Writer{Addr: kafka.TCP(servers), Topic: topic, RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond}
			must(t, errors.Join(writer.WriteMessages(t.Context(), records...), writer.Close()))
			end += pieces
		},
		drain:    commit,
		dead:     map[string]string{"bootstrapServers": nowhere},
		required: "consumerGroup",
		number:   "lagThreshold",
	}
}
