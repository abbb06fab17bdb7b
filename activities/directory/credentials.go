package directory

import "log/slog"

// Credentials are what a connection shows to its source to get access. They
// leave the process only sealed, or to the source itself.
type Credentials struct {
	ClientID     string `json:"client_id,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`
	// APIToken is shown to sources that are asked in somebody else's name.
	APIToken string `json:"api_token,omitempty"`
}

// String and LogValue keep credentials out of whatever they are printed into.
func (Credentials) String() string { return "credentials" }

// GoString is String for %#v.
func (Credentials) GoString() string { return "credentials" }

// LogValue is String for slog.
func (Credentials) LogValue() slog.Value { return slog.StringValue("credentials") }
