// A collector as OpenTelemetry builds it, with what the tests need of it alone: OTLP comes in, and goes to standard output as JSON.
package main

import (
	"context"
	"log"
	"os"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/confmap"
	"go.opentelemetry.io/collector/confmap/provider/fileprovider"
	"go.opentelemetry.io/collector/consumer"
	"go.opentelemetry.io/collector/exporter"
	"go.opentelemetry.io/collector/otelcol"
	"go.opentelemetry.io/collector/pdata/pmetric"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/otlpreceiver"
	"go.opentelemetry.io/collector/service/telemetry/otelconftelemetry"
)

func main() {
	factories := func() (otelcol.Factories, error) {
		receivers, err := otelcol.MakeFactoryMap[receiver.Factory](otlpreceiver.NewFactory())
		if err != nil {
			return otelcol.Factories{}, err
		}
		exporters, err := otelcol.MakeFactoryMap[exporter.Factory](lines())
		return otelcol.Factories{Receivers: receivers, Exporters: exporters, Telemetry: otelconftelemetry.NewFactory()}, err
	}
	providers := confmap.ResolverSettings{
		ProviderFactories: []confmap.ProviderFactory{fileprovider.NewFactory()},
		DefaultScheme:     "file",
	}
	settings := otelcol.CollectorSettings{
		BuildInfo:              component.BuildInfo{Command: "collector", Version: "tests"},
		Factories:              factories,
		ConfigProviderSettings: otelcol.ConfigProviderSettings{ResolverSettings: providers},
	}
	if err := otelcol.NewCommand(settings).Execute(); err != nil {
		log.Fatal(err)
	}
}

// lines is an exporter that writes what comes to standard output, a line each.
func lines() exporter.Factory {
	traces, metrics := &ptrace.JSONMarshaler{}, &pmetric.JSONMarshaler{}
	return exporter.NewFactory(component.MustNewType("lines"), func() component.Config { return &struct{}{} },
		exporter.WithTraces(func(context.Context, exporter.Settings, component.Config) (exporter.Traces, error) {
			take, err := consumer.NewTraces(func(_ context.Context, all ptrace.Traces) error {
				return line(traces.MarshalTraces(all))
			})
			return traced{Traces: take}, err
		}, component.StabilityLevelDevelopment),
		exporter.WithMetrics(func(context.Context, exporter.Settings, component.Config) (exporter.Metrics, error) {
			take, err := consumer.NewMetrics(func(_ context.Context, all pmetric.Metrics) error {
				return line(metrics.MarshalMetrics(all))
			})
			return measured{Metrics: take}, err
		}, component.StabilityLevelDevelopment))
}

func line(text []byte, err error) error {
	if err == nil {
		_, err = os.Stdout.Write(append(text, '\n'))
	}
	return err
}

type traced struct {
	component.StartFunc
	component.ShutdownFunc
	consumer.Traces
}

type measured struct {
	component.StartFunc
	component.ShutdownFunc
	consumer.Metrics
}
