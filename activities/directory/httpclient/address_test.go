package httpclient

import (
	"strings"
	"testing"
)

func TestAddressIsReadInTheWordsOfItsName(t *testing.T) {
	t.Parallel()
	sort := Address{Name: "the API's URL", Example: "https://api.example.com"}
	for raw, want := range map[string]string{
		"API.example.com.":                    "https://api.example.com",
		"https://api.example.com:0443/a/?q#f": "https://api.example.com/a/",
		"http://[::1]:80":                     "http://[::1]",
	} {
		if got, err := sort.Parse(raw); err != nil || got.String() != want {
			t.Errorf("%q is read as %v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "http://api.example.com", "https://u:hunter2@api.example.com", "https://169.254.169.254", "https://api.example.com:0", "https://a b"} {
		got, err := sort.Parse(raw)
		if err == nil || !strings.HasPrefix(err.Error(), sort.Name) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q is read as %v, %v", raw, got, err)
		}
	}
}
