package db

import (
	"context"
	"iter"

	"github.com/jmoiron/sqlx"
)

// stream yields the rows that a query finds, as they come from the database.
func stream[T any](ctx context.Context, q sqlx.QueryerContext, query string, parameters ...any) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		rows, err := q.QueryxContext(ctx, query, parameters...)
		if err != nil {
			yield(none, err)
			return
		}
		defer rows.Close()
		for rows.Next() {
			var row T
			if err := rows.StructScan(&row); err != nil {
				yield(none, err)
				return
			}
			if !yield(row, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(none, err)
		}
	}
}
