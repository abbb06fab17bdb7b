package db

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/insecurecleartextkeyset"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/tink"
)

// Keyset holds the keys that seal credentials and tokens. It comes from a
// file or the environment and never from the database it protects. The newest
// key seals; all of them open. It is safe for concurrent use.
type Keyset struct {
	// file is read again when a seal does not open: the keys may have been
	// rotated since. It is "" where the keyset did not come from a file.
	file string

	mu     sync.RWMutex
	handle *keyset.Handle
	aead   tink.AEAD
}

// NewKeyset makes a keyset of one new key.
func NewKeyset() (*Keyset, error) {
	handle, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	return newKeyset(handle)
}

// LoadKeyset reads a keyset from a file, or from the value itself where that
// is the JSON of a keyset. Its errors do not show a keyset.
func LoadKeyset(fileOrJSON string) (*Keyset, error) {
	file := KeysetFile(fileOrJSON)
	if file == "" {
		return parseKeyset([]byte(fileOrJSON))
	}
	content, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the keyset: %w", err)
	}
	k, err := parseKeyset(content)
	if err != nil {
		return nil, err
	}
	k.file = file
	return k, nil
}

// KeysetFile is the file that a setting for LoadKeyset names. It is "" where the
// setting is a keyset itself, or may be one that was quoted, encoded or cut off on
// the way: that is not to be shown.
func KeysetFile(fileOrJSON string) string {
	const longestName = 200 // no keyset is as short
	if len(fileOrJSON) <= longestName && !strings.ContainsAny(fileOrJSON, "{\"\n") {
		return fileOrJSON
	}
	if _, err := os.Stat(fileOrJSON); err != nil {
		return ""
	}
	return fileOrJSON
}

func parseKeyset(content []byte) (*Keyset, error) {
	handle, err := insecurecleartextkeyset.Read(keyset.NewJSONReader(bytes.NewReader(content)))
	if err != nil {
		// The cause is left out: it can quote the content.
		return nil, errors.New("read the keyset: it is not a Tink keyset in JSON")
	}
	return newKeyset(handle)
}

// Rotated returns a keyset that seals with a new key and still opens what the
// old ones sealed.
func (k *Keyset) Rotated() (*Keyset, error) {
	manager := keyset.NewManagerFromHandle(k.keys())
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, err
	}
	if err := manager.SetPrimary(id); err != nil {
		return nil, err
	}
	handle, err := manager.Handle()
	if err != nil {
		return nil, err
	}
	return newKeyset(handle)
}

// Create writes the keyset to a new file that only its owner can read, and that
// outlasts a loss of power. It returns an error that is fs.ErrExist when the file
// is there already.
func (k *Keyset) Create(path string) error {
	var content bytes.Buffer
	if err := insecurecleartextkeyset.Write(k.keys(), keyset.NewJSONWriter(&content)); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content.Bytes())
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return syncFolder(path)
}

// Replace writes the keyset over an old one, in one step: whoever reads the
// file meanwhile reads either the old keyset or the new one. It outlasts a loss of
// power: what is sealed with it afterwards could not be opened without it.
func (k *Keyset) Replace(path string) error {
	next := path + ".new"
	if err := os.Remove(next); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := k.Create(next); err != nil {
		return err
	}
	if err := os.Rename(next, path); err != nil {
		return err
	}
	return syncFolder(path)
}

// syncFolder makes durable what a file's folder says of it.
func syncFolder(path string) error {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close())
}

func newKeyset(handle *keyset.Handle) (*Keyset, error) {
	primitive, err := aead.New(handle)
	if err != nil {
		return nil, fmt.Errorf("use the keyset: %w", err)
	}
	return &Keyset{handle: handle, aead: primitive}, nil
}

func (k *Keyset) keys() *keyset.Handle {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.handle
}

func (k *Keyset) primitive() tink.AEAD {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.aead
}

func (k *Keyset) seal(plain, associated []byte) ([]byte, error) {
	return k.primitive().Encrypt(plain, associated)
}

func (k *Keyset) open(sealed, associated []byte) ([]byte, error) {
	plain, err := k.primitive().Decrypt(sealed, associated)
	if err == nil || k.file == "" {
		return plain, err
	}
	latest, loadErr := LoadKeyset(k.file)
	if loadErr != nil {
		return nil, errors.Join(err, loadErr)
	}
	if plain, err = latest.aead.Decrypt(sealed, associated); err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.handle, k.aead = latest.handle, latest.aead
	return plain, nil
}
