package db

import (
	"crypto/sha256"
	"encoding/binary"

	"jamf-access-review/activities/directory"
)

// factsDigest is equal for two users whose facts are equal and, but for a
// collision of SHA-256, for no others. Every field is prefixed with its length
// so that no two lists of fields run together into the same bytes. Changing
// what is hashed, or how, makes every account compare as changed once; the
// comparison then finds no fact that differs and records no change.
func factsDigest(u *directory.User) []byte {
	buf := make([]byte, 0, 512)
	field := func(s string) {
		buf = binary.AppendUvarint(buf, uint64(len(s)))
		buf = append(buf, s...)
	}
	list := func(l []string) {
		buf = binary.AppendUvarint(buf, uint64(len(l)))
		for _, s := range l {
			field(s)
		}
	}
	for _, s := range []string{u.Username, u.Email, u.Name, string(knownStatus(u.Status)), string(knownMFA(u.MFA)), u.AccessLevel, u.Site} {
		field(s)
	}
	list(u.Roles)
	list(u.Groups)
	list(u.Privileges)
	switch {
	case u.FromDirectory == nil:
		buf = append(buf, 0)
	case *u.FromDirectory:
		buf = append(buf, 1)
	default:
		buf = append(buf, 2)
	}
	sum := sha256.Sum256(buf)
	return sum[:]
}
