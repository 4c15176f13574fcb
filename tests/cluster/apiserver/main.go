// The control plane of the tests: etcd and kube-apiserver in one process, on loopback, RBAC on, with definitions of further
// objects, and a node that forwards ports.
//
//	apiserver -dir DIR [FOLDER OF DEFINITIONS]...
//
// All state is in DIR: started again with it, it is the same cluster at the same address. DIR/env is there once everything
// is ready. SIGTERM ends it in order.
//
// Not for: controllers. Namespaces take objects at once, Deployments make no pods, nothing is collected.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	"k8s.io/kubernetes/cmd/kube-apiserver/app"
)

const patience = 2 * time.Minute

func main() {
	dir := flag.String("dir", "", "folder for data, keys, kubeconfig and env")
	flag.Parse()
	if err := run(*dir, flag.Args()); err != nil {
		log.Fatal(err)
	}
}

func run(dir string, crds []string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(dir, "env")); err != nil {
		return err
	}
	c, err := newCluster(dir)
	if err != nil {
		return err
	}
	etcd, err := startEtcd(filepath.Join(dir, "etcd"))
	if err != nil {
		return err
	}
	defer etcd.Close()

	port, err := c.startNode()
	if err != nil {
		return err
	}
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := c.settle(ctx, crds, port); err != nil {
			log.Fatal(err)
		}
	}()
	command := app.NewAPIServerCommand()
	command.SetArgs(c.args("http://" + etcd.Clients[0].Addr().String()))
	return command.Execute()
}

func startEtcd(dir string) (*embed.Etcd, error) {
	// Any free port; the member is known by this text, which is the same in the next run.
	loopback := []url.URL{{Scheme: "http", Host: "127.0.0.1:0"}}
	config := embed.NewConfig()
	config.Dir = dir
	config.UnsafeNoFsync = true
	config.LogLevel = "error"
	config.ListenClientUrls, config.AdvertiseClientUrls = loopback, loopback
	config.ListenPeerUrls, config.AdvertisePeerUrls = loopback, loopback
	config.InitialCluster = config.InitialClusterFromName(config.Name)
	etcd, err := embed.StartEtcd(config)
	if err != nil {
		return nil, err
	}
	select {
	case <-etcd.Server.ReadyNotify():
		return etcd, nil
	case err := <-etcd.Err():
		return nil, err
	case <-time.After(patience):
		etcd.Close()
		return nil, fmt.Errorf("etcd is not ready after %s", patience)
	}
}

// A port that can be kept: below those that the kernel gives to whoever wants any, so that it is free again after an outage.
func freePort() (int, error) {
	for {
		port := 20000 + rand.IntN(12000)
		listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return 0, err
		}
		return port, listener.Close()
	}
}
