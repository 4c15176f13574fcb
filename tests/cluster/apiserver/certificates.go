package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// One certificate for whoever answers for a part of the API or for a node, and for the API server when it asks them: KEDA's
// operator, its metrics adapter. As KEDA reads it: ca.crt, tls.crt, tls.key.
const aggregation = "aggregation"

func (c *cluster) makeAggregation() error {
	if _, err := os.Stat(c.file(aggregation)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	draft, err := os.MkdirTemp(c.dir, aggregation)
	if err != nil {
		return err
	}
	authorityKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	authority := certificate("aggregation's authority")
	authority.IsCA, authority.BasicConstraintsValid = true, true
	authority.KeyUsage = x509.KeyUsageCertSign
	if err := sign(draft, "ca.crt", authority, authority, authorityKey.Public(), authorityKey); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	leaf := certificate("aggregation")
	leaf.DNSNames, leaf.IPAddresses = []string{"localhost"}, []net.IP{net.IPv4(127, 0, 0, 1)}
	leaf.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	if err := sign(draft, "tls.crt", leaf, authority, key.Public(), authorityKey); err != nil {
		return err
	}
	bytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(draft, "tls.key", "PRIVATE KEY", bytes); err != nil {
		return err
	}
	return os.Rename(draft, c.file(aggregation))
}

func certificate(name string) *x509.Certificate {
	now := time.Now()
	return &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(1, 0, 0),
	}
}

func sign(dir, name string, of, by *x509.Certificate, public, private any) error {
	bytes, err := x509.CreateCertificate(rand.Reader, of, by, public, private)
	if err != nil {
		return err
	}
	return writePEM(dir, name, "CERTIFICATE", bytes)
}

func writePEM(dir, name, kind string, bytes []byte) error {
	text := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})
	return os.WriteFile(filepath.Join(dir, name), text, 0o600)
}
