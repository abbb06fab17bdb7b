// Package settings is where a program finds its Postgres, its Temporal and its
// keyset: in the environment, and otherwise at the local stack that was
// started with the same JAMF_ACCESS_HOME.
package settings

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"

	"jamf-access-review/db"
)

// ErrNoDatabase is returned when neither DATABASE_URL nor a local stack says
// where the database is.
var ErrNoDatabase = errors.New("DATABASE_URL is not set, and no local stack has run here")

// Settings are what one program needs to know.
type Settings struct {
	// Home is the folder of the local stack.
	Home string
	// Stack is the local stack that was last started there, if any.
	Stack Stack
}

// Stack says where a local stack can be found.
type Stack struct {
	DatabaseURL     string `json:"database_url"`
	TemporalAddress string `json:"temporal_address"`
	UIAddress       string `json:"ui_address"`
}

// Load reads the settings. JAMF_ACCESS_HOME says which folder is the home;
// otherwise it is .local in the current folder.
func Load() (Settings, error) {
	s := Settings{Home: os.Getenv("JAMF_ACCESS_HOME")}
	if s.Home == "" {
		s.Home = ".local"
	}
	content, err := os.ReadFile(s.stackFile())
	if errors.Is(err, fs.ErrNotExist) {
		return s, nil
	}
	if err == nil {
		err = json.Unmarshal(content, &s.Stack)
	}
	if err != nil {
		return s, fmt.Errorf("read where the local stack is: %w", err)
	}
	return s, nil
}

// SaveStack leaves word of a local stack in the home. The file holds the
// database's password, and only its owner can read it.
func (s Settings) SaveStack(stack Stack) error {
	content, err := json.MarshalIndent(stack, "", "  ")
	if err != nil {
		return err
	}
	next := s.stackFile() + ".new"
	if err := os.WriteFile(next, content, 0o600); err != nil {
		return err
	}
	return os.Rename(next, s.stackFile())
}

// DatabaseURL is DATABASE_URL or the local stack's, or ErrNoDatabase.
func (s Settings) DatabaseURL() (string, error) {
	if u := os.Getenv("DATABASE_URL"); u != "" {
		return u, nil
	}
	if s.Stack.DatabaseURL != "" {
		return s.Stack.DatabaseURL, nil
	}
	return "", ErrNoDatabase
}

// TemporalOptions are Temporal's own settings (TEMPORAL_* variables and
// profiles); where they name no address it is the local stack's.
func (s Settings) TemporalOptions() (client.Options, error) {
	options, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return client.Options{}, fmt.Errorf("read Temporal's settings: %w", err)
	}
	if options.HostPort == "" {
		options.HostPort = s.Stack.TemporalAddress
	}
	if options.HostPort == "" {
		options.HostPort = client.DefaultHostPort
	}
	// Messages are a few KB: to compress them takes a tenth of a worker's CPU.
	options.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	return options, nil
}

// KeysetFile is the file of the keyset: the one that JAMF_ACCESS_KEYSET names,
// or that the local stack made. It is "" where that variable is the keyset
// itself, which is not to be shown.
func (s Settings) KeysetFile() string { return db.KeysetFile(s.keyset()) }

// DatabaseRemedy is what to do about ErrNoDatabase.
const DatabaseRemedy = "start a local stack with `starter dev`, or set DATABASE_URL (and JAMF_ACCESS_HOME to a stack's folder)"

// KeysetRemedy is what to do about a keyset that cannot be used.
const KeysetRemedy = "set JAMF_ACCESS_KEYSET to the file that the workers use; `starter keys create FILE` makes the first one"

// Keyset loads the keyset.
func (s Settings) Keyset() (*db.Keyset, error) { return db.LoadKeyset(s.keyset()) }

// KeysetNamed says whether JAMF_ACCESS_KEYSET says which keyset to use. Then
// that is the one, and it has to be there.
func (s Settings) KeysetNamed() bool { return os.Getenv("JAMF_ACCESS_KEYSET") != "" }

func (s Settings) keyset() string {
	return cmp.Or(os.Getenv("JAMF_ACCESS_KEYSET"), filepath.Join(s.Home, "keyset.json"))
}

func (s Settings) stackFile() string { return filepath.Join(s.Home, "stack.json") }
