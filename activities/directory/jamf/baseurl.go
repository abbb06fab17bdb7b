package jamf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"path"
	"strconv"
	"strings"

	"jamf-access-review/activities/directory/httpclient"
)

const maxBaseURL = 2000

// ParseBaseURL reads the address of a Jamf Pro as people paste it: with or
// without scheme, with the path of a page or of an API behind it. The result
// has a scheme, a host and at most a context path, and parses to itself.
// Errors say what to change and never repeat what was given, which may hold a
// password.
func ParseBaseURL(raw string) (*url.URL, error) {
	raw = strings.Trim(strings.TrimSpace(raw), `"'<>`)
	switch {
	case raw == "":
		return nil, errors.New("the Jamf URL is empty; give it as https://NAME.jamfcloud.com")
	case len(raw) > maxBaseURL:
		return nil, errors.New("the Jamf URL is too long; give only the address, such as https://NAME.jamfcloud.com")
	}
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("the Jamf URL cannot be read; give it as https://NAME.jamfcloud.com or https://HOST:8443")
	}
	if u.User != nil {
		return nil, errors.New("the Jamf URL holds a user name or password; give the address alone")
	}
	host, err := cleanHost(u)
	if err != nil {
		return nil, err
	}
	switch scheme := strings.ToLower(u.Scheme); {
	case scheme == "https":
	case scheme == "http" && httpclient.IsLoopback(u.Hostname()):
	case scheme == "http":
		return nil, errors.New("the Jamf URL starts with http://, which would send the credentials unencrypted; use https://")
	default:
		return nil, errors.New("the Jamf URL must start with https://")
	}
	context, err := contextPath(u.Path)
	if err != nil {
		return nil, err
	}
	return &url.URL{Scheme: strings.ToLower(u.Scheme), Host: host, Path: context}, nil
}

func cleanHost(u *url.URL) (string, error) {
	name := strings.TrimSuffix(strings.ToLower(u.Hostname()), ".")
	if name == "" {
		return "", errors.New("the Jamf URL has no host name; give it as https://NAME.jamfcloud.com")
	}
	if addr, err := netip.ParseAddr(name); err == nil {
		if addr.Zone() != "" {
			return "", errors.New("the Jamf URL names a network interface; give a host name")
		}
		if err := httpclient.CheckAddress(addr); err != nil {
			return "", fmt.Errorf("the Jamf URL cannot be used: %w", err)
		}
		name = addr.String()
	} else if !isHostName(name) {
		return "", errors.New("the Jamf URL's host name is not valid; use letters, digits, dots and hyphens")
	}
	port := u.Port()
	if port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return "", errors.New("the Jamf URL's port is not valid; give a number from 1 to 65535")
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
		if label == "" || len(label) > 63 || !isWord(label, "-_") {
			return false
		}
	}
	return true
}

// contextPath keeps what comes before the path of an API or of a page.
func contextPath(p string) (string, error) {
	var kept []string
	for segment := range strings.SplitSeq(path.Clean("/" + p)[1:], "/") {
		lower := strings.ToLower(segment)
		if lower == "" || lower == "jssresource" || lower == "api" || lower == "uapi" || strings.HasSuffix(lower, ".html") {
			break
		}
		if !isWord(segment, "-_.~") {
			return "", errors.New("the Jamf URL's path is not valid; give only the address, such as https://HOST:8443 or https://HOST:8443/jamf")
		}
		kept = append(kept, segment)
	}
	if len(kept) == 0 {
		return "", nil
	}
	return "/" + strings.Join(kept, "/"), nil
}

// isWord reports whether s is of ASCII letters, digits and the runes of also.
func isWord(s, also string) bool {
	for _, r := range s {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune(also, r):
		default:
			return false
		}
	}
	return true
}
