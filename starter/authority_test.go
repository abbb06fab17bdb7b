package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authority is a certificate authority that nobody knows but by its file.
type authority struct {
	t           *testing.T
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
	// file is its certificate in PEM.
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, certificate: &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}}
	var der []byte
	a.key, der = a.sign(a.certificate, nil)
	var err error
	a.certificate, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.file = file(t, pemOf("CERTIFICATE", der))
	return a
}

// sign makes a key and a certificate for it, signed by a key or else by itself.
func (a *authority) sign(template *x509.Certificate, by *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(a.t, err)
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, by)
	require.NoError(a.t, err)
	return key, der
}

// pair is a certificate and its key, each a file in PEM.
type pair struct{ certificate, key string }

// issue makes a certificate for a server at an address, and for its clients,
// that is valid for a time from now.
func (a *authority) issue(address string, valid time.Duration) pair {
	a.t.Helper()
	key, der := a.sign(&x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: address},
		NotBefore: time.Now().Add(-1000 * time.Hour), NotAfter: time.Now().Add(valid),
		IPAddresses: []net.IP{net.ParseIP(address)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.key)
	encoded, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(a.t, err)
	dir := a.t.TempDir()
	p := pair{filepath.Join(dir, "certificate.pem"), filepath.Join(dir, "key.pem")}
	require.NoError(a.t, os.WriteFile(p.certificate, []byte(pemOf("CERTIFICATE", der)), 0o600))
	require.NoError(a.t, os.WriteFile(p.key, []byte(pemOf("PRIVATE KEY", encoded)), 0o600))
	return p
}

// serve serves with a certificate that is valid for a time from now, and
// returns the address.
func (a *authority) serve(handler http.Handler, valid time.Duration) string {
	a.t.Helper()
	p := a.issue("127.0.0.1", valid)
	certificate, err := tls.LoadX509KeyPair(p.certificate, p.key)
	require.NoError(a.t, err)
	server := httptest.NewUnstartedServer(handler)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	a.t.Cleanup(server.Close)
	return server.URL
}

func pemOf(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func (p pair) load(t *testing.T) tls.Certificate {
	t.Helper()
	certificate, err := tls.LoadX509KeyPair(p.certificate, p.key)
	require.NoError(t, err)
	return certificate
}

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.certificate)
	return pool
}
