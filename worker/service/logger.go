package service

import (
	"context"
	"log/slog"

	"jamf-access-review/workflows"
)

// namingConnections adds the connection to every line that is about a
// workflow's, those of Temporal's SDK included.
func namingConnections(logger *slog.Logger) *slog.Logger {
	return slog.New(connectionHandler{logger.Handler()})
}

type connectionHandler struct{ slog.Handler }

// WithAttrs implements slog.Handler. Temporal's SDK makes a logger for each
// workflow and activity, with the workflow's id.
func (h connectionHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return connectionHandler{h.Handler.WithAttrs(named(attrs))}
}

// WithGroup implements slog.Handler.
func (h connectionHandler) WithGroup(name string) slog.Handler {
	return connectionHandler{h.Handler.WithGroup(name)}
}

// Handle implements slog.Handler.
func (h connectionHandler) Handle(ctx context.Context, r slog.Record) error {
	var name slog.Attr
	about := false
	r.Attrs(func(a slog.Attr) bool {
		name, about = connectionOf(a)
		return !about
	})
	if about {
		r = r.Clone()
		r.AddAttrs(name)
	}
	return h.Handler.Handle(ctx, r)
}

func named(attrs []slog.Attr) []slog.Attr {
	for _, a := range attrs {
		if name, ok := connectionOf(a); ok {
			return append([]slog.Attr{name}, attrs...)
		}
	}
	return attrs
}

func connectionOf(a slog.Attr) (slog.Attr, bool) {
	if a.Key != "WorkflowID" {
		return slog.Attr{}, false
	}
	name := workflows.ConnectionName(a.Value.String())
	return slog.String("connection", name), name != ""
}
