package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/kubelet/pkg/cri/streaming/portforward"
)

// The one node. It runs nothing: its pods are whatever the tests say, and their ports are those of this machine, as with a pod on
// its node's network. Of a kubelet it has what answers `kubectl port-forward`, by a kubelet's own code.
const node = "tests"

const (
	idle    = 4 * time.Hour
	pairing = 30 * time.Second
)

var nodes = schema.GroupVersionResource{Version: "v1", Resource: "nodes"}

// Listens for the API server, which shows the certificate that it has for others; the port.
func (c *cluster) startNode() (int, error) {
	text, err := os.ReadFile(c.file(aggregation + "/ca.crt"))
	if err != nil {
		return 0, err
	}
	callers := x509.NewCertPool()
	if !callers.AppendCertsFromPEM(text) {
		return 0, fmt.Errorf("%s/ca.crt holds no certificate", aggregation)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	calls := http.NewServeMux()
	calls.HandleFunc("/portForward/{namespace}/{pod}", forward)
	server := http.Server{
		Handler:   calls,
		TLSConfig: &tls.Config{ClientCAs: callers, ClientAuth: tls.RequireAndVerifyClientCert},
	}
	go func() {
		log.Fatal(server.ServeTLS(listener, c.file(aggregation+"/tls.crt"), c.file(aggregation+"/tls.key")))
	}()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

func forward(response http.ResponseWriter, request *http.Request) {
	options, err := portforward.NewV4Options(request)
	if err != nil {
		http.Error(response, err.Error(), http.StatusBadRequest)
		return
	}
	portforward.ServePortForward(response, request, ports{}, request.PathValue("pod"), "", options, idle, pairing,
		portforward.SupportedProtocols)
}

type ports struct{}

func (ports) PortForward(ctx context.Context, pod string, _ types.UID, port int32, stream io.ReadWriteCloser) error {
	defer stream.Close()
	var dialer net.Dialer
	connection, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("pod %s: %w", pod, err)
	}
	defer connection.Close()
	go func() {
		// The caller has said all; the answer may be still on its way.
		_, _ = io.Copy(connection, stream)
		_ = connection.(*net.TCPConn).CloseWrite()
	}()
	_, err = io.Copy(stream, connection)
	return err
}

// Tells the API server where the node is.
func register(ctx context.Context, client dynamic.Interface, port int) error {
	object := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "Node", "metadata": map[string]any{"name": node},
	}}
	options := meta.ApplyOptions{FieldManager: "tests", Force: true}
	if _, err := client.Resource(nodes).Apply(ctx, node, object, options); err != nil {
		return err
	}
	object.Object["status"] = map[string]any{
		"addresses":       []any{map[string]any{"type": "InternalIP", "address": "127.0.0.1"}},
		"daemonEndpoints": map[string]any{"kubeletEndpoint": map[string]any{"Port": int64(port)}},
	}
	_, err := client.Resource(nodes).ApplyStatus(ctx, node, object, options)
	return err
}
