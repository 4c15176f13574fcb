package keda

// KEDA's own client over TLS: `caCert`, `tlsClientCert`, `tlsClientKey`, `enableTLS` and `unsafeSsl`, and a rotation under
// open streams.

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// authority is a CA of a test's own.
type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := certificate(t, unique("ca"))
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	parsed, err := x509.ParseCertificate(der)
	must(t, err)
	return authority{parsed, key}
}

func certificate(t *testing.T, name string) *x509.Certificate {
	t.Helper()
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	must(t, err)
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(90 * 24 * time.Hour),
	}
}

func (a authority) pem() string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw}))
}

// issue makes a certificate and its key, for servers on loopback and for callers alike.
func (a authority) issue(t *testing.T, name string) (cert, key string) {
	t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := certificate(t, name)
	template.DNSNames, template.IPAddresses = []string{name}, []net.IP{net.IPv4(127, 0, 0, 1)}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &own.PublicKey, a.key)
	must(t, err)
	bytes, err := x509.MarshalPKCS8PrivateKey(own)
	must(t, err)
	cert = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return cert, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bytes}))
}

// secret is a folder as Kubernetes mounts a Secret: files are links into a version, which is swapped as one.
type secret struct {
	folder  string
	version int
}

func newSecret(t *testing.T, files map[string]string) *secret {
	t.Helper()
	s := &secret{folder: t.TempDir()}
	s.swap(t, files)
	for name := range files {
		must(t, os.Symlink(filepath.Join("..data", name), s.path(name)))
	}
	return s
}

func (s *secret) path(name string) string {
	return filepath.Join(s.folder, name)
}

func (s *secret) swap(t *testing.T, files map[string]string) {
	t.Helper()
	s.version++
	version := fmt.Sprintf("..version_%d", s.version)
	must(t, os.Mkdir(s.path(version), 0o700))
	for name, contents := range files {
		must(t, os.WriteFile(filepath.Join(s.path(version), name), []byte(contents), 0o600))
	}
	must(t, os.Symlink(version, s.path("..data_tmp")))
	must(t, os.Rename(s.path("..data_tmp"), s.path("..data")))
}

// files of a server with a certificate of `of`, for callers of `clients`.
func (a authority) files(t *testing.T, clients string) map[string]string {
	t.Helper()
	cert, key := a.issue(t, "plimsoll")
	return map[string]string{"tls.crt": cert, "tls.key": key, "ca.crt": clients}
}

func (s *secret) options(more ...string) []string {
	options := []string{"--tls-cert", s.path("tls.crt"), "--tls-key", s.path("tls.key"), "--tls-client-ca", s.path("ca.crt")}
	return append(options, more...)
}

// over gives a trigger what its TriggerAuthentication would have resolved to.
func (c trigger) over(parameters map[string]string) trigger {
	c.TriggerMetadata["enableTLS"] = "true"
	c.AuthParams = parameters
	return c
}

// as is the parameters of a caller with a certificate of `a`, who trusts `trusted`.
func (a authority) as(t *testing.T, name, trusted string) map[string]string {
	t.Helper()
	cert, key := a.issue(t, name)
	return map[string]string{"caCert": trusted, "tlsClientCert": cert, "tlsClientKey": key}
}

func TestKedaComesInWithItsCertificateAndOthersDoNot(t *testing.T) {
	t.Parallel()
	needs(t, "redis")
	ours, theirs := newAuthority(t), newAuthority(t)
	s := start(t, newSecret(t, ours.files(t, ours.pem())).options("--allow-client", "keda-operator")...)
	from := redisList(t)
	from.put(t, 2)
	untilAnswer(t, s.trigger(from.metadata).over(ours.as(t, "keda-operator", ours.pem())).polled(t), "s0-"+from.metric, "2", true)

	// `unsafeSsl` is of KEDA's trust in us; ours in KEDA is the same.
	unsafe := s.trigger(from.metadata).over(ours.as(t, "keda-operator", theirs.pem()))
	unsafe.TriggerMetadata["unsafeSsl"] = "true"
	untilAnswer(t, unsafe.polled(t), "s0-"+from.metric, "2", true)

	for what, parameters := range map[string]map[string]string{
		"another name":            ours.as(t, "tenant", ours.pem()),
		"another CA":              theirs.as(t, "keda-operator", ours.pem()),
		"no certificate":          {"caCert": ours.pem()},
		"no trust in our CA":      ours.as(t, "keda-operator", theirs.pem()),
		"nothing but `enableTLS`": nil,
	} {
		if got := ask(t, s.trigger(from.metadata).over(parameters).polled(t), "s0-"+from.metric); status.Code(got.err) != codes.Unavailable {
			t.Errorf("%s: the answer is %s", what, got)
		}
	}
	if got := ask(t, s.trigger(from.metadata).polled(t), "s0-"+from.metric); status.Code(got.err) != codes.Unavailable {
		t.Errorf("without TLS the answer is %s", got)
	}
}

func TestCertificatesAreRenewedUnderOpenStreams(t *testing.T) {
	t.Parallel()
	needs(t, "redis")
	const count = 20
	old, young := newAuthority(t), newAuthority(t)
	mounted := newSecret(t, old.files(t, old.pem()))
	s := start(t, mounted.options()...)
	parameters := old.as(t, "keda-operator", old.pem()+young.pem())
	var sources []source
	var streams []*stream
	for range count {
		from := redisList(t)
		sources, streams = append(sources, from), append(streams, run(t, s.trigger(from.metadata).over(parameters).pushed(t)))
	}
	until(t, func() (bool, string) { return s.streams(t) == count, "not all streams" })

	mounted.swap(t, young.files(t, young.pem()))
	until(t, func() (bool, string) {
		return strings.Contains(s.log.String(), "changed files are in use"), "the old files are in use"
	})
	if open := s.streams(t); open != count {
		t.Errorf("only %d streams are left", open)
	}
	// New callers, with certificates of the new CA and of the old, beside the streams that were there.
	for what, caller := range map[string]authority{"new": young, "old": old} {
		polled := s.trigger(sources[0].metadata).over(caller.as(t, "keda-operator", young.pem())).polled(t)
		if got := ask(t, polled, "s0-"+sources[0].metric); got.err != nil {
			t.Errorf("a certificate of the %s CA: %s", what, got)
		}
	}
	pushedAgain(t, sources, streams)
}
