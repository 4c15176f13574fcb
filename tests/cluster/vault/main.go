// A real Vault in one process, in memory and unsealed, with what the tests use of it: both versions of KV, PKI, the login of
// tokens and that of ServiceAccounts. Its first line says where it listens, and the root's token.
//
//	vault 127.0.0.1:0
//
// Vault's own command brings every cloud's plugin with it; this is its core and three plugins.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"net/http"
	"os"

	"github.com/hashicorp/go-hclog"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/logical/pki"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// plugins are those that a Vault of the tests has.
type plugins map[consts.PluginType]map[string]logical.Factory

func (known plugins) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	factory, found := known[kind][name]
	return func() (any, error) { return factory, nil }, found
}

func (known plugins) Contains(name string, kind consts.PluginType) bool {
	_, found := known[kind][name]
	return found
}

func (known plugins) Keys(kind consts.PluginType) []string {
	var names []string
	for name := range known[kind] {
		names = append(names, name)
	}
	return names
}

func (known plugins) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, known.Contains(name, kind)
}

func (plugins) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: vault ADDRESS")
	}
	if err := serve(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func serve(address string) error {
	logger := hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr})
	store, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return err
	}
	secrets := map[string]logical.Factory{"kv": kv.Factory, "pki": pki.Factory}
	logins := map[string]logical.Factory{"kubernetes": kubernetes.Factory}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           store,
		Logger:             logger,
		DisableMlock:       true,
		BuiltinRegistry:    plugins{consts.PluginTypeSecrets: secrets, consts.PluginTypeCredential: logins},
		LogicalBackends:    secrets,
		CredentialBackends: logins,
	})
	if err != nil {
		return err
	}
	one := &vault.SealConfig{SecretShares: 1, SecretThreshold: 1}
	keys, err := core.Initialize(context.Background(), &vault.InitParams{BarrierConfig: one, RecoveryConfig: one})
	if err != nil {
		return err
	}
	for _, key := range keys.SecretShares {
		if _, err := core.Unseal(key); err != nil {
			return err
		}
	}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	fmt.Printf("http://%s %s\n", listener.Addr(), keys.RootToken)
	open := &configutil.Listener{Type: "tcp", Address: address}
	return http.Serve(listener, vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: open}))
}
