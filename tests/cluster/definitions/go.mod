module plimsoll/tests/cluster/definitions

go 1.26.0

// Only their folders of CustomResourceDefinitions are read: nothing of them is compiled.
require (
	github.com/cert-manager/cert-manager v1.21.2
	github.com/prometheus-operator/prometheus-operator v0.94.1
)
