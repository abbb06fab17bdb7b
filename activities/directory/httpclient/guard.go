package httpclient

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// CheckAddress returns an error in words when addr is one that no source has:
// link-local, multicast, unspecified, or where a cloud keeps the machine's own
// credentials. Loopback and private addresses pass.
func CheckAddress(addr netip.Addr) error {
	addr = embedded(addr.WithZone(""))
	switch {
	case isMetadata(addr):
		return &addressError{addr, "a cloud's metadata address"}
	case addr.IsLinkLocalUnicast():
		return &addressError{addr, "a link-local address"}
	case addr.IsMulticast():
		return &addressError{addr, "a multicast address"}
	case addr.IsUnspecified(), addr.Is4() && addr.As4()[0] == 0:
		return &addressError{addr, "an unspecified address"}
	case addr == netip.AddrFrom4([4]byte{255, 255, 255, 255}):
		return &addressError{addr, "a broadcast address"}
	}
	return nil
}

// embedded unwraps an IPv4 address that is written as IPv6: mapped, or for
// translation by NAT64.
func embedded(addr netip.Addr) netip.Addr {
	addr = addr.Unmap()
	nat64 := netip.MustParsePrefix("64:ff9b::/96")
	if nat64.Contains(addr) {
		b := addr.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return addr
}

// isMetadata knows the metadata addresses outside the link-local ranges.
func isMetadata(addr netip.Addr) bool {
	switch addr.String() {
	case "100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254":
		return true
	}
	return false
}

// IsLoopback reports whether host names this machine by itself, without
// looking it up.
func IsLoopback(host string) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if host == "localhost" || strings.HasSuffix(host, ".localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && embedded(addr).IsLoopback()
}

// dialer checks addresses after the name was looked up, so that a name cannot
// point somewhere else between the check and the connection.
func dialer(cfg Config) func(context.Context, string, string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if !cfg.GuardAddresses {
		return plain.DialContext
	}
	guarded := *plain
	guarded.Control = func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return &addressError{what: "no address that can be checked"}
		}
		return checkFor(cfg.Base, at.Addr())
	}
	proxy := proxyFor(cfg.Base)
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == proxy {
			return plain.DialContext(ctx, network, address)
		}
		return guarded.DialContext(ctx, network, address)
	}
}

// checkFor is CheckAddress for an address of base's server. Loopback passes
// only where base says so itself.
func checkFor(base *url.URL, addr netip.Addr) error {
	if !IsLoopback(base.Hostname()) && embedded(addr).IsLoopback() {
		return &addressError{addr, "this machine's own address"}
	}
	return CheckAddress(addr)
}

// proxyFor is where the environment's proxy for base is dialled, if any.
func proxyFor(base *url.URL) string {
	proxy, err := http.ProxyFromEnvironment(&http.Request{URL: base})
	if err != nil || proxy == nil {
		return ""
	}
	_, address, _ := strings.Cut(origin(proxy), "://")
	return address
}
