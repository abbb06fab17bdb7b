package db

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ErrNoKeyset is returned when credentials are to be sealed or opened and no
// keyset was given.
var ErrNoKeyset = errors.New("no keyset: set JAMF_ACCESS_KEYSET to the file of a keyset")

// What a sealed value is for. It is bound into the seal together with its
// owner, a connection or a subscription, so that a value moved to another row
// or column does not open.
type purpose string

const (
	forCredentials purpose = "credentials"
	forToken       purpose = "token"
	forWebhook     purpose = "webhook"
)

func (p purpose) associatedData(owner int64) []byte {
	return fmt.Appendf(nil, "jamf-access-review/%s/%d", p, owner)
}

func (d *DB) seal(p purpose, owner int64, value any) ([]byte, error) {
	if d.keyset == nil {
		return nil, ErrNoKeyset
	}
	plain, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return d.keyset.seal(plain, p.associatedData(owner))
}

func (d *DB) open(p purpose, owner int64, sealed []byte, value any) error {
	if d.keyset == nil {
		return ErrNoKeyset
	}
	plain, err := d.keyset.open(sealed, p.associatedData(owner))
	if err != nil {
		return fmt.Errorf("open the sealed %s: the keyset has no key for it, or it was tampered with", p)
	}
	return json.Unmarshal(plain, value)
}

func (d *DB) reseal(p purpose, owner int64, sealed []byte) ([]byte, error) {
	var value json.RawMessage
	if err := d.open(p, owner, sealed, &value); err != nil {
		return nil, err
	}
	return d.seal(p, owner, value)
}
