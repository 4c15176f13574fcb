package keda

// Work for `aws-sqs-queue`: messages that wait in a queue.

import (
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

func sqsQueue(t *testing.T) source {
	endpoint, name := address(t, "PLIMSOLL_TEST_SQS"), unique("queue")
	client := sqs.New(sqs.Options{
		Region:       "eu-west-1",
		BaseEndpoint: aws.String(endpoint),
		Credentials:  credentials.NewStaticCredentialsProvider("key", "secret", ""),
	})
	created, err := client.CreateQueue(t.Context(), &sqs.CreateQueueInput{QueueName: &name})
	must(t, err)
	return source{
		metadata: map[string]string{
			"scalerType":         "aws-sqs-queue",
			"queueURL":           *created.QueueUrl,
			"queueLength":        "6",
			"awsRegion":          "eu-west-1",
			"awsEndpoint":        endpoint,
			"awsAccessKeyID":     "key",
			"awsSecretAccessKey": "secret",
		},
		metric: "aws-sqs-" + name,
		target: "6",
		put: func(t *testing.T, pieces int) {
			t.Helper()
			for range pieces {
				_, err := client.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: created.QueueUrl, MessageBody: aws.String("work")})
				must(t, err)
			}
		},
		drain: func(t *testing.T) {
			t.Helper()
			_, err := client.PurgeQueue(t.Context(), &sqs.PurgeQueueInput{QueueUrl: created.QueueUrl})
			must(t, err)
		},
		dead:     map[string]string{"awsEndpoint": "http://" + nowhere},
		required: "queueURL",
		number:   "queueLength",
	}
}
