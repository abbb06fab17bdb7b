package httpclient

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"

	"jamf-access-review/activities/directory"
)

var (
	errTimeout  = errors.New("timed out")
	errTooLarge = errors.New("body too large")
	errTooLong  = errors.New("asked to wait too long")
)

// bodyError is a body that broke off.
type bodyError struct{ err error }

func (e *bodyError) Error() string { return "reading body: " + e.err.Error() }
func (e *bodyError) Unwrap() error { return e.err }

// redirectError is a redirect that is not followed: to another server, or one
// too many when to is empty.
type redirectError struct{ to string }

func (e *redirectError) Error() string { return "redirect refused" }

// addressError is an address that is not connected to.
type addressError struct {
	addr netip.Addr
	what string
}

func (e *addressError) Error() string { return fmt.Sprintf("%s is %s", e.addr, e.what) }

// passing reports whether another try may go better.
func passing(err error) bool {
	return !errors.Is(err, errTooLarge) && permanentWords(err) == ""
}

// explain turns a failure to get an answer into words. The underlying error
// is not kept as the cause: its text may quote the query.
func (e *exchange) explain(err error) *directory.Error {
	var body *bodyError
	switch {
	case errors.Is(err, errTooLarge):
		return directory.Errorf(directory.Inconsistent, "%s answered with more than %d bytes", e.url, e.client.cfg.MaxBody)
	case errors.As(err, &body) && !errors.Is(err, errTimeout):
		return directory.Errorf(directory.Inconsistent, "%s broke off in the middle of its answer", e.url)
	}
	return directory.Errorf(directory.Unreachable, "cannot reach %s: %s", e.url, words(err))
}

// words describes why no answer came.
func words(err error) string { return cmp.Or(permanentWords(err), passingWords(err)) }

// permanentWords describes a failure that another try would only repeat; ""
// for all others.
func permanentWords(err error) string {
	var (
		redirect  *redirectError
		address   *addressError
		dns       *net.DNSError
		authority x509.UnknownAuthorityError
		hostname  x509.HostnameError
		invalid   x509.CertificateInvalidError
		verify    *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		alert     tls.AlertError
	)
	switch {
	case errors.As(err, &redirect):
		if redirect.to == "" {
			return "it redirects again and again"
		}
		return fmt.Sprintf("it redirects to another server, %s; give that address if it is the right one", redirect.to)
	case errors.As(err, &address):
		return address.Error() + ", which is never connected to"
	case errors.As(err, &dns) && dns.IsNotFound:
		return "host not found"
	case errors.As(err, &hostname):
		return "the certificate is for another host name"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return "the certificate has expired or is not valid yet"
	case errors.As(err, &authority):
		return "the certificate is signed by an unknown authority"
	case errors.As(err, &invalid), errors.As(err, &verify):
		return "the certificate is not valid"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		return "it does not speak TLS; check the port"
	case errors.As(err, &alert):
		return "no TLS connection could be agreed on"
	}
	return ""
}

func passingWords(err error) string {
	var (
		dns    *net.DNSError
		netErr net.Error
	)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused"
	case errors.As(err, &dns):
		return "its host name could not be looked up"
	case errors.Is(err, errTimeout), errors.As(err, &netErr) && netErr.Timeout():
		return "no answer in time"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection was cut"
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return "there is no route to it"
	}
	return "the connection failed or its answer was not HTTP"
}
