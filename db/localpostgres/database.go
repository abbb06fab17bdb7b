package localpostgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/lib/pq"
)

// CreateDatabase makes a database, empty or as a copy of template when one is
// named, and returns its URL. Copying waits, until ctx ends, for others to leave
// the template.
func (s *Server) CreateDatabase(ctx context.Context, name, template string) (string, error) {
	statement := "CREATE DATABASE " + pq.QuoteIdentifier(name)
	if template != "" {
		statement += " TEMPLATE " + pq.QuoteIdentifier(template)
	}
	if err := s.execute(ctx, statement); err != nil {
		return "", fmt.Errorf("cannot create the database %q: %w", name, err)
	}
	return s.URL(name), nil
}

// DropDatabase removes a database if there is one, and closes the connections to
// it.
func (s *Server) DropDatabase(ctx context.Context, name string) error {
	statement := "DROP DATABASE IF EXISTS " + pq.QuoteIdentifier(name) + " WITH (FORCE)"
	if err := s.execute(ctx, statement); err != nil {
		return fmt.Errorf("cannot drop the database %q: %w", name, err)
	}
	return nil
}

const objectInUse = "55006"

func (s *Server) execute(ctx context.Context, statement string) error {
	database, err := sql.Open("postgres", s.URL("postgres"))
	if err != nil {
		return err
	}
	defer database.Close()
	for {
		_, err := database.ExecContext(ctx, statement)
		var refused *pq.Error
		if !errors.As(err, &refused) || refused.Code != objectInUse {
			return err
		}
		if waitErr := pause(ctx, 50*time.Millisecond); waitErr != nil {
			return fmt.Errorf("%w (%w)", err, waitErr)
		}
	}
}
