package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
)

// One cluster: its folder, its address, its administrator. Kept in files, so that a restart changes none of them.
type cluster struct {
	dir   string
	port  int
	token string
}

func newCluster(dir string) (*cluster, error) {
	c := &cluster{dir: dir}
	port, err := c.kept("port", func() (string, error) {
		port, err := freePort()
		return strconv.Itoa(port), err
	})
	if err != nil {
		return nil, err
	}
	if c.port, err = strconv.Atoi(port); err != nil {
		return nil, err
	}
	if c.token, err = c.kept("token", func() (string, error) {
		bytes := make([]byte, 16)
		_, err := rand.Read(bytes)
		return hex.EncodeToString(bytes), err
	}); err != nil {
		return nil, err
	}
	if _, err := c.kept("service-accounts.key", newKey); err != nil {
		return nil, err
	}
	if err := c.makeAggregation(); err != nil {
		return nil, err
	}
	users := c.token + ",admin,admin,\"system:masters\"\n"
	return c, c.write("users.csv", users)
}

func newKey() (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", err
	}
	block := pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return string(pem.EncodeToMemory(&block)), nil
}

func (c *cluster) file(name string) string { return filepath.Join(c.dir, name) }

func (c *cluster) url() string { return fmt.Sprintf("https://127.0.0.1:%d", c.port) }

// The authority is in it beside the server's own certificate.
func (c *cluster) authority() string { return c.file("certificates/apiserver.crt") }

// The text of this file, made when it is not there.
func (c *cluster) kept(name string, make func() (string, error)) (string, error) {
	text, err := os.ReadFile(c.file(name))
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return string(text), err
	}
	made, err := make()
	if err != nil {
		return "", err
	}
	return made, c.write(name, made)
}

// Whoever waits for the file sees all of it.
func (c *cluster) write(name, text string) error {
	draft := c.file(name + ".new")
	if err := os.WriteFile(draft, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Rename(draft, c.file(name))
}

func (c *cluster) args(etcd string) []string {
	return []string{
		"--etcd-servers=" + etcd,
		"--bind-address=127.0.0.1",
		"--secure-port=" + strconv.Itoa(c.port),
		"--cert-dir=" + c.file("certificates"),
		"--token-auth-file=" + c.file("users.csv"),
		"--authorization-mode=RBAC",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.file("service-accounts.key"),
		"--service-account-signing-key-file=" + c.file("service-accounts.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--requestheader-client-ca-file=" + c.file(aggregation+"/ca.crt"),
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + c.file(aggregation+"/tls.crt"),
		"--proxy-client-key-file=" + c.file(aggregation+"/tls.key"),
		"--kubelet-certificate-authority=" + c.file(aggregation+"/ca.crt"),
		"--kubelet-client-certificate=" + c.file(aggregation+"/tls.crt"),
		"--kubelet-client-key=" + c.file(aggregation+"/tls.key"),
		// No controller makes the account `default` of a namespace, so no pod would be admitted.
		"--disable-admission-plugins=ServiceAccount",
		"--endpoint-reconciler-type=none",
	}
}
