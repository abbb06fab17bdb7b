package db

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/lib/pq"
)

// UnavailableError says that no usable PostgreSQL answers at an address.
type UnavailableError struct {
	Address string
	Cause   error
}

func (e *UnavailableError) Error() string {
	if e.Refused() {
		return fmt.Sprintf("PostgreSQL at %s refuses: %v", e.Address, e.Cause)
	}
	return fmt.Sprintf("no PostgreSQL at %s: %v", e.Address, e.Cause)
}

// Refused says that PostgreSQL answered, and what it answered is why.
func (e *UnavailableError) Refused() bool {
	_, answered := errors.AsType[*pq.Error](e.Cause)
	return answered
}

func (e *UnavailableError) Unwrap() error { return e.Cause }

// address is the part of a database URL that may be shown.
func address(databaseURL string) string {
	u, err := url.Parse(databaseURL)
	if err != nil || u.Host == "" {
		return "the address in DATABASE_URL"
	}
	return u.Host + u.Path
}

// IsLost says whether an error is that of a PostgreSQL that went away while it was
// asked: its server stopped, or the connection to it broke.
func IsLost(err error) bool {
	if pqErr, ok := errors.AsType[*pq.Error](err); ok {
		// Connection exceptions, and what a server says that stops or starts.
		return strings.HasPrefix(string(pqErr.Code), "08") || strings.HasPrefix(string(pqErr.Code), "57P")
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
}
