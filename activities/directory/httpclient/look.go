package httpclient

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"jamf-access-review/activities/directory"
)

// lookTimeout bounds each step of looking at a server.
const lookTimeout = 10 * time.Second

// Proxy is the address of the proxy that requests to base go through, by the
// environment's settings; "" when they go straight there.
func Proxy(base *url.URL) string { return proxyFor(base) }

// Resolve looks the name of base's server up and returns its addresses, those
// that a guarded Client would connect to. Without any the error is an
// *directory.Error (Unreachable).
func Resolve(ctx context.Context, base *url.URL) ([]netip.Addr, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", base.Hostname())
	if err != nil {
		return nil, directory.Errorf(directory.Unreachable, "cannot look up %s: %s", base.Hostname(), words(err))
	}
	var addresses []netip.Addr
	for _, addr := range found {
		if err = checkFor(base, addr); err == nil {
			addresses = append(addresses, addr.Unmap())
		}
	}
	if len(addresses) == 0 {
		return nil, directory.Errorf(directory.Unreachable, "%s leads to %s, which is never connected to", base.Hostname(), err)
	}
	return addresses, nil
}

// Sight is what is seen of a server before it is asked anything.
type Sight struct {
	// Certificate is what the server shows; nil without TLS. It is set as well
	// when it is the reason for the error.
	Certificate *x509.Certificate
	// Clock is the server's time by its answer; zero when it tells none.
	Clock time.Time
}

// Look connects to base's server as a guarded Client would and sends one
// request without credentials. Any answer will do. The error is an
// *directory.Error (Unreachable) when none came, or a context's.
func Look(ctx context.Context, base *url.URL) (Sight, error) {
	parent := ctx
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	transport := newTransport(Config{Base: base, GuardAddresses: true}.withDefaults())
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, base.JoinPath("/").String(), nil)
	if err != nil {
		return Sight{}, directory.Errorf(directory.Unreachable, "%s is not an address that can be asked", Redact(base))
	}
	request.Header.Set("User-Agent", userAgent)
	answer, err := transport.RoundTrip(request)
	if parent.Err() != nil {
		return Sight{}, parent.Err()
	}
	if err != nil {
		return Sight{Certificate: refused(err)}, directory.Errorf(directory.Unreachable, "cannot reach %s: %s", Redact(base), words(err))
	}
	defer answer.Body.Close()
	var sight Sight
	if answer.TLS != nil {
		sight.Certificate = answer.TLS.PeerCertificates[0]
	}
	if at, err := http.ParseTime(answer.Header.Get("Date")); err == nil {
		sight.Clock = at
	}
	return sight, nil
}

// refused is the certificate that err is about; nil when it is about none.
func refused(err error) *x509.Certificate {
	if invalid, ok := errors.AsType[*tls.CertificateVerificationError](err); ok && len(invalid.UnverifiedCertificates) > 0 {
		return invalid.UnverifiedCertificates[0]
	}
	return nil
}
