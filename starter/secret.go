package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode"

	"golang.org/x/term"
)

// secretKind is a sort of secret and where it may come from. None ever is an
// argument.
type secretKind struct{ name, flag, variable string }

var (
	clientSecret = secretKind{"client secret", "--client-secret-file", "JAMF_CLIENT_SECRET"}
	apiToken     = secretKind{"API token", "--api-token-file", "TRUTO_API_TOKEN"}
	webhookURL   = secretKind{"webhook URL", "--url-file", "JAMF_ACCESS_NOTIFY_URL"}
	signing      = secretKind{"signing secret", "--secret-file", "JAMF_ACCESS_NOTIFY_SECRET"}
)

// maxSecret is longer than any secret is.
const maxSecret = 8 << 10

// secret reads a secret from a file ("-" is standard input), from its variable,
// or from a prompt without echo.
func (a *app) secret(ctx context.Context, kind secretKind, file string) (string, error) {
	secret, err := a.readSecret(ctx, kind, file)
	if err != nil {
		return "", err
	}
	secret = strings.TrimSpace(strings.TrimPrefix(secret, "\ufeff"))
	switch {
	case secret == "":
		return "", usagef("the %s is empty", kind.name)
	case len(secret) > maxSecret, strings.ContainsFunc(secret, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "", &failure{Code: codeUsage, Message: "what was given as " + kind.name + " is more than one line of text",
			Hint: fmt.Sprintf("%s, or what is typed, is the %s and nothing else", kind.flag, kind.name)}
	}
	return secret, nil
}

func (a *app) readSecret(ctx context.Context, kind secretKind, file string) (string, error) {
	if file == "-" {
		content, err := typed(ctx, a, func() ([]byte, error) { return io.ReadAll(io.LimitReader(a.in, 64<<10)) })
		return string(content), err
	}
	if file != "" {
		content, err := os.ReadFile(file)
		if err != nil {
			return "", &failure{Code: codeUsage, Message: err.Error(),
				Hint: fmt.Sprintf("%s names a file that holds the %s and nothing else", kind.flag, kind.name)}
		}
		return string(content), nil
	}
	if secret, ok := os.LookupEnv(kind.variable); ok {
		return secret, nil
	}
	terminal, ok := a.terminal()
	if !ok {
		return "", &failure{Code: codeUsage, Message: "no " + kind.name,
			Hint: fmt.Sprintf("pass %s, or set %s", kind.flag, kind.variable)}
	}
	fmt.Fprintf(a.err, "%s (not shown): ", strings.ToUpper(kind.name[:1])+kind.name[1:])
	fd := int(terminal.Fd())
	echoing, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	content, err := typed(ctx, a, func() ([]byte, error) {
		defer fmt.Fprintln(a.err)
		return term.ReadPassword(fd)
	})
	return string(content), errors.Join(err, term.Restore(fd, echoing))
}
