package directory

import "context"

// JamfPro is the name of the source that is read from Jamf Pro itself.
const JamfPro = "jamf_pro"

// Settings are what a connection says of its source, apart from credentials.
type Settings struct {
	BaseURL string
	Scope   Scope
}

// Provider knows one sort of source. It is safe for concurrent use. Its errors
// are as a Source's.
type Provider interface {
	// RequestToken asks for a new access token. The caller sets Generation
	// and Fresh.
	RequestToken(context.Context, Settings, Credentials) (Token, error)
	// Open returns a source for one sync. It makes no request.
	Open(Settings, TokenSource) (Source, error)
}
