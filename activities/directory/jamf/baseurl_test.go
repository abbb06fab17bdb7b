package jamf_test

import (
	"strings"
	"testing"

	"jamf-access-review/activities/directory/jamf"
)

func TestParseBaseURL(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"https://acme.jamfcloud.com":                            "https://acme.jamfcloud.com",
		" https://ACME.jamfcloud.com./ ":                        "https://acme.jamfcloud.com",
		"HTTPS://acme.jamfcloud.com///":                         "https://acme.jamfcloud.com",
		"acme.jamfcloud.com":                                    "https://acme.jamfcloud.com",
		"jamf.example.com:8443":                                 "https://jamf.example.com:8443",
		"jamf.example.com:443":                                  "https://jamf.example.com",
		"jamf:8443/jamf":                                        "https://jamf:8443/jamf",
		"https://jamf.example.com:8443/jamf/":                   "https://jamf.example.com:8443/jamf",
		"https://jamf.example.com:8443/jamf/JSSResource":        "https://jamf.example.com:8443/jamf",
		"https://acme.jamfcloud.com/JSSResource/accounts":       "https://acme.jamfcloud.com",
		"https://acme.jamfcloud.com/api":                        "https://acme.jamfcloud.com",
		"https://acme.jamfcloud.com/api/v1/auth?x=1#frag":       "https://acme.jamfcloud.com",
		"https://acme.jamfcloud.com/index.html?failover=secret": "https://acme.jamfcloud.com",
		"https://acme.jamfcloud.com/jamf/accounts.html#/a":      "https://acme.jamfcloud.com/jamf",
		"https://acme.jamfcloud.com/jamf/../api":                "https://acme.jamfcloud.com",
		`"https://acme.jamfcloud.com/"`:                         "https://acme.jamfcloud.com",
		"http://localhost:8080/jamf":                            "http://localhost:8080/jamf",
		"http://127.0.0.1:80/":                                  "http://127.0.0.1",
		"http://[::1]:8080":                                     "http://[::1]:8080",
		"https://[2001:DB8::1]":                                 "https://[2001:db8::1]",
		"https://10.1.2.3:8443":                                 "https://10.1.2.3:8443",
	} {
		got, err := jamf.ParseBaseURL(raw)
		if err != nil || got.String() != want {
			t.Errorf("%q is read as %v, %v; want %s", raw, got, err, want)
		}
	}
}

func TestParseBaseURLRefuses(t *testing.T) {
	t.Parallel()
	for raw, says := range map[string]string{
		"":                                   "empty",
		"  ":                                 "empty",
		"https://":                           "no host name",
		"https:///jamf":                      "no host name",
		"http://acme.jamfcloud.com":          "use https://",
		"ftp://acme.jamfcloud.com":           "must start with https://",
		"file:///etc/passwd":                 "no host name",
		"https://me:hunter2@acme.test":       "user name",
		"me@acme.test":                       "user name",
		"https://169.254.169.254":            "link-local",
		"https://169.254.1.1/latest":         "link-local",
		"https://[fe80::1]":                  "link-local",
		"https://[fe80::1%25eth0]":           "network interface",
		"https://[::ffff:169.254.1.1]":       "link-local",
		"https://[64:ff9b::a9fe:101]":        "link-local",
		"https://[fd00:ec2::254]":            "metadata",
		"https://0.0.0.0":                    "unspecified",
		"https://224.0.0.1":                  "multicast",
		"https://acme.test:99999":            "port",
		"https://acme.test:0":                "port",
		"https://acme.test:x":                "cannot be read",
		"https://ac me.test":                 "cannot be read",
		"https://acme..test":                 "host name is not valid",
		"https://bücher.example":             "host name is not valid",
		"https://acme.test/a b":              "path",
		"https://acme.test/%00":              "path",
		"https://" + strings.Repeat("a", 64): "host name is not valid",
		strings.Repeat("a", 3000):            "too long",
	} {
		got, err := jamf.ParseBaseURL(raw)
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q is read as %v, %v; want an error that says %q", raw, got, err, says)
		}
		if err != nil && strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}

func FuzzParseBaseURL(f *testing.F) {
	for _, raw := range []string{"acme.jamfcloud.com", "https://h:8443/jamf/JSSResource/", "http://[::1]:80", "https://u:p@h", "https://h/%2e%2e/api?x#y"} {
		f.Add(raw)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		u, err := jamf.ParseBaseURL(raw)
		if err != nil {
			return
		}
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Hostname() == "" || u.Opaque != "" {
			t.Fatalf("%q is read as %#v", raw, u)
		}
		again, err := jamf.ParseBaseURL(u.String())
		if err != nil || again.String() != u.String() {
			t.Fatalf("%q is read as %s, which is read as %v, %v", raw, u, again, err)
		}
	})
}
