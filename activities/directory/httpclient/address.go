package httpclient

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

const maxAddress = 2000

// Address names a sort of address in the words of Parse's errors.
type Address struct {
	Name    string // such as "the Jamf URL"
	Example string // such as "https://NAME.jamfcloud.com"
}

// Parse reads the address of a server as people paste it: with or without
// scheme, with a path behind it, which is left to the caller. The result has a
// scheme, a host in its one canonical form, and the path as it was. http:// is
// for loopback only. Errors say what to change and never repeat what was
// given, which may hold a password.
func (a Address) Parse(raw string) (*url.URL, error) {
	u, err := a.ParseWhole(raw)
	if err != nil {
		return nil, err
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}, nil
}

// ParseWhole is Parse for an address of one thing on a server: its query is
// kept, too, and its path to the letter.
func (a Address) ParseWhole(raw string) (*url.URL, error) {
	raw = strings.Trim(strings.TrimSpace(raw), `"'<>`)
	switch {
	case raw == "":
		return nil, a.wrong("is empty; give it as %s", a.Example)
	case len(raw) > maxAddress:
		return nil, a.wrong("is too long; give only the address, such as %s", a.Example)
	}
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, a.wrong("cannot be read; give it as %s or https://HOST:8443", a.Example)
	}
	if u.User != nil {
		return nil, a.wrong("holds a user name or password; give the address alone")
	}
	host, err := a.host(u)
	if err != nil {
		return nil, err
	}
	switch scheme := strings.ToLower(u.Scheme); {
	case scheme == "https":
	case scheme == "http" && IsLoopback(u.Hostname()):
	case scheme == "http":
		return nil, a.wrong("starts with http://, by which it would be sent unencrypted; use https://")
	default:
		return nil, a.wrong("must start with https://")
	}
	return &url.URL{Scheme: strings.ToLower(u.Scheme), Host: host, Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}, nil
}

func (a Address) wrong(format string, args ...any) error {
	return errors.New(a.Name + " " + fmt.Sprintf(format, args...))
}

func (a Address) host(u *url.URL) (string, error) {
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if name == "" {
		return "", a.wrong("has no host name; give it as %s", a.Example)
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		if addr.Zone() != "" {
			return "", a.wrong("names a network interface; give a host name")
		}
		if err := CheckAddress(addr); err != nil {
			return "", fmt.Errorf("%s cannot be used: %w", a.Name, err)
		}
		name = addr.String()
	} else if !isHostName(name) {
		return "", errors.New(a.Name + "'s host name is not valid; use letters, digits, dots and hyphens")
	}
	port := u.Port()
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return "", errors.New(a.Name + "'s port is not valid; give a number from 1 to 65535")
		}
		port = strconv.FormatUint(n, 10)
	}
	standard := map[string]string{"https": "443", "http": "80"}[strings.ToLower(u.Scheme)]
	switch {
	case port != "" && port != standard:
		return net.JoinHostPort(name, port), nil
	case strings.Contains(name, ":"):
		return "[" + name + "]", nil
	}
	return name, nil
}

func isHostName(name string) bool {
	if len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || !IsWord(label, "-_") {
			return false
		}
	}
	return true
}

// IsWord reports whether s is of ASCII letters, digits and the runes of also.
func IsWord(s, also string) bool {
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune(also, r):
		default:
			return false
		}
	}
	return true
}
