package directory

import "context"

// Names of the sources, as connections have them.
const (
	// JamfPro is read from Jamf Pro itself.
	JamfPro = "jamf_pro"
	// Truto is read through Truto's unified API.
	Truto = "truto"
)

// Settings are what a connection says of its source, apart from credentials.
type Settings struct {
	BaseURL string
	Scope   Scope
	// Account is which of several directories at BaseURL is meant; "" where
	// there is one.
	Account string
}

// Provider knows one sort of source. It is safe for concurrent use. Its errors
// are as a Source's.
type Provider interface {
	// RequestToken asks for an access token. The caller sets Generation and
	// Fresh.
	RequestToken(context.Context, Settings, Credentials) (Token, error)
	// RefreshToken is RequestToken after the source has rejected a token.
	RefreshToken(context.Context, Settings, Credentials) (Token, error)
	// Open returns a source for one sync. It makes no request.
	Open(Settings, TokenSource) (Source, error)
}
