package main_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lib/pq"
	"github.com/stretchr/testify/require"

	"jamf-access-review/db/localpostgres"
)

// requireBothFail says that the CLI and the worker end with words about why
// they cannot reach a server.
func (w *world) requireBothFail(t *testing.T, words string, settings ...string) {
	t.Helper()
	s := w.setup(t)
	c := s.withSecret().with(settings...)
	failed := c.refuse(5, "unreachable", s.connectArgs()...)
	require.Contains(t, failed.Message, words)
	cmd := exec.CommandContext(t.Context(), program("worker"), "--log-level", "debug")
	cmd.Env = c.env
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), words)
	require.NotContains(t, string(out)+failed.Message, "canary-secret")
	require.Contains(t, failed.Hint, "TLS")
}

// requireBothWork says that the CLI and a worker do a sync.
func (w *world) requireBothWork(t *testing.T) {
	t.Helper()
	wk := w.mustStartWorker(t)
	s := w.setup(t)
	require.Equal(t, "applied", s.connect().Sync.Outcome)
	require.Equal(t, "applied", s.resync().Sync.Outcome)
	s.ok("disconnect", s.name)
	require.NoError(t, wk.end(os.Interrupt))
	log, err := os.ReadFile(wk.log)
	require.NoError(t, err)
	require.NotContains(t, string(log), "canary-secret")
}

func TestPostgresByTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	w := newTLSPostgres(t, ours)
	me := ours.issue("127.0.0.1", time.Hour)
	verified := []string{"PGSSLMODE=verify-full", "PGSSLROOTCERT=" + ours.file, "PGSSLCERT=" + me.certificate, "PGSSLKEY=" + me.key}
	plain := w.databaseURL
	w.databaseURL = strings.TrimSuffix(plain, "?sslmode=disable")

	w.requireBothFail(t, "no encryption", "DATABASE_URL="+plain)
	w.requireBothFail(t, "certificate signed by unknown authority", append(verified, "PGSSLROOTCERT="+theirs.file)...)
	w.requireBothFail(t, "client certificate", append(verified, "PGSSLCERT=", "PGSSLKEY=")...)
	localhost := strings.Replace(w.databaseURL, "127.0.0.1", "localhost", 1)
	w.requireBothFail(t, "certificate is not valid for any names", append(verified, "DATABASE_URL="+localhost)...)

	w.settings = verified
	w.requireBothWork(t)
	w.settings = nil
	w.databaseURL += "?" + url.Values{"sslmode": {"verify-full"}, "sslrootcert": {ours.file}, "sslcert": {me.certificate}, "sslkey": {me.key}}.Encode()
	w.requireBothWork(t)
}

// newTLSPostgres makes a world whose PostgreSQL, from then on, is reached by TLS
// only, by those who have a certificate of the authority.
func newTLSPostgres(t *testing.T, a *authority) *world {
	t.Helper()
	server, err := localpostgres.Start(t.Context(), localpostgres.Config{})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.WithoutCancel(t.Context())) })
	w, err := newWorldOn(t.Context(), fmt.Sprintf("%s-%d", identifier(t.Name()), ownWorlds.Add(1)), server, temporal)
	t.Cleanup(func() { _ = w.close() })
	require.NoError(t, err)

	p := a.issue("127.0.0.1", time.Hour)
	database, err := sql.Open("postgres", w.databaseURL)
	require.NoError(t, err)
	defer database.Close()
	for name, content := range map[string]string{
		"ca.pem": read(t, a.file), "server.pem": read(t, p.certificate), "server.key": read(t, p.key),
		"pg_hba.conf": "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca\n",
	} {
		// The server writes the files, since it may run as another user.
		_, err := database.ExecContext(t.Context(), fmt.Sprintf(`COPY (SELECT unnest(string_to_array(%s, E'\n'))) TO PROGRAM 'umask 077 && cat >%s'`,
			pq.QuoteLiteral(content), name))
		require.NoError(t, err)
	}
	for name, value := range map[string]string{"ssl": "on", "ssl_ca_file": "ca.pem", "ssl_cert_file": "server.pem", "ssl_key_file": "server.key"} {
		_, err := database.ExecContext(t.Context(), fmt.Sprintf(`ALTER SYSTEM SET %s = '%s'`, name, value))
		require.NoError(t, err)
	}
	_, err = database.ExecContext(t.Context(), `SELECT pg_reload_conf()`)
	require.NoError(t, err)
	await(t, "PostgreSQL to refuse what is not encrypted", func() bool {
		another, err := sql.Open("postgres", w.databaseURL)
		require.NoError(t, err)
		defer another.Close()
		return another.PingContext(t.Context()) != nil
	})
	return w
}

func read(t *testing.T, name string) string {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(content)
}

func TestTemporalByTLS(t *testing.T) {
	t.Parallel()
	ours, theirs := newAuthority(t), newAuthority(t)
	w := ownWorld(t)
	front := w.frontTemporal(t, ours, nil)
	me := ours.issue("127.0.0.1", time.Hour)

	address := "TEMPORAL_ADDRESS=" + front
	trusted := []string{address, "TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + ours.file}
	mutual := append(trusted, "TEMPORAL_TLS_CLIENT_CERT_PATH="+me.certificate, "TEMPORAL_TLS_CLIENT_KEY_PATH="+me.key)
	w.requireBothFail(t, front, address)
	w.requireBothFail(t, "certificate signed by unknown authority", address, "TEMPORAL_TLS=true")
	w.requireBothFail(t, "certificate signed by unknown authority", append(mutual, "TEMPORAL_TLS_SERVER_CA_CERT_PATH="+theirs.file)...)
	w.requireBothFail(t, "certificate is not valid for any names", append(mutual, "TEMPORAL_TLS_SERVER_NAME=temporal.example")...)
	// The refusal of who has no certificate may be lost with the connection.
	w.requireBothFail(t, front, trusted...)

	w.settings = mutual
	w.requireBothWork(t)
	w.settings = []string{address, "TEMPORAL_TLS_SERVER_CA_CERT_DATA=" + read(t, ours.file),
		"TEMPORAL_TLS_CLIENT_CERT_DATA=" + read(t, me.certificate), "TEMPORAL_TLS_CLIENT_KEY_DATA=" + read(t, me.key)}
	w.requireBothWork(t)
}

func TestTemporalByAPIKey(t *testing.T) {
	t.Parallel()
	ours := newAuthority(t)
	w := ownWorld(t)
	key := newSecret()
	var asked atomic.Int64
	front := w.frontTemporal(t, ours, func(r *http.Request) bool {
		asked.Add(1)
		return r.Header.Get("Authorization") == "Bearer "+key
	})
	trusted := []string{"TEMPORAL_ADDRESS=" + front, "TEMPORAL_TLS_SERVER_CA_CERT_PATH=" + ours.file}

	w.requireBothFail(t, "not authorized", trusted...)
	w.requireBothFail(t, "not authorized", append(trusted, "TEMPORAL_API_KEY="+newSecret())...)
	before := asked.Load()
	w.settings = append(trusted, "TEMPORAL_API_KEY="+key)
	w.requireBothWork(t)
	require.Greater(t, asked.Load(), before)
}

// frontTemporal serves the world's Temporal by TLS and returns the address.
// Without an authorized, clients have to have a certificate of the authority.
func (w *world) frontTemporal(t *testing.T, a *authority, authorized func(*http.Request) bool) string {
	t.Helper()
	silent := log.New(io.Discard, "", 0)
	var unencrypted http.Protocols
	unencrypted.SetUnencryptedHTTP2(true)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: w.temporal.Address}) },
		Transport:     &http.Transport{Protocols: &unencrypted},
		FlushInterval: -1,
		ErrorLog:      silent,
	}
	front := httptest.NewUnstartedServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		if authorized != nil && !authorized(r) {
			rw.Header().Set("Content-Type", "application/grpc")
			rw.Header().Set("Grpc-Status", "16")
			rw.Header().Set("Grpc-Message", "not authorized")
			return
		}
		proxy.ServeHTTP(rw, r)
	}))
	front.EnableHTTP2 = true
	front.Config.ErrorLog = silent
	front.TLS = &tls.Config{Certificates: []tls.Certificate{a.issue("127.0.0.1", time.Hour).load(t)}}
	if authorized == nil {
		front.TLS.ClientAuth, front.TLS.ClientCAs = tls.RequireAndVerifyClientCert, a.pool()
	}
	front.StartTLS()
	t.Cleanup(func() {
		front.CloseClientConnections()
		front.Close()
	})
	return front.Listener.Addr().String()
}
