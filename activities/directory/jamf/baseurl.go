package jamf

import (
	"errors"
	"net/url"
	"path"
	"strings"

	"jamf-access-review/activities/directory/httpclient"
)

// ParseBaseURL reads the address of a Jamf Pro as people paste it: with or
// without scheme, with the path of a page or of an API behind it. The result
// has a scheme, a host and at most a context path, and parses to itself.
// Errors say what to change and never repeat what was given, which may hold a
// password.
func ParseBaseURL(raw string) (*url.URL, error) {
	u, err := httpclient.Address{Name: "the Jamf URL", Example: "https://NAME.jamfcloud.com"}.Parse(raw)
	if err != nil {
		return nil, err
	}
	u.Path, err = contextPath(u.Path)
	if err != nil {
		return nil, err
	}
	return u, nil
}

// contextPath keeps what comes before the path of an API or of a page.
func contextPath(p string) (string, error) {
	var kept []string
	for segment := range strings.SplitSeq(path.Clean("/" + p)[1:], "/") {
		lower := strings.ToLower(segment)
		if lower == "" || lower == "jssresource" || lower == "api" || lower == "uapi" || strings.HasSuffix(lower, ".html") {
			break
		}
		if !httpclient.IsWord(segment, "-_.~") {
			return "", errors.New("the Jamf URL's path is not valid; give only the address, such as https://HOST:8443 or https://HOST:8443/jamf")
		}
		kept = append(kept, segment)
	}
	if len(kept) == 0 {
		return "", nil
	}
	return "/" + strings.Join(kept, "/"), nil
}
