package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/yaml"
)

const pause = 50 * time.Millisecond

var definitions = schema.GroupVersionResource{
	Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions",
}

// Waits until the API server is ready, installs the definitions, tells it of the node, and says by `env` that all is there.
func (c *cluster) settle(ctx context.Context, folders []string, nodePort int) error {
	config, err := c.ready(ctx)
	if err != nil {
		return fmt.Errorf("%s is not ready: %w", c.url(), err)
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	if err := register(ctx, client, nodePort); err != nil {
		return fmt.Errorf("node %s: %w", node, err)
	}
	var files []string
	for _, folder := range folders {
		found, err := filepath.Glob(filepath.Join(folder, "*.yaml"))
		if err != nil {
			return err
		}
		if len(found) == 0 {
			return fmt.Errorf("%s holds no definitions", folder)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		if err := install(ctx, client, file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	for _, file := range files {
		if err := established(ctx, config, file); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	if err := c.write("kubeconfig", c.kubeconfig()); err != nil {
		return err
	}
	return c.write("env", fmt.Sprintf(
		"export KUBECONFIG=%q\nexport PLIMSOLL_TEST_CLUSTER=%q\nexport PLIMSOLL_TEST_CLUSTER_TOKEN=%q\nexport PLIMSOLL_TEST_CLUSTER_CA=%q\n",
		c.file("kubeconfig"), c.url(), c.token, c.authority()))
}

func (c *cluster) ready(ctx context.Context) (*rest.Config, error) {
	config := &rest.Config{
		Host: c.url(), BearerToken: c.token, QPS: -1,
		TLSClientConfig: rest.TLSClientConfig{CAFile: c.authority()},
	}
	return config, wait.PollUntilContextCancel(ctx, pause, true, func(ctx context.Context) (bool, error) {
		if _, err := os.Stat(c.authority()); err != nil {
			return false, nil
		}
		status, err := get(ctx, config, "/readyz")
		return err == nil && status == http.StatusOK, nil
	})
}

func get(ctx context.Context, config *rest.Config, path string) (int, error) {
	client, err := rest.HTTPClientFor(config)
	if err != nil {
		return 0, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, config.Host+path, nil)
	if err != nil {
		return 0, err
	}
	response, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

func read(file string) (*unstructured.Unstructured, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	return object, yaml.Unmarshal(text, &object.Object)
}

func install(ctx context.Context, client dynamic.Interface, file string) error {
	object, err := read(file)
	if err != nil {
		return err
	}
	_, err = client.Resource(definitions).Apply(ctx, object.GetName(), object,
		meta.ApplyOptions{FieldManager: "tests", Force: true})
	return err
}

// Accepted names are announced a moment before the first request for them is answered.
func established(ctx context.Context, config *rest.Config, file string) error {
	object, err := read(file)
	if err != nil {
		return err
	}
	group, _, _ := unstructured.NestedString(object.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(object.Object, "spec", "names", "plural")
	versions, _, _ := unstructured.NestedSlice(object.Object, "spec", "versions")
	version := versions[0].(map[string]any)["name"].(string)
	return wait.PollUntilContextCancel(ctx, pause, true, func(ctx context.Context) (bool, error) {
		status, err := get(ctx, config, fmt.Sprintf("/apis/%s/%s/%s", group, version, plural))
		return err == nil && status == http.StatusOK, nil
	})
}

func (c *cluster) kubeconfig() string {
	return fmt.Sprintf(`apiVersion: v1
kind: Config
clusters:
- name: tests
  cluster: {server: %q, certificate-authority: %q}
users:
- name: admin
  user: {token: %q}
contexts:
- name: tests
  context: {cluster: tests, user: admin}
current-context: tests
`, c.url(), c.authority(), c.token)
}
