package keda

// Work for `rabbitmq`: messages that wait in a queue.

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// rabbitQueue is an empty queue, to be asked about by this protocol at the address in `variable`.
func rabbitQueue(protocol, variable string) func(t *testing.T) source {
	return func(t *testing.T) source {
		host, queue := protocol+"://watcher:watcher-secret@", unique("queue")
		connection, err := amqp.Dial("amqp://admin:admin-secret@" + address(t, "PLIMSOLL_TEST_RABBITMQ"))
		must(t, err)
		t.Cleanup(func() { _ = connection.Close() })
		channel, err := connection.Channel()
		must(t, err)
		must(t, channel.Confirm(false))
		_, err = channel.QueueDeclare(queue, false, true, false, false, nil)
		must(t, err)
		return source{
			metadata: map[string]string{
				"scalerType": "rabbitmq",
				"host":       host + address(t, variable),
				"queueName":  queue,
				"mode":       "QueueLength",
				"value":      "2.5",
			},
			metric: "rabbitmq-" + queue,
			target: "2500m",
			put: func(t *testing.T, pieces int) {
				t.Helper()
				for range pieces {
					message := amqp.Publishing{Body: []byte("work")}
					confirmed, err := channel.PublishWithDeferredConfirmWithContext(t.Context(), "", queue, false, false, message)
					must(t, err)
					confirmed.Wait()
				}
			},
			drain: func(t *testing.T) {
				t.Helper()
				_, err := channel.QueuePurge(queue, false)
				must(t, err)
			},
			dead:     map[string]string{"host": host + nowhere},
			required: "queueName",
			number:   "value",
		}
	}
}
